"""The clean table on disk: image, split, then one column per attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data.labels import SPLITS, LabelTable, binary_cells, written
from pipeline.errors import fail, one_line
from pipeline.files import write_csv

RESERVED = ("image", "split")
"""Columns of its own, before the attributes."""
HASHES = "images.csv"
"""Beside it: the hash of each image's bytes, and its group."""
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
    vocabulary = read_values(Path(path).with_name(VALUES))
    binary = [name for name in names if name not in vocabulary]
    numbers = binary_cells(path, frame[binary].to_numpy(dtype=object), lines, binary)
    cells: dict[str, np.ndarray] = {name: frame[name].to_numpy(object) for name in names}
    cells |= dict(zip(binary, numbers.T, strict=True))
    return LabelTable(frame["image"].tolist(), cells, split, vocabulary=vocabulary)


def read_hashes(folder: str | Path, images: Sequence[str]) -> list[str]:
    """sha256 of the bytes of each of ``images``, in hexadecimal, from ``images.csv`` beside the
    clean table in ``folder``."""
    frame = pd.read_csv(Path(folder) / HASHES, dtype=str, keep_default_na=False)
    sha256 = dict(zip(frame["image"], frame["sha256"], strict=True))
    return [sha256[image] for image in images]


def read_groups(folder: str | Path, images: Sequence[str]) -> npt.NDArray[np.int64]:
    """int64 [N], the same number for ``images`` that belong in one split and fold: byte-identical
    ones, and those of one group of the user's; from ``images.csv`` as `read_hashes`."""
    frame = pd.read_csv(Path(folder) / HASHES, dtype={"image": str}, keep_default_na=False)
    group = dict(zip(frame["image"], frame["group"], strict=True))
    return np.array([group[image] for image in images], dtype=np.int64)


def write_clean(table: LabelTable, path: str | Path) -> None:
    """Write image, split and the attributes; rows sorted by image name; and ``values.csv``.

    Cells are 1, 0 or empty; of categorical attributes the value or empty.
    """
    if table.split is None:
        raise ValueError("a clean table has a split for each image")
    table = table.take(sorted(range(len(table.images)), key=table.images.__getitem__))
    cells = {name: written(own) for name, own in table.cells.items()}
    write_csv(pd.DataFrame({"image": table.images, "split": table.split, **cells}), path)
    vocabulary = {one.name: one.values for one in table.categories}
    write_values(vocabulary, Path(path).with_name(VALUES))


def write_values(vocabulary: Mapping[str, Sequence[str]], path: Path) -> None:
    """Categorical attribute -> values with a column, as a table: attribute, value."""
    rows = [(name, value) for name, values in vocabulary.items() for value in values]
    write_csv(pd.DataFrame(rows, columns=["attribute", "value"]), path)


def read_values(path: Path) -> dict[str, tuple[str, ...]]:
    """The inverse of `write_values`; empty where there is no such file."""
    if not path.is_file():
        return {}
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    by_name = frame.groupby("attribute", sort=False)["value"]
    return {str(name): tuple(values) for name, values in by_name}
