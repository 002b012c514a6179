"""The label table: every accepted format, its tri-state cells, and the clean table."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.delimited import Row, fail, one_line, read_rows
from pipeline.files import write_csv

UNKNOWN = float("nan")
SPLITS = ("train", "val", "test")
IMAGE_COLUMNS = ("image", "filename", "file", "path", "image_name", "id")
RESERVED = ("image", "split")  # the clean table's own columns
CELLS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0} | dict.fromkeys(
    ("", "na", "nan", "?"), UNKNOWN
)
ALLOWED = "1, 0 or unknown (empty, NA, NaN or ?)"


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Attributes of images.

    ``images`` has N names and ``attributes`` A names; ``values`` is float32 [N, A] of 1, 0 and NaN
    (unknown); ``split`` names train, val or test per image once the table is clean; ``merged``
    counts the rows that repeated an image and went into its first one.
    """

    images: list[str]
    attributes: list[str]
    values: npt.NDArray[np.float32]
    split: list[str] | None = None
    merged: int = 0


def read_table(path: str | Path, attributes: Sequence[str] | None = None) -> LabelTable:
    """Read a user's label table; images in order of first appearance.

    Accepted are cells separated by comma, tab, semicolon or white space, in UTF-8, with a header or
    without (attributes are then named Attr1, Attr2, ...). The first column names the images.
    ``attributes`` chooses and orders the columns, None takes every column but the first; columns
    not chosen may hold anything.

    Raises
    ------
    PipelineError
        If the file can't be read as such a table, if an attribute is not in it, if a cell is
        neither 1, 0 nor unknown, if two rows of an image disagree, or if no label is known at all.
    """
    rows = read_rows(path)
    names = _column_names(path, rows)
    if names is None:
        names = ["image", *(f"Attr{number}" for number in range(1, len(rows[0][1])))]
        header = None
    else:
        header, rows = rows[0][0], rows[1:]
    if not rows:
        fail(path, "a header but no row below it, expected one row per image; add the labels")
    _check_rows(path, rows, width=len(names), header=header)
    columns = _chosen(path, names, attributes)
    chosen = [names[column] for column in columns]
    lines = np.array([line for line, _ in rows])
    images = [cells[0] for _, cells in rows]
    grid = np.empty((len(rows), len(columns)), dtype=object)
    for position, column in enumerate(columns):
        grid[:, position] = [cells[column] for _, cells in rows]
    values = _values(path, grid, lines, chosen)
    if np.isnan(values).all():
        fail(
            path, f"every cell of {_listed(chosen)} is unknown, expected some 1 and 0; label a few"
        )
    return _merge(path, LabelTable(images, chosen, values), lines)


