"""The look of every picture in the reports, and writing them byte-stable."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline.plots import fonts

# Okabe and Ito (2008): told apart with any colour vision.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, YELLOW, AMBER = "#56B4E9", "#B8A800", "#E69F00"
SERIES = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY, YELLOW)
INK, MUTED, FAINT = "#222222", "#6B6B6B", "#DADADA"

DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
"""Of lines with the same colour."""

DPI = 120
LONGEST_SIDE = 60_000  # pixels; Agg draws no more than 65,535
LONGEST_NAME = 26
MISSING_GLYPH = r"Glyph (\d+) .*missing from"
"""How matplotlib warns of each character that a font lacks."""

STYLE = {
    "font.family": fonts.DEFAULT,
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in an attribute's name is only that
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": MUTED,
    "axes.edgecolor": "#9A9A9A",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#EBEBEB",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.6,
    "hatch.color": "#BDBDBD",
    "lines.linewidth": 1.8,
}


@contextmanager
def picture(
    path: str | Path,
    width: float,
    height: float,
    title: str,
    layout: Literal["constrained", "compressed"] | None = "constrained",
) -> Iterator[Figure]:
    """A titled figure of ``width`` x ``height`` inches that is written as PNG when the block ends.

    ``layout`` is matplotlib's: compressed for panels of a fixed aspect, None to place all by hand.
    Names in a script that the font lacks are drawn in another that is installed, see
    `pipeline.plots.fonts`. The same drawing gives the same bytes, whatever the user's matplotlib
    settings; pyplot and its global figures take no part.
    """
    with matplotlib.style.context([STYLE], after_reset=True):
        figure = Figure(figsize=(width, height), layout=layout)
        heading = figure.suptitle(title, x=0.1 / width, ha="left", size=12, weight="bold")
        if layout is None:
            heading.set_y(1 - 0.12 / height)
        yield figure
        dpi = min(DPI, LONGEST_SIDE / max(width, height))
        with warnings.catch_warnings(record=True) as told:
            warnings.filterwarnings("always", message=MISSING_GLYPH)
            figure.savefig(path, format="png", dpi=dpi, metadata={"Software": None})
        glyphs = [re.match(MISSING_GLYPH, str(one.message)) for one in told]
        if missing := {chr(int(found[1])) for found in glyphs if found}:
            others = fonts.families(missing)
            if len(others) > 1:
                for text in figure.findobj(Text):
                    text.set_fontfamily(others)
                with warnings.catch_warnings():  # of what no font has, which was said
                    warnings.filterwarnings("ignore", message=MISSING_GLYPH)
                    figure.savefig(path, format="png", dpi=dpi, metadata={"Software": None})


def series(place: int) -> tuple[str, Any]:
    """Colour and dashes of the attribute at ``place`` in the table, in whatever picture."""
    return SERIES[place % len(SERIES)], DASHES[place // len(SERIES) % len(DASHES)]


def columns_of(count: int, most: int) -> int:
    """Columns of a grid with even rows where possible: 9 panels are better 5 + 4 than 8 + 1."""
    return math.ceil(count / math.ceil(count / most)) if count else 1


def grid(figure: Figure, count: int, columns: int) -> list[Axes]:
    """``count`` axes in reading order, ``columns`` side by side; the rest of the grid is bare."""
    rows = max(math.ceil(count / columns), 1)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in cells[count:]:
        spare.set_axis_off()
    return list(cells[:count])


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """A name that fits; the middle goes, since names often differ in how they end."""
    if len(name) <= longest:
        return name
    head = (longest - 1) // 2
    return f"{name[:head]}…{name[len(name) - (longest - 1 - head) :]}"


def nothing(axes: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, size=8
    )
