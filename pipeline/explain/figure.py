"""The picture of an explanation: superpixels that speak for and against each attribute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.plots.style import BLUE, INK, MUTED, ORANGE, columns_of, picture, short

FOR, AGAINST = BLUE, ORANGE
GOOD_FIT = 0.5
"""R² from which a linear model tells more than it leaves untold."""
FAINTEST_SCALE = 0.01
"""Change of a probability that is drawn at full strength at least: less is not worth a colour."""
STRONGEST = 0.85
"""Opacity: the picture has to show through."""
COLUMNS = 3

# Inches.
WIDE, TALL = 1.75, 2.5  # of an image at most
WIDE_ALONE, TALL_ALONE = 2.6, 3.2
GAP = 0.1
HEADING = 0.64
LEGEND = 1.12
MARGIN = 0.1
NARROWEST = 6.3


@dataclass(frozen=True)
class Panel:
    """One attribute of one picture.

    decision : in words, after "so".
    weights : float64 [S], per superpixel; r2 : NaN where undefined.
    heat : float64 [h', w'], 0 to 1; None without Grad-CAM.
    """

    attribute: str
    probability: float
    decision: str
    r2: float
    weights: npt.NDArray[np.float64]
    heat: npt.NDArray[np.float64] | None = None


def verdict(r2: float) -> str:
    """How far an explanation may be believed; empty where its local model fits."""
    if math.isnan(r2):
        return "nothing to explain: the probability never moves"
    return "" if r2 >= GOOD_FIT else "poor fit: not to be believed"


def draw(
    image: npt.NDArray[np.uint8],
    segments: npt.NDArray[np.int64],
    panels: Sequence[Panel],
    title: str,
    path: str | Path,
) -> None:
    """The picture, then a card per attribute.

    Superpixels that speak for the attribute are blue, those against it red-orange, the opaquer the
    stronger, over the picture in pale grey. Where there is Grad-CAM, it stands beside.

    Parameters
    ----------
    image : uint8 [H, W, 3], at any size and in its true proportions.
    segments : int64 [h, w], 0 to S-1; stretched over the image.
    title : of the whole, e.g. the file's name.
    path : PNG to write.
    """
    two = any(panel.heat is not None for panel in panels)
    widest, tallest = (WIDE, TALL) if two else (WIDE_ALONE, TALL_ALONE)
    scale = min(widest / image.shape[1], tallest / image.shape[0])
    wide, tall = scale * image.shape[1], scale * image.shape[0]
    card = max(2 * wide + GAP if two else wide, 2.75)
    columns = columns_of(len(panels) + 1, COLUMNS)
    width = max(columns * (card + 3 * GAP) + 2 * MARGIN, NARROWEST)
    pitch = HEADING + tall + 3 * GAP
    height = LEGEND + pitch * math.ceil((len(panels) + 1) / columns)
    pale = 255 - (255 - image.astype(np.float64).mean(axis=2)) * 0.45
    with picture(path, width, height, short(title, 60), layout=None) as figure:
        _legend(figure, two)
        for number in range(len(panels) + 1):
            left = MARGIN + (card + 3 * GAP) * (number % columns)
            top = LEGEND + pitch * (number // columns)
            first = _place(figure, left, top + HEADING, wide, tall)
            second = _place(figure, left + wide + GAP, top + HEADING, wide, tall) if two else None
            if number == 0:
                _heading(
                    figure, left, top, "the picture", [(f"{segments.max() + 1} superpixels", MUTED)]
                )
                first.imshow(image, interpolation="antialiased", aspect="auto")
                if second is not None:
                    second.imshow(pale, cmap="gray", vmin=0, vmax=255, aspect="auto")
                    _outline(second, segments, image)
                continue
            panel = panels[number - 1]
            _heading(figure, left, top, short(panel.attribute, 32), _lines(panel))
            _backdrop(first, pale, "LIME" if two else "")
            _superpixels(first, segments, panel.weights, image)
            if second is not None and panel.heat is not None:
                _backdrop(second, pale, "Grad-CAM")
                _heat(second, panel.heat, image)


def _lines(panel: Panel) -> list[tuple[str, str]]:
    first = f"probability {panel.probability:.3f}, so {short(panel.decision, 30)}"
    doubt = verdict(panel.r2)
    if math.isnan(panel.r2):
        return [(first, INK), (f"✗ {doubt}", AGAINST)]
    if doubt:
        return [(first, INK), (f"✗ R² {panel.r2:.2f}: {doubt}", AGAINST)]
    strongest = panel.weights[np.abs(panel.weights).argmax()]
    return [(first, INK), (f"R² {panel.r2:.2f}, strongest part {strongest:+.3f}", MUTED)]


def _heading(
    figure: Figure, left: float, top: float, name: str, lines: Sequence[tuple[str, str]]
) -> None:
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, name, size=10, weight="bold", va="top")
    for number, (text, color) in enumerate(lines):
        y = 1 - (top + 0.24 + 0.18 * number) / height
        figure.text(left / width, y, text, size=8, color=color, va="top")


def _place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Bare axes at a place in inches from the upper left corner."""
    w, h = figure.get_size_inches()
    axes = figure.add_axes((left / w, (h - top - height) / h, width / w, height / h))
    axes.set_axis_off()
    return axes


