"""What the page shows and takes in: cells of a finished run as plain values, answers back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data import answers, corrections, filled_table
from pipeline.data.answers import Answer, Cell
from pipeline.data.filled_table import FilledTable
from pipeline.errors import PipelineError, did_you_mean
from pipeline.review import queues
from pipeline.review.queues import ALL, QUEUES, Choice

AT_A_TIME = 240
"""Cells that the page gets at a time."""
REVIEW = ("image", "attribute", "reason")


@dataclass(frozen=True, eq=False)
class Session:
    """A finished run and its file of corrections.

    table : the run's; review : image, attribute, reason of the cells most worth a look, in order.
    """

    table: FilledTable
    review: pd.DataFrame
    path: Path = corrections.PATH

    @cached_property
    def categorical(self) -> frozenset[str]:
        """Names of the categorical attributes."""
        return frozenset(self.table.given.vocabulary)

    def answered(self) -> dict[Cell, str]:
        """What the file of corrections says now."""
        return answers.read(self.path, self.categorical)

    def overview(self) -> dict[str, Any]:
        """Queues with the number of their cells, attributes with their values, for the page."""
        said = self.answered()
        listed = []
        for name, queue in QUEUES.items():
            cells = queues.cells(self.table, self.review, name)
            left = len(cells) - len(_done(cells, said))
            listed.append({"name": name, "title": queue.title, "about": queue.about, "left": left})
        return {
            "queues": listed,
            "attributes": [
                {"name": name, "values": values} for name, values in self.table.values.items()
            ],
            "expected": self.expected(said),
        }

    def cells(self, name: str, choice: Choice = ALL, most: int = AT_A_TIME) -> dict[str, Any]:
        """The first cells of a queue without an answer, how many there are, and what to expect.

        Raises
        ------
        PipelineError
            If there is no such queue.
        """
        if name not in QUEUES:
            hint = did_you_mean(name, QUEUES, " ")
            raise PipelineError(f"no queue {name!r}; {hint}expected one of {', '.join(QUEUES)}")
        said = self.answered()
        cells = queues.cells(self.table, self.review, name, choice)
        done = _done(cells, said)
        left = cells.drop(index=done)
        return {
            "cells": [self._cell(one, said) for one in left.head(most).to_dict("records")],
            "left": len(left),
            "done": len(done),
            "expected": self.expected(said),
        }

    def put(self, given: Sequence[Answer]) -> dict[str, Any]:
        """Write answers into the file of corrections.

        Raises
        ------
        PipelineError
            If a cell is not in the table, or its value is not one of its attribute's; and as
            `answers.put`.
        OSError
            As `answers.put`.
        """
        for one in given:
            self._check(one)
        said = answers.put(given, self.path, self.categorical)
        return {"answers": len(said), "expected": self.expected(said)}

    def expected(self, said: Mapping[Cell, str]) -> float | None:
        """The share of right cells to expect among those that were filled in, once the answers
        count: an answered cell is right, another as likely as its expected correctness says."""
        cells = self.table.provenance
        cells = cells[cells["value"] != ""]
        if cells.empty:
            return None
        sure = {cell for cell, value in said.items() if value != answers.CANT_TELL}
        known = [cell in sure for cell in zip(cells["image"], cells["attribute"], strict=True)]
        return float(np.where(known, 1, cells["expected_correctness"]).mean())

    def _check(self, one: Answer) -> None:
        values = self.table.values
        if one.image not in self.table.row:
            raise PipelineError(f"no image {one.image[:60]!r} in the table; load the page again")
        if one.attribute not in values:
            raise PipelineError(f"no attribute {one.attribute[:60]!r}; load the page again")
        allowed = [*values[one.attribute], answers.CANT_TELL]
        if one.value is not None and one.value not in allowed:
            raise PipelineError(
                f"attribute {one.attribute!r}: got {one.value[:60]!r}, expected one of "
                f"{', '.join(allowed)}"
            )

    def _cell(self, one: Mapping[Any, Any], said: Mapping[Cell, str]) -> dict[str, Any]:
        row = self.table.row[one["image"]]
        known = self.table.known.iloc[row]
        filled = self._filled.iloc[row]
        return {
            "row": row,
            "image": one["image"],
            "attribute": one["attribute"],
            "value": one["value"],
            "probability": one["probability"],
            "expected": one["expected_correctness"],
            "evidence": one["evidence"],
            "reason": one["reason"],
            "answer": said.get((one["image"], one["attribute"])),
            "others": [
                {"attribute": name, "value": filled[name], "known": known[name] != ""}
                for name in self.table.values
                if name != one["attribute"]
            ],
        }

    @cached_property
    def _filled(self) -> pd.DataFrame:
        return FilledTable(self.table.filled, self.table.filled, self.table.provenance).known


def load(folder: Path = filled_table.FOLDER, path: Path = corrections.PATH) -> Session:
    """The session of the finished run below ``folder``.

    Raises
    ------
    PipelineError
        If there is no finished run, or the corrections can't be read.
    """
    table = filled_table.read(folder)
    session = Session(table, filled_table.read_cells(folder / "imputed/review.csv", REVIEW), path)
    session.answered()
    return session


def _done(cells: pd.DataFrame, said: Mapping[Cell, str]) -> list[Any]:
    names = zip(cells.index, cells["image"], cells["attribute"], strict=True)
    return [index for index, *cell in names if tuple(cell) in said]
