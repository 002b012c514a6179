"""What every reader does: reading files, writing the table whole or not at all, the last line."""

from __future__ import annotations

import csv
import io
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.clean_table import RESERVED
from pipeline.data.labels import CELLS
from pipeline.errors import PipelineError, fail
from pipeline.files import replace_file

_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")


@dataclass(frozen=True)
class Table:
    """A label table as text: ``columns`` has A names, ``rows`` N lists of image name and A cells.

    An empty cell is unknown.
    """

    columns: list[str]
    rows: list[list[str]]

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
            f"columns {', '.join(columns)}: all look like labels, so the table would seem to have "
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
        writer.writerow(["image", *table.columns])
        writer.writerows(table.rows)


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
