"""What every reader does: reading files, writing the table whole or not at all, the last line."""

from __future__ import annotations

import argparse
import csv
import io
import re
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.clean_table import RESERVED
from pipeline.data.labels import CELLS
from pipeline.data.table_files import Row, read_rows
from pipeline.errors import PipelineError, did_you_mean, fail, listed
from pipeline.files import replace_file

_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")


@dataclass(frozen=True)
class Table:
    """A label table as text: ``columns`` has A names, ``rows`` N lists of image name and A cells.

    An empty cell is unknown. ``params`` are what params.yaml has to say of the table; columns that
    these name beside the attributes are among ``beside``, name -> N texts. ``notes`` are lines on
    what was taken for what.
    """

    columns: list[str]
    rows: list[list[str]]
    beside: dict[str, list[str]] = field(default_factory=dict)
    params: dict[str, str | list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """How many images, columns, known and unknown cells."""
        unknown = sum(cell == "" for row in self.rows for cell in row[1:])
        known = len(self.rows) * len(self.columns) - unknown
        return (
            f"{len(self.rows)} images, {len(self.columns)} columns, {known} known and {unknown} "
            "unknown cells"
        )


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder that can be looked at."""
    try:
        return path.is_dir()
    except OSError:  # a name too long, or a folder on the way that may not be entered
        return False


def list_folder(path: Path) -> list[str]:
    """Sorted names in a folder, without hidden ones.

    Raises
    ------
    PipelineError
        If it can't be listed.
    """
    try:
        return sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        fail(path, f"can't be listed ({error.strerror}); expected a folder that you may read")


def read_bytes(path: Path, expected: str) -> bytes:
    """The content of a file; ``expected`` says in messages what it should be.

    Raises
    ------
    PipelineError
        If it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        fail(path, f"can't be read ({error.strerror}); expected {expected}")


def read_text(path: Path, expected: str) -> str:
    """The content of a UTF-8 text file, without a byte-order mark.

    Raises
    ------
    PipelineError
        If it can't be read or is no such text; the row is named.
    """
    content = read_bytes(path, expected)
    if b"\0" in content:
        fail(path, f"not a text file, expected {expected}; save it as text in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        fail(path, f"row {row}: byte 0x{content[error.start]:02x} is not UTF-8; save it in UTF-8")


def check_image(path: Path, where: str, name: str) -> None:
    """Refuse a name that would leave the image folder or could not be written to a table.

    Raises
    ------
    PipelineError
        Naming ``path`` and ``where`` in it.
    """
    odd = any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in name)
    if not name or odd or name != name.strip() or "/" in name or "\\" in name:
        fail(
            path,
            f"{where}: got {name[:60]!r} as an image, expected a file name without folder, control "
            "characters and outer spaces; rename the image",
        )


def check_columns(source: Path, columns: Sequence[str]) -> None:
    """Refuse columns that the pipeline would not take for attributes.

    Raises
    ------
    PipelineError
        If there is none, if one is reserved, or if all together look like a row of labels.
    """
    if not columns:
        fail(source, "no column to write, expected at least one; add labels")
    for name in columns:
        if name.lower() in (*RESERVED, "error"):
            fail(source, f"column {name!r}: image, split and error are reserved; rename it")
    if all(name.lower() in CELLS for name in columns):
        fail(
            source,
            f"columns {listed(columns)}: all look like labels, so the table would seem to have "
            "no header; rename one",
        )


def check_out(out: Path, source: Path) -> None:
    """Refuse, before anything is read, an output that can't be or must not be written.

    Raises
    ------
    PipelineError
        If it is no .csv, its folder is missing, it is a folder, or it is the ``source`` itself.
    """
    if out.suffix.lower() != ".csv":
        raise PipelineError(f"--out {out}: expected a name that ends in .csv")
    if not is_folder(out.absolute().parent):
        raise PipelineError(f"--out {out}: no such folder as {out.parent}; make it")
    if is_folder(out):
        raise PipelineError(f"--out {out}: a folder, expected a file; choose another name")
    same = False
    with suppress(OSError):  # one of them is not there: reading or writing it will say so
        same = out.samefile(source)
    if same:
        raise PipelineError(f"--out {out}: this is the file to read; choose another name")


def write(table: Table, out: Path) -> None:
    """Write ``table`` as CSV in UTF-8, ``\\n`` ending lines; earlier ``out`` is replaced last."""
    with replace_file(out) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["image", *table.columns, *table.beside])
        if table.beside:
            beside = zip(*table.beside.values(), strict=True)
            writer.writerows([*row, *own] for row, own in zip(table.rows, beside, strict=True))
        else:
            writer.writerows(table.rows)


