"""Which test images the gallery shows, and what it says about each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pipeline import categories, image_files, images
from pipeline.categories import Attribute
from pipeline.label_table import LabelTable

SHOWN = 12
LONGEST_SIDE = 320
"""Pixels; more than the gallery can show."""


def choose(
    clean: LabelTable,
    test: np.ndarray,
    provenance: pd.DataFrame,
    probability: np.ndarray,
    thresholds: np.ndarray,
    folder: Path,
    seed: int,
) -> list[dict[str, Any]]:
    """At most `SHOWN` test images as items for `pipeline.gallery.gallery`.

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
        for one in categories.attributes(clean.attributes, clean.categories):
            a = one.start
            own = probability[i, a : one.stop]
            best = int(np.argmax(own))
            given = one.values[best] if one.values else str(int(own[0] >= thresholds[a]))
            rows.append(
                (
                    one.name,
                    _text(clean, one, int(test[i])),
                    *filled.get((name, one.name), ("", None)),
                    given,
                    float(own[best]),
                )
            )
        items.append({"image": _thumbnail(folder, name), "name": name, "rows": rows})
    return items


def _text(clean: LabelTable, one: Attribute, row: int) -> str:
    """The known cell as the table has it; empty where it is unknown."""
    label = clean.values[row, one.start]
    if np.isnan(label):
        return ""
    if one.values and clean.texts is not None:
        return str(clean.texts[row, clean.categories.index(one)])
    return str(int(label))


def _thumbnail(folder: Path, name: str) -> np.ndarray:
    """uint8 [h, w, 3], the picture in its own proportions."""
    picture = images.decode(image_files.read(folder, name))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(picture)
