"""Files of tables, of whatever kind, as rows of texts."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import fail, one_line, require_extra

Row = tuple[int, list[str]]
"""Number of the row's first line in the file, counted from 1, and its trimmed cells."""

IMAGE_COLUMNS = (
    *("image", "filename", "file", "path", "image_name", "id", "image_id", "image_path"),
    *("image_index", "filepath", "img", "name"),
)
"""What a header may call the image column, in any case, with or without spaces, - and _."""

_WHITESPACE = "white space"
_SPACE = " "
_SEPARATORS = (",", "\t", ";", "|", _WHITESPACE, _SPACE)
_BY_SUFFIX = {".csv": ",", ".tsv": "\t"}
_JSON = (".json", ".jsonl", ".ndjson")
_SAMPLED_ROWS = 50
_SAMPLED_CHARACTERS = 100_000
_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""How a file begins that Git LFS has not fetched yet."""


def read_rows(
    path: str | Path, encoding: str | None = None, named_by: str = "data.labels in params.yaml"
) -> list[Row]:
    """Read a table's rows, the header among them if it has one; rows without any text are left
    out.

    Text (CSV and its kin, JSON records, JSON lines), ``.xlsx`` and Parquet are told apart by
    content, JSON by its name. In text, lines that begin with # and are not cut into cells as the
    others are comments, and Excel's first line ``sep=;`` says the separator.

    Parameters
    ----------
    encoding : of a text; None is UTF-8, or UTF-16 or UTF-32 where it begins with a byte-order mark.
    named_by : what names the file, for messages.

    Raises
    ------
    PipelineError
        If the file is missing, a folder, not readable, no such table, wrongly quoted or empty.
    """
    content = _content(path, named_by)
    suffix = Path(path).suffix.lower()
    if content.startswith(b"PK\x03\x04"):
        rows = _spreadsheet(path)
    elif content.startswith(b"PAR1"):
        rows = _parquet(path)
    else:
        text = _text(path, content, encoding)
        rows = _json(path, text) if suffix in _JSON else _delimited(path, text, suffix)
    if not rows:
        fail(path, f"an empty table, expected one row per image; check {named_by}")
    return rows


def names_images(title: str) -> bool:
    """Whether a header's cell is, but for its spelling, one of `IMAGE_COLUMNS`."""
    return squeezed(title) in {squeezed(name) for name in IMAGE_COLUMNS}


def squeezed(title: str) -> str:
    """A column's name in lower case without spaces, - and _."""
    return re.sub(r"[\s_-]", "", title).lower()


def _content(path: str | Path, named_by: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        fail(path, f"no such file; set {named_by} to the label table")
    except IsADirectoryError:
        fail(path, f"a folder, expected a label table; set {named_by} to the file")
    except OSError as error:
        fail(path, f"can't be read ({error.strerror}); check {named_by}")
    if content.startswith(LFS_POINTER):
        fail(path, "a pointer of Git LFS, not the table itself; fetch it with `git lfs pull`")
    if content.startswith(b"\x1f\x8b"):
        fail(path, "a gzip file, expected the table itself; unpack it with gunzip")
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        fail(path, "an old Excel file (.xls), expected .xlsx or text; save it as .xlsx or CSV")
    return content


def _text(path: str | Path, content: bytes, encoding: str | None) -> str:
    marks = (name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark))
    found = next(marks, None) or encoding or "utf-8"
    if b"\0" in content and not found.startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        fail(path, "not a text file, expected CSV, TSV or plain text in UTF-8; export it as CSV")
    try:
        return content.decode(found)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02x}"
        if found.lower().replace("_", "-") not in ("utf-8", "utf-8-sig"):
            fail(path, f"row {line}: {byte} is no {found} text; correct data.encoding")
        fail(
            path,
            f"row {line}: {byte} is not UTF-8 text; save the table in UTF-8, or say in "
            "data.encoding in params.yaml what it is, as latin-1 or cp1252",
        )


