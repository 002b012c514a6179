"""The user's label table: every accepted format, and what is wrong with all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data import advice, categories
from pipeline.data.categories import Attribute
from pipeline.data.columns import Choice, Columns, find, has_control_character
from pipeline.data.image_names import ImageNames
from pipeline.data.labels import (
    MINUS_ONE,
    SPLITS,
    LabelTable,
    binary_cells,
    meanings,
    text_cells,
    written,
)
from pipeline.data.table_files import Row, read_rows
from pipeline.errors import did_you_mean, fail, listed

SPLIT_WORDS = (
    dict.fromkeys(("train", "training"), "train")
    | dict.fromkeys(("val", "valid", "validation", "dev"), "val")
    | dict.fromkeys(("test", "testing"), "test")
)
"""What a split column may say, in lower case."""


def read_table(
    path: str | Path,
    attributes: Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    min_count: int = 1,
    *,
    names: ImageNames | None = None,
    exclude: Sequence[str] = (),
    image_column: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    encoding: str | None = None,
    blank: str = "unknown",
    minus_one: str = "error",
    known: Sequence[Attribute] = (),
) -> LabelTable:
    """Read a user's label table; images in order of first appearance.

    Accepted is what `pipeline.data.table_files.read_rows` reads, with a header or without, see
    `pipeline.data.columns.find`.

    Parameters
    ----------
    attributes : columns, in this order, None for every one but those used otherwise and those of
        ``exclude``; columns not chosen may hold anything.
    categorical : those of them that hold one of several values; a value that fewer than
        ``min_count`` images have gets no column.
    names : images are then called by the files that their names resolve to.
    image_column, split_column, group_column : None leaves the first to the table, the others away.
    blank : ``negative`` takes empty cells of binary columns for 0, once the rows of an image are
        merged; ``unknown`` for unknown.
    minus_one : ``negative`` or ``unknown`` is what -1 means in binary columns; or an ``error``.
    known : the attributes of a classifier, of which the table has some: those that are categorical,
        and their values, are then as there.

    Raises
    ------
    PipelineError
        If the file can't be read as such a table, if an attribute is not in it, if a cell of a
        binary one is neither 1, 0 nor unknown, if two rows of an image disagree, if no label is
        known at all, if a categorical attribute has fewer than two values with a column, if an
        attribute is none of the ``known``, or if a value differs from one of theirs in case alone.
    """
    rows = read_rows(path, encoding)
    choice = Choice(attributes, exclude, categorical, image_column, split_column, group_column)
    columns = find(path, rows, choice, names)
    if columns.header is not None:
        rows = rows[1:]
    if not rows:
        fail(path, "a header but no row below it, expected one row per image; add the labels")
    _check_rows(path, rows, columns)
    chosen = list(columns.attributes)
    if known:
        categorical = _categorical_among(path, chosen, known)
    lines = np.array([line for line, _ in rows])
    grid = np.empty((len(rows), len(chosen)), dtype=object)
    by_column = list(zip(*(row for _, row in rows), strict=True))
    for position, column in enumerate(columns.attributes.values()):
        grid[:, position] = by_column[column]
    binary = [a for a, name in enumerate(chosen) if name not in categorical]
    own = grid[:, binary]
    numbers = binary_cells(path, own, lines, [chosen[a] for a in binary], meanings(minus_one))
    cells: dict[str, np.ndarray] = dict.fromkeys(chosen, np.empty(0))  # the user's order
    cells |= {chosen[a]: column for a, column in zip(binary, numbers.T, strict=True)}
    cells |= {name: text_cells(grid[:, chosen.index(name)]) for name in categorical}
    for one in known:
        if one.name in categorical:
            _check_case(path, one, cells[one.name], lines)
    if not any((written(column) != "").any() for column in cells.values()):
        fail(
            path,
            f"every cell of {listed(chosen)} is unknown, expected some 1 and 0; label a few",
        )
    images = [row[columns.image] for _, row in rows]
    if names is not None:
        found = names.locate(images)
        images = [found[image].file for image in images]
    notes = [*columns.notes, *_notes(cells, own, minus_one)]
    table = LabelTable(
        images,
        cells,
        split=None if columns.split is None else _splits(path, rows, columns.split, split_column),
        group=None if columns.group is None else [row[columns.group] for _, row in rows],
    )
    table = _merge(path, table, lines)
    if blank == "negative":
        table, count = _blank_as_negative(table, images, own == "", [chosen[a] for a in binary])
        notes.append(f"{count} empty cells are taken for 0 (data.blank: negative)")
    table = replace(table, notes=tuple(notes))
    if known:
        return replace(
            table, vocabulary={one.name: one.values for one in known if one.name in categorical}
        )
    return _with_vocabulary(path, table, categorical, min_count)


def _categorical_among(
    path: str | Path, chosen: Sequence[str], known: Sequence[Attribute]
) -> list[str]:
    """The columns that are categorical attributes of a classifier, which knows them all."""
    names = [one.name for one in known]
    for name in chosen:
        if name not in names:
            hint = did_you_mean(name, names, "; ")
            fail(
                path,
                f"column {name!r} is no attribute of the classifier; {hint}expected some of "
                f"{listed(names)}",
            )
    return [one.name for one in known if one.values and one.name in chosen]


def _check_case(
    path: str | Path, attribute: Attribute, cells: np.ndarray, lines: npt.NDArray[np.int_]
) -> None:
    """Refuse a value that is one of a classifier's in another case."""
    own = {value.casefold(): value for value in attribute.values}
    for line, text in zip(lines, cells, strict=True):
        value = own.get(text.casefold())
        if value is not None and text not in attribute.values:
            fail(
                path,
                f"row {line}, column {attribute.name!r}: got {text!r}, expected {value!r}, as the "
                f"classifier has it; write {value!r}",
            )


