"""The columns of a predicted table, and its rows written as they come, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeline.errors import PipelineError
from pipeline.files import escape_formula, replace_file

UNLIKE = "unlike_training"
"""Column: whether a picture is unlike all that the classifier was trained on."""
UNDECODABLE = "backslashreplace"
"""A file's name need not be text: its other bytes are written as escapes."""


@dataclass
class Tally:
    """What has come out of the pictures so far.

    pictures, failed, unlike : how many there are, could not be read, and are `UNLIKE`; None where
        the classifier does not know.
    reason : the first that could not be read, and why.
    """

    pictures: int = 0
    failed: int = 0
    unlike: int | None = None
    reason: str = ""

    def count(self, row: Mapping[str, Any]) -> None:
        """Add a picture by its row."""
        self.pictures += 1
        self.failed += bool(row["error"])
        if UNLIKE in row:
            self.unlike = (self.unlike or 0) + (row[UNLIKE] == "yes")
        if row["error"] and not self.reason:
            self.reason = f"{row['image']}: {row['error']}"

    def check(self, out: Path) -> None:
        """Refuse to write ``out`` where no picture could be read."""
        if self.failed == self.pictures:
            raise PipelineError(
                f"{self.reason}; {self.failed} of {self.pictures} pictures could not be read, so "
                f"{out} is left as it was; look at the files, or name others"
            )


def of_attribute(name: str) -> tuple[str, str, str, str]:
    """Columns of an attribute: its value; the probability of 1, or of a categorical attribute's
    value; how likely the value is right; whether the attribute was found learnable."""
    return name, f"{name}_probability", f"{name}_expected_correctness", f"{name}_learnable"


def write(
    rows: Iterator[dict[str, Any]],
    attributes: Sequence[str],
    out: Path | None,
    escape: bool = False,
) -> Tally:
    """Write ``rows`` as they come, to standard output without ``out``; what came out.

    ``escape`` is for CSV that people open, see `files.escape_formula`. An earlier ``out`` is
    replaced when all rows are written, and not before.

    Raises
    ------
    PipelineError
        If there is an ``out`` and no picture could be read.
    """
    tally = Tally()
    rows = _counted(rows, tally)
    if out is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors=UNDECODABLE)
        _write_csv(rows, attributes, sys.stdout, escape)
        return tally
    with (
        replace_file(out) as staging,
        staging.open("w", encoding="utf-8", errors=UNDECODABLE, newline="") as stream,
    ):
        if out.suffix.lower() == ".json":
            _write_json(rows, stream)
        else:
            _write_csv(rows, attributes, stream, escape)
        tally.check(out)
    return tally


def _counted(rows: Iterator[dict[str, Any]], tally: Tally) -> Iterator[dict[str, Any]]:
    for row in rows:
        tally.count(row)
        yield row


def _write_csv(
    rows: Iterator[dict[str, Any]], attributes: Sequence[str], stream: IO[str], escape: bool
) -> None:
    columns = ["image", "error", UNLIKE]
    for attribute in attributes:
        columns += of_attribute(attribute)
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    show = escape_formula if escape else str
    writer.writerow({name: show(name) for name in columns})
    for row in rows:
        texts = {name: show(cell) for name, cell in row.items() if isinstance(cell, str)}
        writer.writerow(row | texts)


def _write_json(rows: Iterator[dict[str, Any]], stream: IO[str]) -> None:
    """A JSON array, one object per line."""
    separator = "[\n"
    for row in rows:
        stream.write(separator + json.dumps(row, ensure_ascii=False))
        separator = ",\n"
    stream.write("\n]\n")