def _delimited(path: str | Path, text: str, suffix: str) -> list[Row]:
    if said := re.match(r'"?sep=(.)"?[ \t]*(\r\n|\r|\n)', text):
        separator, text = said[1], "\n" + text[said.end() :]
    else:
        separator = _separator(path, text, suffix)
    try:
        rows = _rows(text, separator)
        found = list(_without_comments(rows)) if "#" in text else list(rows)
        return [row for row in found if not _is_rule(row[1])] if separator == "|" else found
    except csv.Error as error:
        fail(path, f"{one_line(error)}; check the quotes there")


def _is_rule(cells: list[str]) -> bool:
    """Whether a row is the line below the header of a table in Markdown."""
    return all(re.fullmatch(r":?-+:?|", cell) for cell in cells) and len({*cells} - {""}) > 0


def _separator(path: str | Path, text: str, suffix: str) -> str:
    """The separator that cuts most sampled rows as it cuts the first: a mere count would fall for
    commas inside names."""
    head = text[:_SAMPLED_CHARACTERS]
    if len(head) < len(text):
        head = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or text
    # `max` keeps the first of equals, so the suffix settles a tie.
    candidates = sorted(_SEPARATORS, key=lambda one: one != _BY_SUFFIX.get(suffix))
    samples = {one: _sample(head, one) for one in candidates}
    found = max(candidates, key=lambda one: _agreement(samples[one]))
    if found == _WHITESPACE and (line := _ambiguous_gap(head)):
        fail(
            path,
            f"row {line}: two spaces side by side, in other rows at other places: an empty cell or "
            "a wide gap? Write NA for unknown cells, or separate by comma",
        )
    return found


def _ambiguous_gap(text: str) -> int:
    """The row in which two spaces may be one gap or hold an empty cell; 0 where that is plain.

    It is not where all rows have equally many cells either way, the gaps are at different places,
    and neither the beginnings nor the ends of the cells are aligned.
    """
    numbered = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [line for _, line in numbered[:_SAMPLED_ROWS]]
    gaps = {tuple(not cell for cell in line.split(" ")) for line in lines}
    if len(gaps) == 1 or len({len(gap) for gap in gaps}) > 1 or "\t" in text:
        return 0
    words = [list(re.finditer(r"\S+", line)) for line in lines]
    begins = {tuple(word.start() for word in line) for line in words}
    ends = {tuple(word.end() for word in line) for line in words}
    return 0 if 1 in (len(begins), len(ends)) else next(i for i, line in numbered if "  " in line)


def _rows(text: str, separator: str) -> Iterator[Row]:
    lines: Iterator[str] = io.StringIO(text, newline=None)
    delimiter = separator
    if separator == _WHITESPACE:
        # Runs of spaces are skipped by the reader itself, and kept inside quotes.
        lines = (line.replace("\t", " ").strip() + "\n" for line in lines)
        delimiter = " "
    # strict: a quote that is never closed would otherwise swallow the rest of the table.
    reader = csv.reader(
        lines, delimiter=delimiter, skipinitialspace=separator != _SPACE, strict=True
    )
    line = 1
    try:
        for cells in reader:
            cells = list(map(str.strip, cells))
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"row {line}: {error}") from None


