"""The label table: every accepted format, its tri-state cells, and the clean table."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline import categories, encoding
from pipeline.categories import Attribute
from pipeline.delimited import Row, fail, one_line, read_rows
from pipeline.files import write_csv

VALUES = "values.csv"
SPLITS = ("train", "val", "test")
IMAGE_COLUMNS = ("image", "filename", "file", "path", "image_name", "id")
RESERVED = ("image", "split")  # the clean table's own columns
CELLS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0} | dict.fromkeys(encoding.UNKNOWN, float("nan"))
ALLOWED = "1, 0 or unknown (empty, NA, NaN or ?)"


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Attributes of images.

    ``images`` has N names and ``attributes`` A names; ``values`` is float32 [N, A] of 1, 0 and NaN
    (unknown); ``split`` names train, val or test per image once the table is clean; ``merged``
    counts the rows that repeated an image and went into its first one.

    A categorical attribute has a column per value, see `pipeline.categories`: ``categories`` lists
    them, and ``texts``, object [N, G], has their cells as given, empty where unknown: a value that
    too few images have is there alone, its columns are all 0.
    """

    images: list[str]
    attributes: list[str]
    values: npt.NDArray[np.float32]
    split: list[str] | None = None
    merged: int = 0
    categories: tuple[Attribute, ...] = ()
    texts: npt.NDArray[np.object_] | None = None

    def take(self, rows: Sequence[int]) -> LabelTable:
        """The table of some of its rows."""
        kept = list(rows)
        return replace(
            self,
            images=[self.images[row] for row in kept],
            values=self.values[kept],
            split=None if self.split is None else [self.split[row] for row in kept],
            texts=None if self.texts is None else self.texts[kept],
        )


def read_table(
    path: str | Path,
    attributes: Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    min_count: int = 1,
) -> LabelTable:
    """Read a user's label table; images in order of first appearance.

    Accepted are cells separated by comma, tab, semicolon or white space, in UTF-8, with a header or
    without (attributes are then named Attr1, Attr2, ...). The first column names the images.
    ``attributes`` chooses and orders the columns, None takes every column but the first; columns
    not chosen may hold anything. Those named by ``categorical`` hold one of several values; a value
    that fewer than ``min_count`` images have gets no column.

    Raises
    ------
    PipelineError
        If the file can't be read as such a table, if an attribute is not in it, if a cell of a
        binary one is neither 1, 0 nor unknown, if two rows of an image disagree, if no label is
        known at all, or if a categorical attribute has fewer than two values with a column.
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
    _check_categorical(path, chosen, categorical)
    binary = [a for a, name in enumerate(chosen) if name not in categorical]
    values = np.empty(grid.shape, dtype=np.float32)
    values[:, binary] = _values(path, grid[:, binary], lines, [chosen[a] for a in binary])
    texts = {}
    for a in set(range(len(chosen))) - set(binary):
        values[:, a], texts[a] = encoding.codes(grid[:, a])
    if np.isnan(values).all():
        fail(
            path, f"every cell of {_listed(chosen)} is unknown, expected some 1 and 0; label a few"
        )
    table = _merge(path, LabelTable(images, chosen, values), lines, texts)
    return _expand(path, table, texts, min_count) if texts else table


def read_clean(path: str | Path) -> LabelTable:
    """Read a table that `write_clean` wrote: image, split, then one column per attribute, and, in
    ``values.csv`` beside it, which values of categorical attributes have a column."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        fail(path, f"not a readable clean table ({one_line(error)}); run `dvc repro`")
    if list(frame.columns[:2]) != list(RESERVED):
        fail(path, f"columns {list(frame.columns[:2])}, expected image, split; run `dvc repro`")
    split = frame["split"].tolist()
    if foreign := sorted(set(split) - set(SPLITS)):
        fail(path, f"column 'split': got {foreign[0]!r}, expected one of {', '.join(SPLITS)}")
    names, lines = frame.columns[2:].tolist(), np.arange(len(frame)) + 2
    vocabulary = encoding.read_values(Path(path).with_name(VALUES))
    binary = [name for name in names if name not in vocabulary]
    values = _values(path, frame[binary].to_numpy(dtype=object), lines, binary)
    table = LabelTable(frame["image"].tolist(), binary, values, split)
    if not vocabulary:
        return table
    return _with_categories(
        table, names, {n: frame[n].to_numpy(object) for n in vocabulary}, vocabulary
    )