def _backdrop(axes: Axes, pale: npt.NDArray[np.float64], label: str) -> None:
    axes.imshow(pale, cmap="gray", vmin=0, vmax=255, interpolation="antialiased", aspect="auto")
    style = {"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1.5}
    if label:
        axes.text(
            0.03, 0.98, label, transform=axes.transAxes, size=7, color=INK, va="top", bbox=style
        )


def _over(image: npt.NDArray[np.uint8]) -> tuple[float, float, float, float]:
    return (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)


def _superpixels(
    axes: Axes,
    segments: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    image: npt.NDArray[np.uint8],
) -> None:
    strength = np.abs(weights) / max(np.abs(weights).max(), FAINTEST_SCALE)
    colors = np.where((weights > 0)[:, None], to_rgb(FOR), to_rgb(AGAINST))
    layer = np.column_stack([colors, strength * STRONGEST])[segments]
    axes.imshow(layer, interpolation="nearest", extent=_over(image), aspect="auto")


def _heat(axes: Axes, heat: npt.NDArray[np.float64], image: npt.NDArray[np.uint8]) -> None:
    layer = np.empty((*heat.shape, 4))
    layer[..., :3], layer[..., 3] = to_rgb(FOR), heat * STRONGEST
    axes.imshow(layer, interpolation="bilinear", extent=_over(image), aspect="auto")


def _outline(axes: Axes, segments: npt.NDArray[np.int64], image: npt.NDArray[np.uint8]) -> None:
    edge = np.zeros(segments.shape, dtype=bool)
    edge[:, 1:] |= segments[:, 1:] != segments[:, :-1]
    edge[1:] |= segments[1:] != segments[:-1]
    layer = np.zeros((*segments.shape, 4))
    layer[..., :3], layer[..., 3] = to_rgb(INK), edge * 0.8
    axes.imshow(layer, interpolation="nearest", extent=_over(image), aspect="auto")


def _legend(figure: Figure, two: bool) -> None:
    """In words and with the scale of opacity, since the colours alone don't say how strong."""
    width, height = figure.get_size_inches()
    y = 1 - 0.46 / height
    left = MARGIN
    for color, text in ((FOR, "speaks for it"), (AGAINST, "speaks against it")):
        for step, strength in enumerate((0.25, 0.5, 1.0)):
            box = ((left + 0.16 * step) / width, y - 0.13 / height)
            figure.add_artist(
                Rectangle(
                    box,
                    0.16 / width,
                    0.13 / height,
                    facecolor=color,
                    alpha=strength * STRONGEST,
                    lw=0,
                    transform=figure.transFigure,
                )
            )
        figure.text((left + 0.55) / width, y, text, size=8, color=color, va="top")
        left += 1.75
    figure.text(left / width, y, "the opaquer, the stronger in this attribute", size=8, va="top")
    notes = "R²: how well superpixels predict probabilities of unseen pictures with parts hidden."
    if two:
        notes += (
            "\nGrad-CAM: coarse, tells only what speaks for it, full colour at its own strongest."
        )
    figure.text(MARGIN / width, 1 - 0.68 / height, notes, size=7.5, color=MUTED, va="top")
