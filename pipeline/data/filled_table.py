"""A finished run's tables side by side: what was given, what was filled in, how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from pipeline.data.answers import Answer
from pipeline.data.clean_table import read_clean
from pipeline.data.labels import LabelTable, written
from pipeline.errors import PipelineError, fail, one_line

FOLDER = Path("data")
NUMBERS = ("probability", "expected_correctness")
"""How the names of columns of numbers end."""
PROVENANCE = ("image", "attribute", "value", "probability", "evidence", "expected_correctness")


@dataclass(frozen=True, eq=False)
class FilledTable:
    """Two tables of the same images and attributes, and the account of the cells between them.

    given : the clean table, with its unknown cells.
    filled : the same, filled; a cell stays unknown where the policy abstains.
    provenance : one row per cell that was unknown: `PROVENANCE` and further columns; probability
        and expected_correctness are numbers, the others text.
    """

    given: LabelTable
    filled: LabelTable
    provenance: pd.DataFrame

    @cached_property
    def row(self) -> dict[str, int]:
        """Number of each image's row."""
        return {image: row for row, image in enumerate(self.given.images)}

    @cached_property
    def known(self) -> pd.DataFrame:
        """Texts of the given cells: a column per attribute, empty where unknown."""
        return _texts(self.given)

    @cached_property
    def all_filled(self) -> pd.DataFrame:
        """Texts of all cells, the filled ones among them."""
        return _texts(self.filled)

    @cached_property
    def values(self) -> dict[str, list[str]]:
        """What a cell of each attribute may be: 1 and 0, or a categorical attribute's values."""
        return {
            name: sorted({*own} - {""}) if name in self.given.vocabulary else ["1", "0"]
            for name, own in self.given.cells.items()
        }

    def recorded(self, one: Answer) -> Answer:
        """An answer with what had been filled into its cell, and how sure that was."""
        found = self._records.get((one.image, one.attribute))
        return one if found is None else replace(one, further={**found, **one.further})

    @cached_property
    def _records(self) -> dict[tuple[str, str], dict[str, str]]:
        cells = self.provenance
        numbers = cells["expected_correctness"].map(lambda number: f"{number:.6g}")
        return {
            (image, name): {"guess": value, "expected_correctness": number}
            for image, name, value, number in zip(
                cells["image"], cells["attribute"], cells["value"], numbers, strict=True
            )
        }


def read(folder: Path = FOLDER) -> FilledTable:
    """The filled table of a finished run below ``folder``.

    Raises
    ------
    PipelineError
        If there is none, or its parts are of different runs.
    """
    path = folder / "imputed/provenance.csv"
    if not path.exists():
        raise PipelineError(f"{path}: not there: no finished run; run `dvc repro` first")
    given = read_clean(folder / "clean/labels.csv")
    filled = read_clean(folder / "imputed/labels.csv")
    provenance = read_cells(path, PROVENANCE)
    if given.images != filled.images or [*given.cells] != [*filled.cells]:
        fail(path, "of another table than data/clean/labels.csv; finish the run with `dvc repro`")
    return FilledTable(given, filled, provenance)


def read_cells(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of cells of the pipeline's own with at least ``columns``, as text but for
    probabilities and expected_correctness.

    Raises
    ------
    PipelineError
        If it can't be read or lacks a column.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        if lacking := [name for name in columns if name not in frame]:
            fail(path, f"no column {lacking[0]!r}; run `dvc repro`")
        for name in frame.columns[frame.columns.str.endswith(NUMBERS)]:
            frame[name] = pd.to_numeric(frame[name])
        return frame
    except (OSError, ValueError) as error:
        fail(path, f"can't be read ({one_line(error)}); run `dvc repro`")


def _texts(table: LabelTable) -> pd.DataFrame:
    return pd.DataFrame({name: written(own) for name, own in table.cells.items()})