def _without_comments(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows without comments; a # before the image column of a header is cut off."""
    kept = list(rows)
    widths = Counter(len(cells) for _, cells in kept[:_SAMPLED_ROWS] if cells[0][:1] != "#")
    (width, _), *_ = widths.most_common(1) or [(0, 0)]
    for number, (line, cells) in enumerate(kept):
        if cells[0].startswith("#"):
            first = cells[0].lstrip("# ")
            header = number == 0 or all(one[0].startswith("#") for _, one in kept[:number])
            if header and names_images(first):
                yield line, [first, *cells[1:]]
                continue
            if header or len(cells) != width:
                continue
        yield line, cells


def _sample(text: str, separator: str) -> list[Row]:
    found: list[Row] = []
    try:
        for row in islice(_rows(text, separator), _SAMPLED_ROWS):
            if not row[1][0].startswith("#"):
                found.append(row)
    except csv.Error:
        pass  # rows before the broken one still count
    return found


def _agreement(sample: list[Row]) -> int:
    widths = [len(cells) for _, cells in sample]
    return sum(width == widths[0] > 1 for width in widths)


def _spreadsheet(path: str | Path) -> list[Row]:
    require_extra("tables", {"openpyxl": "openpyxl"}, f"{path}: a spreadsheet needs", "save as CSV")
    try:
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object, engine="openpyxl")
    except Exception as error:  # whatever a parser makes of a ZIP file that is no workbook
        fail(path, f"not a readable .xlsx workbook ({one_line(error)[:100]}); save it as CSV")
    filled = {name: sheet for name, sheet in sheets.items() if sheet.notna().any(axis=None)}
    if len(filled) > 1:
        fail(
            path,
            f"{len(filled)} sheets with cells, expected one; save the one of the labels by itself",
        )
    for frame in filled.values():
        lines = ((number + 1, cells) for number, cells in enumerate(frame.to_numpy(dtype=object)))
        return _written(path, lines)
    return []


def _parquet(path: str | Path) -> list[Row]:
    require_extra("tables", {"pyarrow": "pyarrow"}, f"{path}: a Parquet file needs", "save as CSV")
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except Exception as error:  # as above
        fail(path, f"not a readable Parquet file ({one_line(error)[:100]}); save it as CSV")
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=[name or "" for name in frame.index.names])
    lines = ((number + 1, cells) for number, cells in enumerate(frame.to_numpy(dtype=object)))
    return [(1, [str(name).strip() for name in frame.columns]), *_written(path, lines)]


def _json(path: str | Path, text: str) -> list[Row]:
    records = []
    try:
        try:
            content = json.loads(text)
            records = content if isinstance(content, list) else [content]
        except ValueError:
            lines = [line for line in text.splitlines() if line.strip()]
            if len(lines) < 2:
                raise
            records = [json.loads(line) for line in lines]
    except (ValueError, RecursionError) as error:
        fail(path, f"not valid JSON ({one_line(error)[:100]}); expected records, one per image")
    wrong = any(not isinstance(one, dict) for one in records)
    columns = [one for one in records if isinstance(one, Mapping) and _is_column(one)]
    if wrong or columns:
        fail(
            path,
            'expected a list of records as {"image": "a.jpg", "hat": 1}, or one of them per '
            "line; in pandas write it with orient='records'",
        )
    names = list(dict.fromkeys(str(name) for record in records for name in record))
    if not names:
        return []
    values = ((i, [record.get(name) for name in names]) for i, record in enumerate(records, 1))
    return [(1, [name.strip() for name in names]), *_written(path, values)]


def _is_column(record: Mapping[str, Any]) -> bool:
    return bool(record) and all(isinstance(value, dict | list) for value in record.values())


def _written(path: str | Path, rows: Iterable[tuple[int, Iterable[Any]]]) -> list[Row]:
    """Cells of any type as texts; a whole number has no decimals, what is missing is empty."""
    found = []
    for line, cells in rows:
        texts = [_cell(path, line, cell) for cell in cells]
        if any(texts):
            found.append((line, texts))
    return found


def _cell(path: str | Path, line: int, cell: Any) -> str:
    if isinstance(cell, str):
        return " ".join(cell.split()) if "\n" in cell else cell.strip()
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return ""
    if isinstance(cell, float | np.floating):
        if math.isnan(cell):
            return ""
        number = float(cell)
        return str(int(number)) if number.is_integer() and -1e15 < number < 1e15 else repr(number)
    if isinstance(cell, dict | list | tuple | set | bytes) or hasattr(cell, "__len__"):
        fail(
            path,
            f"row {line}: got {one_line(ValueError(cell))[:60]}, expected a text or a number; "
            "leave that column out of the file",
        )
    return str(cell).strip()
