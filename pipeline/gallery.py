"""The picture of test images with their labels, imputed values and predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures import BLUE, FAINT, INK, MUTED, ORANGE, nothing, picture, short

COLUMNS = 4
MOST_ROWS = 40
LONGEST_VALUE = 9
"""Characters of a value shown; of a binary attribute it is 1 or 0."""
LABEL_AT, PREDICTION_AT = 0.68, 0.995  # right ends of a table's columns, as shares of its width

# Inches.
CARD = 3.0
TABLE = 2.6
IMAGE = 1.75
HEADING = 0.44  # of a table: the image's name and the names of the columns
LINE = 0.155
LEGEND = 0.85
MARGIN = 0.1

Row = tuple[str, str, str, float | None, str, float]


def gallery(items: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Images, each over a table of its attributes: label or imputed value, and prediction.

    A prediction that differs from a known label is red-orange and bold, with a cross; an imputed
    cell is blue, with its probability. At most `MOST_ROWS` attributes of an image are shown.

    Parameters
    ----------
    items : per image ``image`` (uint8 [h, w, 3]), ``name`` and ``rows``: tuples of attribute;
        label and imputed value, each "1", "0" or ""; probability of the imputed value or None;
        prediction, "1" or "0"; its probability.
    path : PNG to write.
    """
    columns = min(COLUMNS, max(len(items), 1))
    longest = max((len(item["rows"]) for item in items), default=0)
    table = HEADING + LINE * (min(longest, MOST_ROWS) + (longest > MOST_ROWS) + 0.5)
    pitch = IMAGE + table + 0.3
    width = max(CARD * columns - (CARD - TABLE) + 2 * MARGIN, 6.2)
    height = LEGEND + pitch * max(math.ceil(len(items) / columns), 1)
    title = "Test images: labels and predictions"
    with picture(path, width, height, title, layout=None) as figure:
        _legend(figure, width, height)
        if not items:
            nothing(_place(figure, 0, LEGEND, width, height - LEGEND), "no test image")
        for number, item in enumerate(items):
            left = MARGIN + CARD * (number % columns)
            top = LEGEND + pitch * (number // columns)
            axes = _place(figure, left, top, TABLE, IMAGE)
            axes.imshow(np.asarray(item["image"]), interpolation="antialiased")
            axes.set_anchor("SW")
            _table(_place(figure, left, top + IMAGE, TABLE, table), item, table)


def _place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Bare axes at a place in inches from the upper left corner."""
    whole_width, whole_height = figure.get_size_inches()
    bottom = whole_height - top - height
    axes = figure.add_axes(
        (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    )
    axes.set_axis_off()
    return axes


def _legend(figure: Figure, width: float, height: float) -> None:
    entries = (
        (0.0, "known label", INK),
        (1.35, "imputed (probability)", BLUE),
        (2.9, "?: unknown", MUTED),
        (3.8, "✗ prediction differs from label", ORANGE),
    )
    for at, text, color in entries:
        x, y = (MARGIN + at) / width, 1 - 0.46 / height
        figure.text(x, y, text, color=color, size=8, va="top")


def _table(axes: Axes, item: Mapping[str, Any], height: float) -> None:
    """The image's name and a line per attribute, placed in inches from the top."""
    rows: Sequence[Row] = item["rows"]
    axes.set(xlim=(0, 1), ylim=(height, 0))
    axes.text(0, 0.13, short(item["name"], 34), size=8, weight="bold", va="center")
    y = HEADING - 0.13
    axes.text(LABEL_AT, y, "label", size=7, color=MUTED, ha="right", va="center")
    axes.text(PREDICTION_AT, y, "prediction", size=7, color=MUTED, ha="right", va="center")
    axes.plot([0, 1], [HEADING - 0.04] * 2, color=FAINT, lw=0.8)
    for number, row in enumerate(rows[:MOST_ROWS]):
        _line(axes, HEADING + LINE * (number + 0.5), row)
    if len(rows) > MOST_ROWS:
        text = f"and {len(rows) - MOST_ROWS} more attributes"
        y = HEADING + LINE * (MOST_ROWS + 0.5)
        axes.text(0, y, text, size=7, color=MUTED, va="center")


def _line(axes: Axes, y: float, row: Row) -> None:
    attribute, truth, imputed, imputed_probability, predicted, probability = row
    if truth:
        label, color = short(truth, LONGEST_VALUE), INK
    elif imputed:
        label, color = short(imputed, LONGEST_VALUE), BLUE
        if imputed_probability is not None:
            label += f" ({imputed_probability:.2f})"
    else:
        label, color = "?", MUTED
    prediction = f"{short(predicted, LONGEST_VALUE)} ({probability:.2f})"
    wrong = truth not in ("", predicted)
    style: dict[str, Any] = {"size": 7.5, "va": "center"}
    # A value's name takes room from the attribute's.
    room = 20 - max(0, len(label) - 8) - max(0, len(prediction) - 10)
    axes.text(0, y, short(attribute, max(8, room)), color=INK, **style)
    axes.text(LABEL_AT, y, label, color=color, ha="right", **style)
    if wrong:
        style |= {"weight": "bold"}
        prediction = f"✗ {prediction}"
    axes.text(PREDICTION_AT, y, prediction, color=ORANGE if wrong else INK, ha="right", **style)
