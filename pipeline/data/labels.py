"""Labels of images in memory: binary columns of 1, 0 and unknown, and the cells behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data.categories import UNKNOWN, Attribute, one_hot
from pipeline.errors import fail

SPLITS = ("train", "val", "test")
CELLS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0} | dict.fromkeys(UNKNOWN, float("nan"))
ALLOWED = "1, 0 or unknown (empty, NA, NaN or ?)"


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Attributes of images.

    ``images`` has N names and ``attributes`` A names; ``values`` is float32 [N, A] of 1, 0 and NaN
    (unknown); ``split`` names train, val or test per image once the table is clean; ``merged``
    counts the rows that repeated an image and went into its first one.

    A categorical attribute has a column per value, see `pipeline.data.categories`: ``categories``
    lists them, and ``texts``, object [N, G], has their cells as given, empty where unknown: a value
    that too few images have is there alone, its columns are all 0.
    """

    images: list[str]
    attributes: list[str]
    values: npt.NDArray[np.float32]
    split: list[str] | None = None
    merged: int = 0
    categories: tuple[Attribute, ...] = ()
    texts: npt.NDArray[np.object_] | None = None

    def take(self, rows: Sequence[int]) -> LabelTable:
        """The table of some of its rows."""
        kept = list(rows)
        return replace(
            self,
            images=[self.images[row] for row in kept],
            values=self.values[kept],
            split=None if self.split is None else [self.split[row] for row in kept],
            texts=None if self.texts is None else self.texts[kept],
        )


def with_categories(
    table: LabelTable,
    names: Sequence[str],
    cells: dict[str, npt.NDArray[np.object_]],
    values: dict[str, list[str]],
) -> LabelTable:
    """``table``, of binary attributes, with the categorical ones at their places in ``names``.

    Parameters
    ----------
    names : all attributes in the user's order.
    cells : of each categorical one its texts, object [N], empty where unknown.
    values : of each categorical one those that get a column.
    """
    columns: list[np.ndarray] = []
    attributes: list[str] = []
    found: list[Attribute] = []
    for name in names:
        if name in values:
            one = Attribute(name, tuple(values[name]), len(attributes))
            found.append(one)
            attributes += one.columns
            columns.append(one_hot(cells[name], one.values))
        else:
            columns.append(table.values[:, [table.attributes.index(name)]])
            attributes.append(name)
    return replace(
        table,
        attributes=attributes,
        values=np.concatenate(columns, axis=1),
        categories=tuple(found),
        texts=np.stack([cells[one.name] for one in found], axis=1),
    )


def binary_cells(
    path: str | Path, grid: npt.NDArray[np.object_], lines: npt.NDArray[np.int_], names: list[str]
) -> npt.NDArray[np.float32]:
    """Cells of binary columns as float32 [N, columns] of 1, 0 and NaN.

    Parameters
    ----------
    grid : texts [N, columns]; lines : [N] of the file, for the message.

    Raises
    ------
    PipelineError
        For the first cell that is neither 1, 0 nor unknown.
    """
    values = np.empty(grid.shape, dtype=np.float32)
    wrong: list[tuple[int, int]] = []
    for column in range(len(names)):
        codes, found = pd.factorize(grid[:, column])  # few distinct texts: look up each only once
        known = [CELLS.get(text.strip().lower()) for text in found]
        if None in known:
            bad = np.isin(codes, [code for code, value in enumerate(known) if value is None])
            wrong.extend((int(row), column) for row in np.flatnonzero(bad))
            continue
        values[:, column] = np.array(known, dtype=np.float32)[codes]
    if wrong:
        row, column = min(wrong)
        more = f" ({len(wrong) - 1} more such cells follow)" if len(wrong) > 1 else ""
        fail(
            path,
            f"row {lines[row]}, column {names[column]!r}: got {grid[row, column][:60]!r}, expected "
            f"{ALLOWED}{more}; correct it, or choose the columns with attributes in params.yaml; a "
            "column of one of several values goes into categorical.columns",
        )
    return values