def read_clean(path: str | Path) -> LabelTable:
    """Read a table that `write_clean` wrote: image, split, then one column per attribute."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        fail(path, f"not a readable clean table ({one_line(error)}); run `dvc repro`")
    if list(frame.columns[:2]) != list(RESERVED):
        fail(path, f"columns {list(frame.columns[:2])}, expected image, split; run `dvc repro`")
    split = frame["split"].tolist()
    if foreign := sorted(set(split) - set(SPLITS)):
        fail(path, f"column 'split': got {foreign[0]!r}, expected one of {', '.join(SPLITS)}")
    attributes = frame.columns[2:].tolist()
    lines = np.arange(len(frame)) + 2
    values = _values(path, frame.iloc[:, 2:].to_numpy(dtype=object), lines, attributes)
    return LabelTable(frame["image"].tolist(), attributes, values, split)


def write_clean(table: LabelTable, path: str | Path) -> None:
    """Write image, split and the attributes; cells 1, 0 or empty; rows sorted by image name."""
    if table.split is None:
        raise ValueError("a clean table has a split for each image")
    order = sorted(range(len(table.images)), key=table.images.__getitem__)
    values = table.values[order]
    cells = np.where(np.isnan(values), "", np.where(values == 1, "1", "0"))
    frame = pd.DataFrame(cells, columns=table.attributes)
    frame.insert(0, "image", [table.images[row] for row in order])
    frame.insert(1, "split", [table.split[row] for row in order])
    write_csv(frame, path)


def _has_control_character(name: str) -> bool:
    # str.isprintable alone would refuse the narrow no-break spaces of macOS screenshots.
    return not name.isprintable() and any(ord(character) < 32 for character in name)


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _column_names(path: str | Path, rows: list[Row]) -> list[str] | None:
    """Names from the header, or None without one.

    The first row is a header unless each cell after its first is a label value: no label value is
    a sensible attribute name, and a data row has nothing else. The first cell decides nothing,
    since an image's name may look like anything.
    """
    line, names = rows[0]
    if len(names) < 2:
        fail(
            path,
            f"row {line}: one column only ({names[0][:60]!r}), so no attribute column; expected an "
            "image column and attributes, separated by comma, tab, semicolon or spaces",
        )
    if all(name.lower() in CELLS for name in names[1:]):
        return None
    allowed = ", ".join(IMAGE_COLUMNS)
    if names[0].lower() not in IMAGE_COLUMNS:
        later = [name for name in names[1:] if name.lower() in IMAGE_COLUMNS]
        odd = next(name for name in names[1:] if name.lower() not in CELLS)
        advice = f"move column {later[0]!r} to the front" if later else "rename it"
        fail(
            path,
            f"row {line}: no image column: got {names[0]!r} as name of the first column, expected "
            f"one of {allowed}; {advice}, or, if this row is no header, make {odd!r} a label",
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
            close = difflib.get_close_matches(name, valid, n=1)
            hint = f"did you mean {close[0]!r}?; " if close else ""
            fail(
                path,
                f"no column {name!r}, which attributes in params.yaml lists; {hint}"
                f"expected some of {_listed(valid)}",
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


def _values(
    path: str | Path, grid: npt.NDArray[np.object_], lines: npt.NDArray[np.int_], names: list[str]
) -> npt.NDArray[np.float32]:
    values = np.empty(grid.shape, dtype=np.float32)
    wrong: list[tuple[int, int]] = []
    for column in range(len(names)):
        codes, found = pd.factorize(grid[:, column])  # few distinct texts: look up each only once
        known = [CELLS.get(text.strip().lower()) for text in found]
        if None in known:
            bad = np.isin(codes, [code for code, value in enumerate(known) if value is None])
            wrong.extend((int(row), column) for row in np.flatnonzero(bad))
            continue
        values[:, column] = np.array(known, dtype=np.float32)[codes]
    if wrong:
        row, column = min(wrong)
        more = f" ({len(wrong) - 1} more such cells follow)" if len(wrong) > 1 else ""
        fail(
            path,
            f"row {lines[row]}, column {names[column]!r}: got {grid[row, column][:60]!r}, expected "
            f"{ALLOWED}{more}; correct it, or choose the columns with attributes in params.yaml",
        )
    return values


def _merge(path: str | Path, table: LabelTable, lines: npt.NDArray[np.int_]) -> LabelTable:
    """Make one row of each image's rows; an unknown cell takes the value another row knows."""
    codes, images = pd.factorize(np.array(table.images, dtype=object))
    repeated = len(codes) - len(images)
    if not repeated:
        return table
    by_image = pd.DataFrame(table.values).groupby(codes)
    low, high = by_image.min().to_numpy(np.float32), by_image.max().to_numpy(np.float32)
    conflicts = np.argwhere(low < high)  # never true of NaN
    if len(conflicts):
        image, column = conflicts[0]
        cells = np.where(codes == image, table.values[:, column], np.nan)
        first, second = sorted(int(np.flatnonzero(cells == value)[0]) for value in (0, 1))
        more = f" ({len(conflicts) - 1} more such cells follow)" if len(conflicts) > 1 else ""
        fail(
            path,
            f"image {images[image]!r}, column {table.attributes[column]!r}: got "
            f"{cells[first]:.0f} in row {lines[first]} and {cells[second]:.0f} in row "
            f"{lines[second]}, expected one value{more}; keep the right row, or empty the cell",
        )
    return LabelTable(list(images), table.attributes, low, merged=repeated)
