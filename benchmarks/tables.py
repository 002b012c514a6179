"""Label tables of benchmark data: binary ones as the pipeline reads them, and categorical ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.data.labels import CELLS, LabelTable
from pipeline.data.read_table import read_table
from pipeline.data.table_files import read_rows
from pipeline.errors import fail


def read(path: Path) -> LabelTable | pd.DataFrame:
    """A binary table, or the text cells of a categorical one with the images' names as index.

    A table is categorical when a cell right of its first column is neither 1, 0 nor unknown.
    """
    rows = read_rows(path)
    if all(text.lower() in CELLS for _, cells in rows[1:] for text in cells[1:]):
        return read_table(path)
    header = rows[0][1]
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            fail(path, f"row {line}: got {len(cells)} cells, expected {len(header)} as in row 1")
    frame = pd.DataFrame([cells for _, cells in rows[1:]], columns=header)
    frame = frame.set_index(header[0])
    return frame[~frame.index.duplicated()]


def indicators(frame: pd.DataFrame, at_least: int) -> tuple[list[str], np.ndarray]:
    """A 0/1 column ``column=value`` for each frequent value of each column.

    Parameters
    ----------
    frame : text cells [N, columns]; an empty one is unknown in every column made of it.
    at_least : rows that have the value, and rows that are known not to have it.

    Returns
    -------
    Names [A] and labels float32 [N, A] of 1, 0 and NaN. Of two values that are each other's
    complement only the first by name stays: the second would be the same label upside down.
    """
    names: list[str] = []
    labels: list[np.ndarray] = []
    for column in frame.columns:
        cells = frame[column]
        known = _known(cells)
        made: list[np.ndarray] = []
        for value in sorted(set(cells[known])):
            holds = (cells == value).to_numpy() & known
            if holds.sum() < at_least or (known & ~holds).sum() < at_least:
                continue
            if any(np.array_equal(known & ~holds, other) for other in made):
                continue
            made.append(holds)
            names.append(f"{column}={value}")
            labels.append(np.where(known, holds, np.nan).astype(np.float32))
    if not labels:
        return [], np.empty((len(frame), 0), dtype=np.float32)
    return names, np.stack(labels, axis=1)


def of_several(frame: pd.DataFrame, at_least: int) -> tuple[list[Attribute], np.ndarray]:
    """A categorical attribute for each column with two frequent values or more.

    Parameters
    ----------
    frame : text cells [N, columns]; an empty one is unknown.
    at_least : rows that have a value, for it to get a column.

    Returns
    -------
    The attributes, and labels float32 [N, A] of 1, 0 and NaN, a column per frequent value.
    """
    found: list[Attribute] = []
    labels = [np.empty((len(frame), 0), dtype=np.float32)]
    for column in frame.columns:
        cells = frame[column].where(_known(frame[column]), "").to_numpy(dtype=object)
        values = tuple(categories.frequent(cells, at_least))
        if len(values) > 1:
            found.append(Attribute(str(column), values, found[-1].stop if found else 0))
            labels.append(categories.one_hot(cells, values))
    return found, np.hstack(labels)


def _known(cells: pd.Series) -> np.ndarray:
    return np.asarray(~cells.str.lower().isin({"", "na", "nan", "?"}))