def write_clean(table: LabelTable, path: str | Path) -> None:
    """Write image, split and the attributes; rows sorted by image name; and ``values.csv``.

    Cells are 1, 0 or empty; of categorical attributes the value or empty.
    """
    if table.split is None:
        raise ValueError("a clean table has a split for each image")
    table = table.take(sorted(range(len(table.images)), key=table.images.__getitem__))
    cells: dict[str, Any] = {"image": table.images, "split": table.split or []}
    group = {one.name: g for g, one in enumerate(table.categories)}
    for one in categories.attributes(table.attributes, table.categories):
        own = table.values[:, one.start : one.stop]
        if one.values:
            assert table.texts is not None
            cells[one.name] = encoding.texts(own, one.values, table.texts[:, group[one.name]])
        else:
            cells[one.name] = np.where(np.isnan(own), "", np.where(own == 1, "1", "0"))[:, 0]
    write_csv(pd.DataFrame(cells), path)
    encoding.write_values(table.categories, Path(path).with_name(VALUES))


def _check_categorical(path: str | Path, chosen: list[str], categorical: Sequence[str]) -> None:
    for name in categorical:
        if name not in chosen:
            close = difflib.get_close_matches(name, chosen, n=1)
            hint = f"did you mean {close[0]!r}?; " if close else ""
            fail(
                path,
                f"no attribute {name!r}, which categorical.columns in params.yaml lists; {hint}"
                f"expected some of {_listed(chosen)}",
            )


def _expand(
    path: str | Path, table: LabelTable, vocabulary: dict[int, list[str]], min_count: int
) -> LabelTable:
    """The table with categorical codes replaced by a column per frequent value."""
    names = table.attributes
    cells, frequent = {}, {}
    for a, texts in vocabulary.items():
        cells[names[a]] = encoding.decoded(table.values[:, a], texts)
        found = encoding.frequent(cells[names[a]], min_count)
        if len(found) < 2:
            fail(
                path,
                f"column {names[a]!r}: {len(found)} of its {len(texts)} values are on at least "
                f"{min_count} images, expected two or more; lower categorical.min_count in "
                "params.yaml, or leave the column out",
            )
        frequent[names[a]] = found
    binary = [a for a in range(len(names)) if a not in vocabulary]
    plain = replace(table, attributes=[names[a] for a in binary], values=table.values[:, binary])
    expanded = _with_categories(plain, names, cells, frequent)
    if len(set(expanded.attributes)) < len(expanded.attributes):
        twice = next(n for n in expanded.attributes if expanded.attributes.count(n) > 1)
        fail(path, f"column {twice!r} is named like a value of a categorical column; rename it")
    return expanded


def _with_categories(
    table: LabelTable,
    names: Sequence[str],
    cells: dict[str, npt.NDArray[np.object_]],
    values: dict[str, list[str]],
) -> LabelTable:
    """``table``, of binary attributes, with the categorical ones at their places in ``names``."""
    columns: list[np.ndarray] = []
    attributes: list[str] = []
    found: list[Attribute] = []
    for name in names:
        if name in values:
            one = Attribute(name, tuple(values[name]), len(attributes))
            found.append(one)
            attributes += one.columns
            columns.append(encoding.one_hot(cells[name], one.values))
        else:
            columns.append(table.values[:, [table.attributes.index(name)]])
            attributes.append(name)
    return replace(
        table,
        attributes=attributes,
        values=np.concatenate(columns, axis=1),
        categories=tuple(found),
        texts=np.stack([cells[one.name] for one in found], axis=1),
    )


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


def _merge(
    path: str | Path,
    table: LabelTable,
    lines: npt.NDArray[np.int_],
    texts: Mapping[int, Sequence[str]],
) -> LabelTable:
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
        two = low[image, column], high[image, column]
        first, second = sorted(int(np.flatnonzero(cells == value)[0]) for value in two)
        seen = [
            repr(texts[column][int(cells[row])]) if column in texts else f"{cells[row]:.0f}"
            for row in (first, second)
        ]
        more = f" ({len(conflicts) - 1} more such cells follow)" if len(conflicts) > 1 else ""
        fail(
            path,
            f"image {images[image]!r}, column {table.attributes[column]!r}: got "
            f"{seen[0]} in row {lines[first]} and {seen[1]} in row "
            f"{lines[second]}, expected one value{more}; keep the right row, or empty the cell",
        )
    return LabelTable(list(images), table.attributes, low, merged=repeated)