def arguments(name: str, description: str, source: str) -> argparse.ArgumentParser:
    """The parser of a reader of one file, ``source``: that, --out and --images."""
    parser = argparse.ArgumentParser(
        prog=f"python -m pipeline.readers {name}", description=description
    )
    parser.add_argument("source", metavar=source, type=Path)
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="a .csv file")
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="of the images, for the line to go on with"
    )
    return parser


def deliver(table: Table, source: Path, out: Path, images: Path) -> None:
    """Write ``table``, say what it holds and the line to go on with.

    Raises
    ------
    PipelineError
        If it has no column or no row, or a name that can't be written or be an attribute's.
    """
    if not table.rows:
        fail(source, "no image in it, expected at least one; check the file")
    check_columns(source, table.columns)
    for row in table.rows:
        odd = any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in row[0])
        if odd or not row[0] or row[0] != row[0].strip():
            fail(
                source,
                f"got {row[0][:60]!r} as an image, expected a path without control chara"
                "cters and outer spaces; correct it",
            )
    write(table, out)
    params = {"data.labels": out, "data.images": images, **table.params}
    for note in table.notes:
        say(f"{source}: {note}")
    say(f"{out}: {table.summary()}; next: {experiment(params)}")


def cells_of(path: Path, needed: Sequence[str]) -> tuple[list[str], list[Row]]:
    """The header and the rows of a table with the columns ``needed``, all rows as wide as it.

    Raises
    ------
    PipelineError
        If it can't be read, lacks a column or has a row of another width.
    """
    (_, header), *rows = read_rows(path, named_by="the path")
    for name in needed:
        if name not in header:
            fail(path, f"no column {name!r}: got {listed(header, 8)}; expected another file")
    for line, cells in rows:
        if len(cells) != len(header):
            fail(path, f"row {line}: got {len(cells)} cells, expected {len(header)} as in row 1")
    return header, rows


def check_columns_asked(source: Path, asked: Sequence[str], there: Collection[str]) -> None:
    """Refuse names given with --columns that are not there.

    Raises
    ------
    PipelineError
        Naming the first.
    """
    for name in asked:
        if name not in there:
            hint = did_you_mean(name, there, " ")
            fail(
                source,
                f"no {name!r}, which --columns names; {hint}expected some of "
                f"{listed(sorted(there))}",
            )


def names(text: str | None) -> list[str]:
    """The names in a list that is separated by commas; none of None."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def experiment(params: Mapping[str, str | Path | list[str]]) -> str:
    """The shell line that runs the pipeline with ``params``.

    ``dvc exp run -S`` reads Hydra's override grammar
    (https://hydra.cc/docs/advanced/override_grammar/basic/), in which a comma asks for a sweep;
    values with more than plain characters are quoted for it, and then for the shell.
    """
    words = []
    for key, value in params.items():
        if isinstance(value, list):
            text = f"[{','.join(map(_quoted, value))}]"
        else:
            text = _quoted(str(value))
        words += ["-S", shlex.quote(f"{key}={text}")]
    return f"dvc exp run {' '.join(words)}"


def say(line: str) -> None:
    """Print one line; names in it that are no text are shown as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    print(line)


def _quoted(text: str) -> str:
    number = re.fullmatch(r"[+-]?([0-9._]+(e[+-]?[0-9_]+)?|inf|nan)", text.lower())
    if _PLAIN.fullmatch(text) and not number and text.lower() not in ("true", "false", "null"):
        return text
    # Only backslashes in front of a quote are escapes there.
    escaped = re.sub(
        r"(\\*)('|\Z)", lambda found: found[1] * 2 + found[2].replace("'", "\\'"), text
    )
    return f"'{escaped}'"
