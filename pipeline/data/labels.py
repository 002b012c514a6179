"""Labels of images in memory: every cell once, and the numbers that models learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data import advice, categories
from pipeline.data.categories import Attribute, Texts
from pipeline.errors import fail

SPLITS = ("train", "val", "test")
UNKNOWN = (
    *("", "na", "nan", "?", "n/a", "none", "null", "<na>", "#n/a", "#na", "#n/a n/a"),
    *("-nan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
)
"""What stands for an unknown cell, in lower case: the question mark, and what pandas.read_csv takes
for missing."""
_DECIMALS = ("", *(f"{point}{'0' * count}" for point in ".," for count in range(7)))
CELLS = (
    dict.fromkeys((*(f"1{decimals}" for decimals in _DECIMALS), "true", "yes", "t", "y"), 1.0)
    | dict.fromkeys((*(f"0{decimals}" for decimals in _DECIMALS), "false", "no", "f", "n"), 0.0)
    | dict.fromkeys(UNKNOWN, float("nan"))
)
"""The number of a binary cell's text, in lower case."""
MINUS_ONE = ("-1", "-1.0", "-1,0")
"""What stands for -1, which means no in CelebA and PASCAL VOC, and uncertain in CheXpert."""
ALLOWED = "1, 0 or unknown (empty, NA, NaN or ?), or True, False, yes or no"


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Attributes of images.

    images : N names.
    cells : of each attribute, in the user's order, its column [N]: float32 of 1, 0 and NaN
        (unknown); of a categorical one object of its values as text, empty where unknown.
    split : train, val or test of each image, once the table is clean or where it says so itself.
    group : a text for each image, equal where two belong together and may not be in two splits,
        empty where an image belongs to none; None where the table has no such column.
    notes : what was taken for what, where a person may want to know, one line each.
    merged : how many rows repeated an image and went into its first one.
    vocabulary : of each categorical attribute the values that get a column of their own among
        ``values``, the most frequent first; one that too few images have gets none.

    Models see numbers: ``values``, one column per binary attribute and per value of a categorical
    one, in the places that ``layout`` says.
    """

    images: list[str]
    cells: dict[str, np.ndarray]
    split: list[str] | None = None
    merged: int = 0
    vocabulary: dict[str, tuple[str, ...]] = field(default_factory=dict)
    group: list[str] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def binary(
        cls,
        images: Sequence[str],
        names: Sequence[str],
        values: np.ndarray,
        split: Sequence[str] | None = None,
    ) -> LabelTable:
        """The table of binary attributes alone, from ``values`` [N, A] of 1, 0 and NaN."""
        columns = np.asarray(values, dtype=np.float32).T
        cells = dict(zip(names, columns, strict=True))
        return cls(list(images), cells, None if split is None else list(split))

    @cached_property
    def layout(self) -> tuple[Attribute, ...]:
        """The attributes in the user's order, each with its columns among ``values``."""
        found: list[Attribute] = []
        for name in self.cells:
            start = found[-1].stop if found else 0
            found.append(Attribute(name, self.vocabulary.get(name, ()), start))
        return tuple(found)

    @property
    def categories(self) -> tuple[Attribute, ...]:
        """The categorical ones of the ``layout``."""
        return tuple(one for one in self.layout if one.values)

    @property
    def attributes(self) -> list[str]:
        """Names of the columns of ``values``."""
        return [column for one in self.layout for column in one.columns]

    @cached_property
    def values(self) -> npt.NDArray[np.float32]:
        """Read-only float32 [N, K] of 1, 0 and NaN (unknown), one-hot of categorical attributes.

        The columns of a value without one of its own are all 0.
        """
        width = self.layout[-1].stop if self.layout else 0
        out = np.empty((len(self.images), width), dtype=np.float32)
        for one in self.layout:
            own = self.cells[one.name]
            out[:, one.start : one.stop] = (
                categories.one_hot(own, one.values) if one.values else own[:, None]
            )
        out.flags.writeable = False
        return out

    def take(self, rows: Sequence[int]) -> LabelTable:
        """The table of some of its rows."""
        kept = list(rows)
        return replace(
            self,
            images=[self.images[row] for row in kept],
            cells={name: own[kept] for name, own in self.cells.items()},
            split=None if self.split is None else [self.split[row] for row in kept],
            group=None if self.group is None else [self.group[row] for row in kept],
        )

    def filled(self, values: np.ndarray) -> LabelTable:
        """The table with its unknown cells as in ``values`` [N, K], as far as they are known there;
        known cells stay."""
        cells = {}
        for one in self.layout:
            given, own = self.cells[one.name], values[:, one.start : one.stop]
            if one.values:
                cells[one.name] = np.where(given == "", categories.texts(own, one.values), given)
            else:
                cells[one.name] = np.where(np.isnan(given), own[:, 0], given).astype(np.float32)
        return replace(self, cells=cells)


def text_cells(cells: np.ndarray) -> Texts:
    """Cells of a categorical column [N] without outer spaces, empty where unknown."""
    codes, found = pd.factorize(cells)  # few distinct texts: look at each only once
    stripped = [str(text).strip() for text in found]
    known = ["" if text.lower() in UNKNOWN else text for text in stripped]
    return np.array(known, dtype=object)[codes]


def written(cells: np.ndarray) -> Texts:
    """Cells of `LabelTable.cells` as a table has them: 1, 0, a value, or empty where unknown."""
    if cells.dtype == object:
        return cells
    return np.where(np.isnan(cells), "", np.where(cells == 1, "1", "0")).astype(object)


def meanings(minus_one: str = "error") -> dict[str, float]:
    """`CELLS`, with `MINUS_ONE` if it means ``negative`` or ``unknown`` and is no ``error``."""
    number = {"error": None, "negative": 0.0, "unknown": float("nan")}[minus_one]
    return CELLS if number is None else CELLS | dict.fromkeys(MINUS_ONE, number)


def binary_cells(
    path: str | Path,
    grid: npt.NDArray[np.object_],
    lines: npt.NDArray[np.int_],
    names: list[str],
    cells: Mapping[str, float] = CELLS,
) -> npt.NDArray[np.float32]:
    """Cells of binary columns as float32 [N, columns] of 1, 0 and NaN.

    Parameters
    ----------
    grid : texts [N, columns]; lines : [N] of the file, for the message; cells : the number of each
        text, in lower case.

    Raises
    ------
    PipelineError
        For the first cell that is neither 1, 0 nor unknown.
    """
    values = np.empty(grid.shape, dtype=np.float32)
    wrong: list[tuple[int, int]] = []
    count = 0
    for column in range(len(names)):
        codes, found = pd.factorize(grid[:, column])
        known = [cells.get(text.strip().lower()) for text in found]
        if None in known:
            bad = np.isin(codes, [code for code, value in enumerate(known) if value is None])
            wrong.append((int(np.argmax(bad)), column))
            count += int(bad.sum())
            continue
        values[:, column] = np.array(known, dtype=np.float32)[codes]
    if wrong:
        row, column = min(wrong)
        odd = {
            text: n
            for text, n in Counter(grid[:, column].tolist()).items()
            if text.strip().lower() not in cells
        }
        more = f" ({count - 1} more such cells follow)" if count > 1 else ""
        fail(
            path,
            f"row {lines[row]}, column {names[column]!r}: got {grid[row, column][:60]!r}, expected "
            f"{ALLOWED}{more}; {advice.on_odd_cells(odd, len(grid), MINUS_ONE)}",
        )
    return values
