"""The user's label table: every accepted format, and what is wrong with all others."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data import categories
from pipeline.data.clean_table import RESERVED
from pipeline.data.image_names import ImageNames
from pipeline.data.labels import CELLS, LabelTable, binary_cells, text_cells, written
from pipeline.errors import did_you_mean, fail, one_line

Row = tuple[int, list[str]]
"""Number of the row's first line in the file, counted from 1, and its trimmed cells."""

IMAGE_COLUMNS = (
    *("image", "filename", "file", "path", "image_name", "id", "image_id", "image_path"),
    *("image_index", "filepath", "img", "name"),
)
"""What a header may call the first column, in any case, with or without spaces, - and _."""

_WHITESPACE = " "
_SEPARATORS = (",", "\t", ";", _WHITESPACE)
_BY_SUFFIX = {".csv": ",", ".tsv": "\t"}
_SAMPLED_ROWS = 50


def read_rows(path: str | Path) -> list[Row]:
    """Read a table's rows, the header among them if it has one; rows without any text are left
    out.

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
            if any(cells):
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


def read_table(
    path: str | Path,
    attributes: Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    min_count: int = 1,
    names: ImageNames | None = None,
) -> LabelTable:
    """Read a user's label table; images in order of first appearance.

    Accepted are cells separated by comma, tab, semicolon or white space, in UTF-8, with a header or
    without (attributes are then named Attr1, Attr2, ...). The first column names the images.
    ``attributes`` chooses and orders the columns, None takes every column but the first; columns
    not chosen may hold anything. Those named by ``categorical`` hold one of several values; a value
    that fewer than ``min_count`` images have gets no column. With ``names`` images are called by
    the files that they resolve to.

    Raises
    ------
    PipelineError
        If the file can't be read as such a table, if an attribute is not in it, if a cell of a
        binary one is neither 1, 0 nor unknown, if two rows of an image disagree, if no label is
        known at all, or if a categorical attribute has fewer than two values with a column.
    """
    rows = read_rows(path)
    titles = _column_names(path, rows)
    if titles is None:
        titles = ["image", *(f"Attr{number}" for number in range(1, len(rows[0][1])))]
        header = None
    else:
        header, rows = rows[0][0], rows[1:]
    if not rows:
        fail(path, "a header but no row below it, expected one row per image; add the labels")
    _check_rows(path, rows, width=len(titles), header=header)
    columns = _chosen(path, titles, attributes)
    chosen = [titles[column] for column in columns]
    _check_categorical(path, chosen, categorical)
    lines = np.array([line for line, _ in rows])
    grid = np.empty((len(rows), len(columns)), dtype=object)
    for position, column in enumerate(columns):
        grid[:, position] = [row[column] for _, row in rows]
    binary = [a for a, name in enumerate(chosen) if name not in categorical]
    numbers = binary_cells(path, grid[:, binary], lines, [chosen[a] for a in binary])
    cells: dict[str, np.ndarray] = dict.fromkeys(chosen, np.empty(0))  # the user's order
    cells |= {chosen[a]: own for a, own in zip(binary, numbers.T, strict=True)}
    cells |= {name: text_cells(grid[:, chosen.index(name)]) for name in categorical}
    if not any((written(own) != "").any() for own in cells.values()):
        fail(
            path, f"every cell of {_listed(chosen)} is unknown, expected some 1 and 0; label a few"
        )
    images = [row[0] for _, row in rows]
    if names is not None:
        found = names.locate(images)
        images = [found[image].file for image in images]
    table = _merge(path, LabelTable(images, cells), lines)
    return _with_vocabulary(path, table, categorical, min_count)


def _check_categorical(path: str | Path, chosen: list[str], categorical: Sequence[str]) -> None:
    for name in categorical:
        if name not in chosen:
            hint = did_you_mean(name, chosen, "; ")
            fail(
                path,
                f"no attribute {name!r}, which categorical.columns in params.yaml lists; "
                f"{hint}expected some of {_listed(chosen)}",
            )


def _with_vocabulary(
    path: str | Path, table: LabelTable, categorical: Sequence[str], min_count: int
) -> LabelTable:
    """The table with the values of its categorical columns that are frequent enough to learn."""
    vocabulary = {}
    for name, own in table.cells.items():
        if name not in categorical:
            continue
        vocabulary[name] = tuple(categories.frequent(own, min_count))
        if len(vocabulary[name]) < 2:
            fail(
                path,
                f"column {name!r}: {len(vocabulary[name])} of its {len({*own} - {''})} values are "
                f"on at least {min_count} images, expected two or more; lower "
                "categorical.min_count in params.yaml, or leave the column out",
            )
    table = replace(table, vocabulary=vocabulary)
    names = table.attributes
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        fail(path, f"column {twice!r} is named like a value of a categorical column; rename it")
    return table


def _has_control_character(name: str) -> bool:
    # str.isprintable alone would refuse the narrow no-break spaces of macOS screenshots.
    return not name.isprintable() and any(ord(character) < 32 for character in name)


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _column_names(path: str | Path, rows: list[Row]) -> list[str] | None:
    """Names from the header, or None without one.

    The first row is a header if its first cell is one of `IMAGE_COLUMNS`, whatever follows
    (attributes may be named 0 and 1), and else unless each cell after its first is a label value: a
    data row has nothing else. Lone letters (y, n, t, f) may as well be attributes' names.
    """
    line, names = rows[0]
    if len(names) < 2:
        fail(
            path,
            f"row {line}: one column only ({names[0][:60]!r}), so no attribute column; expected an "
            "image column and attributes, separated by comma, tab, semicolon or spaces",
        )
    named = _names_images(names[0])
    labels = [name.lower() in CELLS and not (len(name) == 1 and name.isalpha()) for name in names]
    if not named and all(labels[1:]):
        return None
    allowed = ", ".join(IMAGE_COLUMNS)
    if not named:
        later = [name for name in names[1:] if _names_images(name)]
        odd = next(name for name, label in zip(names[1:], labels[1:], strict=True) if not label)
        advice = f"move column {later[0]!r} to the front" if later else "rename it"
        fail(
            path,
            f"row {line}: no image column: got {names[0]!r} as name of the first column, expected "
            f"one of {allowed}; {advice}, or, if this row is no header ({odd!r} may "
            "be a name), put one above it",
        )
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name:
            fail(path, f"row {line}: column {number} has no name; give it one or remove it")
        if name in seen:
            both = f"columns {seen[name]} and {number}"
            fail(path, f"row {line}: {both} are both named {name!r}; rename or remove one")
        seen[name] = number
    return names


def _names_images(header: str) -> bool:
    return _squeezed(header) in {_squeezed(name) for name in IMAGE_COLUMNS}


def _squeezed(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _check_rows(path: str | Path, rows: list[Row], width: int, header: int | None) -> None:
    like = f"row {rows[0][0]}" if header is None else "the header"
    for line, cells in rows:
        if len(cells) != width:
            fail(
                path,
                f"row {line}: got {len(cells)} cells, expected {width} as in {like}; add or remove "
                "cells, or quote a name that holds the separator",
            )
        if not cells[0]:
            fail(path, f"row {line}: the image name is empty; name the image or remove the row")
        if _has_control_character(cells[0]):
            fail(path, f"row {line}: the image name {cells[0]!r} has a control character; rename")


def _chosen(path: str | Path, names: list[str], attributes: Sequence[str] | None) -> list[int]:
    valid = names[1:]
    requested = list(valid if attributes is None else attributes)
    for position, name in enumerate(requested):
        if name not in valid:
            hint = did_you_mean(name, valid, "; ")
            fail(
                path,
                f"no column {name!r}, which attributes in params.yaml lists; "
                f"{hint}expected some of {_listed(valid)}",
            )
        if name in requested[:position]:
            fail(path, f"params.yaml: attributes lists {name!r} twice; remove one")
        taken = name in (*RESERVED, "error") or f"{name}_probability" in requested
        if taken or _has_control_character(name):
            fail(
                path,
                f"column {names.index(name, 1) + 1}: {name!r} can't name an attribute: image, "
                "split, error and a name whose NAME_probability is an attribute, too, are "
                "reserved, control characters not allowed; rename it, or choose "
                "other columns with attributes in params.yaml",
            )
    return [names.index(name, 1) for name in requested]


def _merge(path: str | Path, table: LabelTable, lines: npt.NDArray[np.int_]) -> LabelTable:
    """Make one row of each image's rows; an unknown cell takes the value another row knows."""
    image_of, images = pd.factorize(np.array(table.images, dtype=object))
    repeated = len(image_of) - len(images)
    if not repeated:
        return table
    frame = pd.DataFrame({name: _ranks(own) for name, own in table.cells.items()})
    by_image = frame.groupby(image_of)
    low, high = by_image.min().to_numpy(), by_image.max().to_numpy()
    conflicts = np.argwhere(low < high)  # never true of NaN
    if len(conflicts):
        image, column = conflicts[0]
        name = list(table.cells)[column]
        own, ranks = table.cells[name], np.where(image_of == image, frame[name], np.nan)
        two = low[image, column], high[image, column]
        first, second = sorted(int(np.flatnonzero(ranks == rank)[0]) for rank in two)
        seen = [
            repr(own[row]) if own.dtype == object else f"{own[row]:.0f}" for row in (first, second)
        ]
        more = f" ({len(conflicts) - 1} more such cells follow)" if len(conflicts) > 1 else ""
        fail(
            path,
            f"image {images[image]!r}, column {name!r}: got {seen[0]} in row {lines[first]} and "
            f"{seen[1]} in row {lines[second]}, expected one value{more}; keep the right row, or "
            "empty the cell",
        )
    known = {name: pd.Series(own).where(written(own) != "") for name, own in table.cells.items()}
    first_known = pd.DataFrame(known).groupby(image_of).first()
    cells = {
        name: first_known[name].fillna("").to_numpy(object)
        if own.dtype == object
        else first_known[name].to_numpy(np.float32)
        for name, own in table.cells.items()
    }
    return LabelTable(list(images), cells, merged=repeated)


def _ranks(cells: np.ndarray) -> npt.NDArray[np.float64]:
    """Numbers [N] in the order of the cells; NaN where unknown."""
    if cells.dtype != object:
        return cells.astype(np.float64)
    ranks = np.unique(cells, return_inverse=True)[1].astype(np.float64)
    ranks[cells == ""] = np.nan
    return ranks