def _notes(cells: dict[str, np.ndarray], binary: np.ndarray, minus_one: str) -> list[str]:
    found = []
    if minus_one != "error" and (count := int(np.isin(binary, MINUS_ONE).sum())):
        found.append(f"{count} cells of -1 are taken for {minus_one} (data.minus_one)")
    for name, own in cells.items():
        if own.dtype == object:
            counts = Counter(own[own != ""].tolist())
            found += [f"column {name!r}: {told}" for told in advice.on_values(counts)]
    return found


def _splits(path: str | Path, rows: Sequence[Row], place: int, column: str | None) -> list[str]:
    found = []
    for line, cells in rows:
        split = SPLIT_WORDS.get(cells[place].lower())
        if split is None:
            fail(
                path,
                f"row {line}, column {column!r}: got {cells[place][:60]!r}, expected one of "
                f"{', '.join(SPLITS)}, as split.column in params.yaml says; correct it",
            )
        found.append(split)
    return found


def _blank_as_negative(
    table: LabelTable, images: Sequence[str], empty: np.ndarray, names: Sequence[str]
) -> tuple[LabelTable, int]:
    """The table with 0 where no row of an image knows a binary cell and one of them is empty, and
    the number of these cells."""
    codes, _ = pd.factorize(np.array(images, dtype=object))
    any_empty = pd.DataFrame(empty, columns=list(names)).groupby(codes).any()
    cells, count = dict(table.cells), 0
    for name in names:
        turned = np.isnan(cells[name]) & any_empty[name].to_numpy()
        cells[name] = np.where(turned, 0, cells[name]).astype(np.float32)
        count += int(turned.sum())
    return replace(table, cells=cells), count


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


def _check_rows(path: str | Path, rows: Sequence[Row], columns: Columns) -> None:
    header, width = columns.header, columns.width
    like = f"row {rows[0][0]}" if header is None else "the header"
    for line, cells in rows:
        if len(cells) != width:
            fail(
                path,
                f"row {line}: got {len(cells)} cells, expected {width} as in {like}; add or remove "
                "cells, or quote a name that holds the separator",
            )
        name = cells[columns.image]
        if not name:
            fail(path, f"row {line}: the image name is empty; name the image or remove the row")
        if has_control_character(name):
            fail(
                path,
                f"row {line}: the image name {name[:60]!r} has a control character; rename it",
            )


def _merge(path: str | Path, table: LabelTable, lines: npt.NDArray[np.int_]) -> LabelTable:
    """Make one row of each image's rows; an unknown cell takes the value another row knows."""
    image_of, images = pd.factorize(np.array(table.images, dtype=object))
    repeated = len(image_of) - len(images)
    if not repeated:
        return table
    _check_one(path, table, image_of, lines)
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
    rows = np.unique(image_of, return_index=True)[1]
    return LabelTable(
        list(images),
        cells,
        split=None if table.split is None else [table.split[row] for row in rows],
        group=None if table.group is None else [table.group[row] for row in rows],
        merged=repeated,
    )


def _check_one(
    path: str | Path, table: LabelTable, image_of: np.ndarray, lines: npt.NDArray[np.int_]
) -> None:
    """Refuse an image whose rows name two splits or groups."""
    for what, own in (("split", table.split), ("group", table.group)):
        if own is None:
            continue
        seen: dict[int, int] = {}
        for row, image in enumerate(image_of):
            earlier = seen.setdefault(int(image), row)
            if own[earlier] != own[row]:
                fail(
                    path,
                    f"image {table.images[row]!r}: got {what} {own[earlier]!r} in row "
                    f"{lines[earlier]} and {own[row]!r} in row {lines[row]}, expected one; correct",
                )


def _ranks(cells: np.ndarray) -> npt.NDArray[np.float64]:
    """Numbers [N] in the order of the cells; NaN where unknown."""
    if cells.dtype != object:
        return cells.astype(np.float64)
    ranks = np.unique(cells, return_inverse=True)[1].astype(np.float64)
    ranks[cells == ""] = np.nan
    return ranks
