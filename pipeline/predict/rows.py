"""The columns of a predicted table, and its rows written as they come, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from pipeline.files import escape_formula, replace_file

UNLIKE = "unlike_training"
"""Column: whether a picture is unlike all that the classifier was trained on."""
UNDECODABLE = "backslashreplace"
"""A file's name need not be text: its other bytes are written as escapes."""


def of_attribute(name: str) -> tuple[str, str, str, str]:
    """Columns of an attribute: its value; the probability of 1, or of a categorical attribute's
    value; how likely the value is right; whether the attribute was found learnable."""
    return name, f"{name}_probability", f"{name}_expected_correctness", f"{name}_learnable"


def write(
    rows: Iterator[dict[str, Any]],
    attributes: Sequence[str],
    out: Path | None,
    escape: bool = False,
) -> int:
    """Write ``rows`` as they come, to standard output without ``out``; the number of failures.

    ``escape`` is for CSV that people open, see `files.escape_formula`. An earlier ``out`` is
    replaced when all rows are written, and not before.
    """
    if out is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors=UNDECODABLE)
        return _write_csv(rows, attributes, sys.stdout, escape)
    with (
        replace_file(out) as staging,
        staging.open("w", encoding="utf-8", errors=UNDECODABLE, newline="") as stream,
    ):
        if out.suffix.lower() == ".json":
            return _write_json(rows, stream)
        return _write_csv(rows, attributes, stream, escape)


def _write_csv(
    rows: Iterator[dict[str, Any]], attributes: Sequence[str], stream: IO[str], escape: bool
) -> int:
    columns = ["image", "error", UNLIKE]
    for attribute in attributes:
        columns += of_attribute(attribute)
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    show = escape_formula if escape else str
    writer.writerow({name: show(name) for name in columns})
    failed = 0
    for row in rows:
        failed += bool(row["error"])
        texts = {name: show(cell) for name, cell in row.items() if isinstance(cell, str)}
        writer.writerow(row | texts)
    return failed


def _write_json(rows: Iterator[dict[str, Any]], stream: IO[str]) -> int:
    """A JSON array, one object per line."""
    failed = 0
    separator = "[\n"
    for row in rows:
        failed += bool(row["error"])
        stream.write(separator + json.dumps(row, ensure_ascii=False))
        separator = ",\n"
    stream.write("\n]\n")
    return failed
