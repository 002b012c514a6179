"""Rows of a delimited text file whose separator is not known beforehand."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NoReturn

from pipeline.errors import PipelineError

Row = tuple[int, list[str]]
"""Number of the row's first line in the file, counted from 1, and its trimmed cells."""

_WHITESPACE = " "
_SEPARATORS = (",", "\t", ";", _WHITESPACE)
_BY_SUFFIX = {".csv": ",", ".tsv": "\t"}
_SAMPLED_ROWS = 50


def fail(path: str | Path, what: str) -> NoReturn:
    """Raise the PipelineError about ``path``."""
    raise PipelineError(f"{path}: {what}") from None


def one_line(error: BaseException) -> str:
    """The message of ``error`` without line breaks."""
    return " ".join(str(error).split())


def read_rows(path: str | Path) -> list[Row]:
    """Read a table's rows, the header among them if it has one; blank lines are left out.

    Raises
    ------
    PipelineError
        If the file is missing, a folder, not readable, no UTF-8 text, wrongly quoted or empty.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        fail(path, "no such file; set data.labels in params.yaml to the label table")
    except IsADirectoryError:
        fail(path, "a folder, expected a label table; set data.labels in params.yaml to the file")
    except OSError as error:
        fail(path, f"can't be read ({error.strerror}); check data.labels in params.yaml")
    if b"\0" in content:
        fail(path, "not a text file, expected CSV, TSV or plain text in UTF-8; export it as CSV")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x}"
        fail(path, f"row {line}: {found} is not UTF-8 text; save the table in UTF-8")
    suffix = Path(path).suffix.lower()
    # The separator that cuts most sampled rows as it cuts the first wins: a mere count would fall
    # for commas inside names. `max` keeps the first of equals, so the suffix settles a tie.
    candidates = sorted(_SEPARATORS, key=lambda one: one != _BY_SUFFIX.get(suffix))
    separator = max(candidates, key=lambda one: _agreement(text, one))
    try:
        rows = list(_rows(text, separator))
    except csv.Error as error:
        fail(path, f"{one_line(error)}; check the quotes there")
    if not rows:
        fail(path, "an empty table, expected one row per image; check data.labels in params.yaml")
    return rows


def _rows(text: str, separator: str) -> Iterator[Row]:
    lines: Iterator[str] = io.StringIO(text, newline=None)
    if separator == _WHITESPACE:
        lines = (" ".join(line.split()) + "\n" for line in lines)
    # strict: a quote that is never closed would otherwise swallow the rest of the table.
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    line = 1
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if len(cells) > 1 or any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"row {line}: {error}") from None


def _agreement(text: str, separator: str) -> int:
    widths: list[int] = []
    try:
        for _, cells in islice(_rows(text, separator), _SAMPLED_ROWS):
            widths.append(len(cells))
    except csv.Error:
        pass  # rows before the broken one still count
    return sum(width == widths[0] > 1 for width in widths)
