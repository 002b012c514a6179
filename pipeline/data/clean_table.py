"""The clean table on disk: image, split, then one column per attribute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data import categories
from pipeline.data.labels import SPLITS, LabelTable, binary_cells, with_categories
from pipeline.errors import fail, one_line
from pipeline.files import write_csv

RESERVED = ("image", "split")
"""Columns of its own, before the attributes."""
HASHES = "images.csv"
"""Beside it: the hash of each image's bytes."""
VALUES = "values.csv"
"""Beside it: which values of categorical attributes have a column."""


def read_clean(path: str | Path) -> LabelTable:
    """Read a table that `write_clean` wrote: image, split, then one column per attribute, and, in
    ``values.csv`` beside it, which values of categorical attributes have a column."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        fail(path, f"not a readable clean table ({one_line(error)}); run `dvc repro`")
    if list(frame.columns[:2]) != list(RESERVED):
        fail(path, f"columns {list(frame.columns[:2])}, expected image, split; run `dvc repro`")
    split = frame["split"].tolist()
    if foreign := sorted(set(split) - set(SPLITS)):
        fail(path, f"column 'split': got {foreign[0]!r}, expected one of {', '.join(SPLITS)}")
    names, lines = frame.columns[2:].tolist(), np.arange(len(frame)) + 2
    vocabulary = categories.read_values(Path(path).with_name(VALUES))
    binary = [name for name in names if name not in vocabulary]
    values = binary_cells(path, frame[binary].to_numpy(dtype=object), lines, binary)
    table = LabelTable(frame["image"].tolist(), binary, values, split)
    if not vocabulary:
        return table
    return with_categories(
        table, names, {n: frame[n].to_numpy(object) for n in vocabulary}, vocabulary
    )


def read_hashes(folder: str | Path, images: Sequence[str]) -> list[str]:
    """sha256 of the bytes of each of ``images``, in hexadecimal, from ``images.csv`` beside the
    clean table in ``folder``."""
    frame = pd.read_csv(Path(folder) / HASHES, dtype=str, keep_default_na=False)
    sha256 = dict(zip(frame["image"], frame["sha256"], strict=True))
    return [sha256[image] for image in images]


def write_clean(table: LabelTable, path: str | Path) -> None:
    """Write image, split and the attributes; rows sorted by image name; and ``values.csv``.

    Cells are 1, 0 or empty; of categorical attributes the value or empty.
    """
    if table.split is None:
        raise ValueError("a clean table has a split for each image")
    table = table.take(sorted(range(len(table.images)), key=table.images.__getitem__))
    cells: dict[str, Any] = {"image": table.images, "split": table.split or []}
    group = {one.name: g for g, one in enumerate(table.categories)}
    for one in categories.attributes(table.attributes, table.categories):
        own = table.values[:, one.start : one.stop]
        if one.values:
            assert table.texts is not None
            cells[one.name] = categories.texts(own, one.values, table.texts[:, group[one.name]])
        else:
            cells[one.name] = np.where(np.isnan(own), "", np.where(own == 1, "1", "0"))[:, 0]
    write_csv(pd.DataFrame(cells), path)
    categories.write_values(table.categories, Path(path).with_name(VALUES))
