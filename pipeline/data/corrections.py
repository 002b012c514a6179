"""Labels that a person has looked at: they override the table's."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data.labels import ALLOWED, CELLS, UNKNOWN, LabelTable, written
from pipeline.data.table_files import read_rows
from pipeline.errors import did_you_mean, fail

PATH = Path("data/corrections.csv")
COLUMNS = ("image", "attribute", "value")
SEEN = "correct_value"
"""The column of a list, as reports/review.csv, in which a person says what is right; it counts
instead of ``value``, and where it is empty nobody has looked."""
NUMBERS = ("expected_correctness", "listed_probability")
KEPT = ("guess", "queue", *NUMBERS)
"""Further columns of a list that tell what was expected of a cell and how it came to be looked at;
see `pipeline.impute.review`."""
ACCOUNT = (*COLUMNS, "given", *KEPT)
CORRECTED = "corrected.csv"
"""Beside the clean table: what people said of which cell."""


@dataclass(frozen=True)
class Correction:
    """One line of the file.

    value : 1, 0, or NaN to call the cell unknown again; the text of a categorical attribute's
        value, empty for unknown.
    guess : what the pipeline had filled in, and how sure it was that this is right; queue,
        listed_probability : the part of the list that the cell was in, and with what probability
        it came to be there. Empty and None where the file does not say.
    """

    image: str
    attribute: str
    value: float | str
    line: int
    guess: str = ""
    queue: str = ""
    expected_correctness: float | None = None
    listed_probability: float | None = None


def read(
    path: str | Path = PATH,
    categorical: Collection[str] = (),
    image_of: Callable[[str], str] = lambda name: name,
    meaning: Mapping[str, float] = CELLS,
) -> list[Correction]:
    """The corrections of a file with the columns image, attribute and value, or those of
    reports/review.csv, whose column `SEEN` counts. ``categorical`` names the attributes whose
    values may be any text, ``image_of`` gives the image that a name stands for, ``meaning`` the
    number of a binary cell's text. A file that is empty or not there has none.

    A line of a list whose `SEEN` is empty is no judgement, whether the list's header came with it
    or, longer than the header, it was pasted below another.

    Raises
    ------
    PipelineError
        If a column is missing, a value is neither 1, 0 nor unknown, a number is none between 0 and
        1, or two lines disagree.
    """
    if not Path(path).exists():
        return []
    with suppress(OSError):  # which read_rows reports
        if not Path(path).read_bytes().strip():
            return []
    (_, header), *rows = read_rows(path, named_by="the file")
    names = [name.strip().lower() for name in header]
    columns = (*COLUMNS[:2], SEEN if SEEN in names else COLUMNS[2])
    if missing := [name for name in columns if name not in names]:
        fail(
            path,
            f"no column {missing[0]!r}; expected image, attribute and value in the first row",
        )
    places = [names.index(name) for name in columns]
    found: dict[tuple[str, str], Correction] = {}
    for line, cells in rows:
        if len(cells) == len(COLUMNS) and places == [0, 1, 2]:
            pass  # typed by hand below lines that were pasted with further columns
        elif len(cells) < len(names):
            fail(
                path, f"row {line}: got {len(cells)} cells, expected {len(names)} as in the header"
            )
        image, attribute, text = (cells[place] for place in places)
        if not text.strip() and (columns[2] == SEEN or len(cells) > len(names)):
            continue
        image = image_of(image)
        value: float | str | None = meaning.get(text.strip().lower())
        if attribute in categorical:
            value = "" if text.strip().lower() in UNKNOWN else text.strip()
        if value is None:
            fail(path, f"row {line}, column {columns[2]!r}: got {text[:60]!r}, expected {ALLOWED}")
        earlier = found.get((image, attribute))
        if earlier is not None and not _same(earlier.value, value):
            fail(
                path,
                f"row {line}: image {image!r}, attribute {attribute!r}: got {text!r}, but row "
                f"{earlier.line} says otherwise; keep the right one",
            )
        told = dict(zip(names, cells, strict=False))
        further = {name: told.get(name, "").strip() for name in KEPT}
        correctness, probability = (_share(further[name], name, line, path) for name in NUMBERS)
        found[image, attribute] = Correction(
            image,
            attribute,
            value,
            line,
            guess=further["guess"],
            queue=further["queue"],
            expected_correctness=correctness,
            listed_probability=probability,
        )
    return list(found.values())


def _share(text: str, column: str, line: int, path: str | Path) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        fail(
            path,
            f"row {line}, column {column!r}: got {text[:60]!r}, expected a number from 0 to 1 or "
            "nothing, as reports/review.csv has it",
        )
    return number


def check(table: LabelTable, corrections: Sequence[Correction], source: str | Path = PATH) -> None:
    """See that every correction is of a cell of the table.

    Raises
    ------
    PipelineError
        If an image, an attribute or a categorical attribute's value is not in the table.
    """
    images, cells = {*table.images}, table.cells
    texts = {name: {*cells[name], ""} for name in table.vocabulary}
    for one in corrections:
        of = (("image", one.image, images), ("attribute", one.attribute, cells))
        for what, name, known in of:
            if name not in known:
                hint = did_you_mean(name, known) or f"{len(known)} are known"
                fail(
                    source,
                    f"row {one.line}: no {what} {name[:60]!r} among the usable rows of the label "
                    f"table; {hint}; correct or remove the row",
                )
        if one.attribute in table.vocabulary:
            _check_value(one, texts[one.attribute], source)


def apply(
    table: LabelTable, corrections: Sequence[Correction], source: str | Path = PATH
) -> tuple[LabelTable, int]:
    """The table with its corrections, and how many cells changed; raises as `check`."""
    check(table, corrections, source)
    row = {image: i for i, image in enumerate(table.images)}
    cells = {name: own.copy() for name, own in table.cells.items()}
    for one in corrections:
        cells[one.attribute][row[one.image]] = one.value
    changed = sum(
        int((written(own) != written(table.cells[name])).sum()) for name, own in cells.items()
    )
    return replace(table, cells=cells), changed


def account(table: LabelTable, corrections: Sequence[Correction]) -> pd.DataFrame:
    """What people said of which cell, with `ACCOUNT`; cells that they called unknown are left out.

    Parameters
    ----------
    table : before its corrections, which ``given`` shows; empty where it was unknown. They fit it,
        as `apply` has found.
    """
    row = {image: i for i, image in enumerate(table.images)}
    texts = {name: written(own) for name, own in table.cells.items()}
    rows = []
    for one in corrections:
        said = (
            one.value
            if isinstance(one.value, str)
            else ""
            if one.value != one.value
            else f"{one.value:.0f}"
        )
        if said:
            own = {name: getattr(one, name) for name in ("image", "attribute", *KEPT)}
            given = texts[one.attribute][row[one.image]]
            rows.append({**own, "value": said, "given": given})
    return pd.DataFrame(rows, columns=list(ACCOUNT)).sort_values(
        ["image", "attribute"], ignore_index=True
    )


def read_account(folder: str | Path) -> pd.DataFrame:
    """The `account` beside the clean table in ``folder``, numbers as numbers, the rest as text."""
    frame = pd.read_csv(Path(folder) / CORRECTED, dtype=str, keep_default_na=False)
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in NUMBERS})


def looked_at(table: LabelTable, account: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """bool [N, A]: cells that only a person's look has made known.

    People look where a list sends them, at hard cells: as a sample of the others they would mislead
    whoever measures something with them.
    """
    out = np.zeros(table.values.shape, dtype=bool)
    row = {image: i for i, image in enumerate(table.images)}
    layout = {one.name: one for one in table.layout}
    for image, attribute in account.loc[account["given"] == "", ["image", "attribute"]].to_numpy():
        # An image without a usable row, or an attribute left out by now, has no cell.
        if image in row and attribute in layout:
            one = layout[attribute]
            out[row[image], one.start : one.stop] = True
    return out


def _check_value(one: Correction, known: set[str], source: str | Path) -> None:
    if one.value in known:
        return
    hint = did_you_mean(str(one.value), known) or "it is on no usable row of the label table"
    fail(
        source,
        f"row {one.line}: no value {str(one.value)[:60]!r} of attribute {one.attribute!r}; {hint}; "
        "correct it, or use a new value in the label table first",
    )


def _same(left: float | str, right: float | str) -> bool:
    return left == right or (left != left and right != right)  # NaN is NaN again
