"""The picture of test images with their labels, imputed values and predictions."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pipeline.data import image_files, loading
from pipeline.data.labels import LabelTable, written
from pipeline.plots.style import BLUE, FAINT, INK, MUTED, ORANGE, nothing, picture, short

SHOWN = 12
LONGEST_SIDE = 320
"""Pixels; more than the gallery can show."""
COLUMNS, WIDE_COLUMNS = 4, 3
MOST_ROWS = 40
LONGEST_VALUE = 12
"""Characters of a value shown; of a binary attribute it is 1 or 0."""
GUESS = "* not learnable, or too few labels to tell: imputed values and predictions are guesses"
# Right ends of a table's columns, as shares of its width; wide tables have values in words.
LABEL_AT, WIDE_LABEL_AT, PREDICTION_AT = 0.68, 0.62, 0.995

# Inches.
CARD, WIDE_CARD = 3.0, 4.0
TABLE, WIDE_TABLE = 2.6, 3.6
IMAGE = 1.75
HEADING = 0.44  # of a table: the image's name and the names of the columns
LINE = 0.155
LEGEND = 0.85
MARGIN = 0.1

Row = tuple[str, str, str, float | None, str, float]


def choose(
    clean: LabelTable,
    test: np.ndarray,
    provenance: pd.DataFrame,
    probability: np.ndarray,
    thresholds: np.ndarray,
    folder: Path,
    seed: int,
) -> list[dict[str, Any]]:
    """At most `SHOWN` test images as items for `gallery`.

    A seeded choice; half of them, if there are so many, have an imputed cell. Neither right nor
    wrong predictions are preferred.

    Parameters
    ----------
    test : [n] indices into ``clean``.
    provenance : image, attribute, value, probability of each imputed cell.
    probability : [n, A] of the final classifier for the test images; thresholds : [A].
    folder : of the images.
    """
    order = np.random.default_rng([seed, len(test)]).permutation(len(test)).tolist()
    with_hole = np.isnan(clean.values[test]).any(axis=1)
    holes = [i for i in order if with_hole[i]][: SHOWN // 2]
    rest = [i for i in order if i not in holes][: SHOWN - len(holes)]
    columns = ("image", "attribute", "value", "probability")
    filled = {
        (image, attribute): (str(value), float(p))
        for image, attribute, value, p in zip(*(provenance[c] for c in columns), strict=True)
    }
    items = []
    for i in sorted([*holes, *rest]):
        name = clean.images[test[i]]
        rows = []
        for one in clean.layout:
            a = one.start
            own = probability[i, a : one.stop]
            best = int(np.argmax(own))
            given = one.values[best] if one.values else str(int(own[0] >= thresholds[a]))
            rows.append(
                (
                    one.name,
                    str(written(clean.cells[one.name][[test[i]]])[0]),
                    *filled.get((name, one.name), ("", None)),
                    given,
                    float(own[best]),
                )
            )
        items.append({"image": _thumbnail(folder, name), "name": name, "rows": rows})
    return items


def _thumbnail(folder: Path, name: str) -> np.ndarray:
    """uint8 [h, w, 3], the picture in its own proportions."""
    picture, _ = loading.read(image_files.resolve(folder, name), (LONGEST_SIDE, LONGEST_SIDE))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def gallery(
    items: Sequence[Mapping[str, Any]], path: str | Path, guessed: Container[str] = ()
) -> None:
    """Images, each over a table of its attributes: label or imputed value, and prediction.

    A prediction that differs from a known label is red-orange and bold, with a cross; an imputed
    cell is blue, with its probability. At most `MOST_ROWS` attributes of an image are shown.

    Parameters
    ----------
    items : per image ``image`` (uint8 [h, w, 3]), ``name`` and ``rows``: tuples of attribute;
        label and imputed value, each "1", "0", a categorical value or ""; probability of the
        imputed value or None; prediction; its probability.
    path : PNG to write.
    guessed : attributes that are not learnable; they have a star, which a line explains.
    """
    starred = any(row[0] in guessed for item in items for row in item["rows"])
    wide = any(len(row[at]) > 1 for item in items for row in item["rows"] for at in (1, 2, 4))
    columns = min(WIDE_COLUMNS if wide else COLUMNS, max(len(items), 1))
    card, table_width = (WIDE_CARD, WIDE_TABLE) if wide else (CARD, TABLE)
    longest = max((len(item["rows"]) for item in items), default=0)
    table = HEADING + LINE * (min(longest, MOST_ROWS) + (longest > MOST_ROWS) + 0.5)
    pitch = IMAGE + table + 0.3
    width = max(card * columns - (card - table_width) + 2 * MARGIN, 6.2)
    height = LEGEND + pitch * max(math.ceil(len(items) / columns), 1)
    title = "Final classifier, test images: labels and predictions"
    with picture(path, width, height, title, layout=None) as figure:
        _legend(figure, width, height, starred)
        if not items:
            nothing(_place(figure, 0, LEGEND, width, height - LEGEND), "no test image")
        for number, item in enumerate(items):
            left = MARGIN + card * (number % columns)
            top = LEGEND + pitch * (number // columns)
            axes = _place(figure, left, top, TABLE, IMAGE)
            axes.imshow(np.asarray(item["image"]), interpolation="antialiased")
            axes.set_anchor("SW")
            below = _place(figure, left, top + IMAGE, table_width, table)
            _table(below, item, table, wide, guessed)


def _place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Bare axes at a place in inches from the upper left corner."""
    whole_width, whole_height = figure.get_size_inches()
    bottom = whole_height - top - height
    axes = figure.add_axes(
        (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    )
    axes.set_axis_off()
    return axes


def _legend(figure: Figure, width: float, height: float, starred: bool) -> None:
    entries = (
        (0.0, "known label", INK),
        (1.35, "imputed (probability)", BLUE),
        (2.9, "?: unknown", MUTED),
        (3.8, "✗ prediction differs from label", ORANGE),
    )
    for at, text, color in entries:
        x, y = (MARGIN + at) / width, 1 - 0.46 / height
        figure.text(x, y, text, color=color, size=8, va="top")
    if starred:
        x, y = MARGIN / width, 1 - 0.63 / height
        figure.text(x, y, GUESS, color=MUTED, size=8, va="top")


def _table(
    axes: Axes, item: Mapping[str, Any], height: float, wide: bool, guessed: Container[str]
) -> None:
    """The image's name and a line per attribute, placed in inches from the top."""
    rows: Sequence[Row] = item["rows"]
    axes.set(xlim=(0, 1), ylim=(height, 0))
    axes.text(0, 0.13, short(item["name"], 34), size=8, weight="bold", va="center")
    y = HEADING - 0.13
    label_at = WIDE_LABEL_AT if wide else LABEL_AT
    axes.text(label_at, y, "label", size=7, color=MUTED, ha="right", va="center")
    axes.text(PREDICTION_AT, y, "prediction", size=7, color=MUTED, ha="right", va="center")
    axes.plot([0, 1], [HEADING - 0.04] * 2, color=FAINT, lw=0.8)
    for number, row in enumerate(rows[:MOST_ROWS]):
        _line(axes, HEADING + LINE * (number + 0.5), row, label_at, row[0] in guessed)
    if len(rows) > MOST_ROWS:
        text = f"and {len(rows) - MOST_ROWS} more attributes"
        y = HEADING + LINE * (MOST_ROWS + 0.5)
        axes.text(0, y, text, size=7, color=MUTED, va="center")


def _line(axes: Axes, y: float, row: Row, label_at: float, guess: bool) -> None:
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
    name = short(attribute, (16 if label_at == WIDE_LABEL_AT else 20) - 2 * guess)
    axes.text(0, y, f"{name} *" if guess else name, color=MUTED if guess else INK, **style)
    axes.text(label_at, y, label, color=color, ha="right", **style)
    if wrong:
        style |= {"weight": "bold"}
        prediction = f"✗ {prediction}"
    axes.text(PREDICTION_AT, y, prediction, color=ORANGE if wrong else INK, ha="right", **style)
