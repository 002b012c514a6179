"""What the page shows and takes in: cells of a finished run as plain values, answers back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.data import answers, corrections, filled_table
from pipeline.data.answers import Answer, Cell, Reading
from pipeline.errors import PipelineError, did_you_mean
from pipeline.review import queues
from pipeline.review.queues import ALL, QUEUES, Choice, Lists

AT_A_TIME = 240
"""Cells that the page gets at a time."""
RESULT = "imputed/provenance.csv"
REVIEW = ("image", "attribute", "queue", "listed_probability", "reason")
SUSPECTS = ("image", "attribute", "label", "wrong_probability", "reason")


@dataclass(frozen=True, eq=False)
class Session:
    """A finished run, with its lists, and its file of corrections.

    reading : of that file; stamp : tells the run from others in the same ``folder``.
    """

    lists: Lists
    path: Path = corrections.PATH
    reading: Reading = answers.PLAIN
    folder: Path = filled_table.FOLDER
    stamp: str = ""

    def is_outdated(self) -> bool:
        """Whether another run has finished.

        Raises
        ------
        OSError
            If one is under way, whose outputs are not there yet.
        """
        return _stamp(self.folder) != self.stamp

    def answered(self) -> dict[Cell, str]:
        """What the file of corrections says now."""
        return answers.read(self.path, self.reading)

    def overview(self) -> dict[str, Any]:
        """Queues with the number of their cells, attributes with their values, for the page."""
        said = self.answered()
        listed = []
        for name, queue in QUEUES.items():
            cells = queues.cells(self.lists, name)
            left = len(cells) - len(_done(cells, said))
            listed.append({"name": name, "title": queue.title, "about": queue.about, "left": left})
        expected = self.expected(said)
        return {
            "run": self.stamp,
            "queues": listed,
            "attributes": self.attributes(),
            "expected": expected,
        }

    def attributes(self) -> list[dict[str, Any]]:
        """Name and values of each attribute."""
        values = self.lists.table.values
        return [{"name": name, "values": own} for name, own in values.items()]

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
        cells = queues.cells(self.lists, name, choice)
        done = _done(cells, said)
        left = cells.drop(index=done)
        return {
            "cells": [self._cell(one, name) for one in left.head(most).to_dict("records")],
            "left": len(left),
            "done": len(done),
            "expected": self.expected(said),
        }

    def put(self, given: Sequence[Answer]) -> dict[str, Any]:
        """Write answers into the file of corrections, with what was filled in and how sure that
        was. Their ``further`` names the queue that they came from.

        Raises
        ------
        PipelineError
            If a cell is not in the table, or its value is not one of its attribute's; and as
            `answers.put`.
        OSError
            As `answers.put`.
        """
        table = self.lists.table
        answers.check(given, table.row, table.values)
        said = answers.put([self._with_record(one) for one in given], self.path, self.reading)
        return {"answers": len(said), "expected": self.expected(said)}

    def expected(self, said: Mapping[Cell, str]) -> float | None:
        """The share of right cells to expect among those that were filled in, once the answers
        count: an answered cell is right, another as likely as its expected correctness says."""
        own = self.correctness
        if not own:
            return None
        sure = [
            own[one] for one, value in said.items() if one in own and value != answers.CANT_TELL
        ]
        return (sum(own.values()) + len(sure) - sum(sure)) / len(own)

    @cached_property
    def correctness(self) -> dict[Cell, float]:
        """Expected correctness of each cell that was filled in."""
        cells = self.lists.table.provenance
        cells = cells[cells["value"] != ""]
        names = zip(cells["image"], cells["attribute"], strict=True)
        return dict(zip(names, cells["expected_correctness"].tolist(), strict=True))

    def _with_record(self, one: Answer) -> Answer:
        queue = one.further.get("queue", "")
        if queue not in QUEUES:
            queue = ""
        listed = self._listed.get((one.image, one.attribute, queue))
        further = {"queue": queue} | ({"listed_probability": listed} if listed else {})
        found = self.lists.table.recorded(replace(one, further=further))
        if all(found.further.get(name) for name in corrections.NEEDED.get(queue, ())):
            return found
        # The cell is not in that queue: no promise is checked by it.
        return replace(found, further={**found.further, "queue": ""})

    @cached_property
    def _listed(self) -> dict[tuple[str, str, str], str]:
        rows = self.lists.review[list(REVIEW[:4])].itertuples(index=False)
        return {
            (image, name, queue): f"{chance:.6g}"
            for image, name, queue, chance in rows
            if chance > 0
        }

    def _cell(self, one: Mapping[Any, Any], queue: str) -> dict[str, Any]:
        table = self.lists.table
        row = table.row[one["image"]]
        known, filled = table.known.iloc[row], table.all_filled.iloc[row]
        return {
            "row": row,
            "image": one["image"],
            "attribute": one["attribute"],
            "value": one["value"],
            "known": bool(known[one["attribute"]]),
            "probability": _number(one["probability"]),
            "expected": _number(one["expected_correctness"]),
            "evidence": one["evidence"],
            "reason": one["reason"],
            "queue": queue,
            "listed": _number(one["listed_probability"]),
            "answer": None,
            "others": [
                {"attribute": name, "value": filled[name], "known": known[name] != ""}
                for name in table.values
                if name != one["attribute"]
            ],
        }


def load(
    images: Path,
    minus_one: str = "error",
    folder: Path = filled_table.FOLDER,
    path: Path = corrections.PATH,
) -> Session:
    """The session of the finished run below ``folder``.

    Parameters
    ----------
    images : their folder; minus_one : the param ``data.minus_one``.

    Raises
    ------
    PipelineError
        If there is no finished run, or the corrections can't be read.
    """
    stamp = _stamp(folder) if (folder / RESULT).exists() else ""
    table = filled_table.read(folder)
    review = filled_table.read_cells(folder / "imputed/review.csv", REVIEW)
    suspects = filled_table.read_cells(folder / "imputed/suspects.csv", SUSPECTS)
    reading = answers.reading_of(table.given, images, minus_one)
    session = Session(Lists(table, review, suspects), path, reading, folder, stamp)
    session.answered()
    return session


def _stamp(folder: Path) -> str:
    found = (folder / RESULT).stat()
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _done(cells: pd.DataFrame, said: Mapping[Cell, str]) -> list[Any]:
    names = zip(cells.index, cells["image"], cells["attribute"], strict=True)
    return [index for index, *cell in names if tuple(cell) in said]
