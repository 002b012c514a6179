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
from pipeline.data.table_files import Row, read_rows
from pipeline.errors import did_you_mean, fail, listed

PATH = Path("data/corrections.csv")
COLUMNS = ("image", "attribute", "value")
GUESS = "1, 0 or nothing, as reports/review.csv has it"
SEEN = "correct_value"
"""The column of a list, as reports/review.csv, in which a person says what is right; it counts
instead of ``value``, and where it is empty nobody has looked."""
NUMBERS = ("expected_correctness", "listed_probability")
KEPT = ("guess", "queue", *NUMBERS)
"""Further columns of a list that tell what was expected of a cell and how it came to be looked at;
see `pipeline.impute.review`."""
QUEUES = (
    *("too few labels", "doubtful", "audit", "suspects", "attribute", "image"),
    *("label-studio", "cvat", "fiftyone", "open-images", "huggingface"),
)
"""How a cell may have come to be looked at: queues of the review, and other tools."""
NEEDED = {
    "doubtful": ("expected_correctness",),
    "audit": ("guess", "expected_correctness", "listed_probability"),
}
"""What a line of a queue whose promise is compared with what people find has to tell."""
ACCOUNT = (*COLUMNS, "given", *KEPT)
CORRECTED = "corrected.csv"
"""Beside the clean table: what people said of which cell."""


@dataclass(frozen=True)
class Correction:
    """One line of the file.

    value : 1, 0, or NaN to call the cell unknown again; the text of a categorical attribute's
        value, empty for unknown.
    guess : what the pipeline had filled in, written as a table has it; expected_correctness : how
        sure it was that this is right; queue, listed_probability : the part of the list that the
        cell was in, and with what probability it came to be there. Empty and None where the file
        does not say.
    """

    image: str
    attribute: str
    value: float | str
    line: int
    guess: str = ""
    queue: str = ""
    expected_correctness: float | None = None
    listed_probability: float | None = None


@dataclass(frozen=True)
class Section:
    """Lines of the file below one header; rows : each with as many cells as the header."""

    header: list[str]
    rows: list[Row]

    @property
    def names(self) -> list[str]:
        """Of the columns, in lower case."""
        return [name.lower() for name in self.header]

    @property
    def value(self) -> str:
        """The column that counts."""
        return SEEN if SEEN in self.names else COLUMNS[2]


def sections(path: str | Path) -> list[Section]:
    """The parts of a file of corrections; more than one where the lines of a list were pasted below
    others with the list's own header. A file that is empty or not there has none.

    Raises
    ------
    PipelineError
        If a column is missing or there twice, or a line has more or less cells than its header.
    """
    if not Path(path).exists():
        return []
    with suppress(OSError):  # which read_rows reports
        if not Path(path).read_bytes().strip():
            return []
    found: list[Section] = []
    begin = 0
    for line, cells in read_rows(path, named_by="the file"):
        names = {cell.lower() for cell in cells}
        if not found or ({*COLUMNS[:2]} <= names and names & {SEEN, COLUMNS[2]}):
            found.append(Section(_without_empty_end(cells), []))
            _check_header(found[-1], line, path)
            begin = line
        else:
            found[-1].rows.append((line, _fitted(found[-1], cells, line, begin, path)))
    return found


def _without_empty_end(cells: list[str], least: int = 0) -> list[str]:
    """Without the empty cells that a spreadsheet adds to narrow rows."""
    return cells[: max([least, *(place for place, cell in enumerate(cells, 1) if cell)])]


def _check_header(section: Section, line: int, path: str | Path) -> None:
    names = section.names
    for name in (*COLUMNS[:2], section.value):
        if name not in names:
            fail(path, f"no column {name!r}; expected image, attribute and value in the first row")
    for name in (*COLUMNS, SEEN, *KEPT):
        if (count := names.count(name)) > 1:
            fail(path, f"row {line}: {count} columns {name!r}, expected one; rename the others")


def _fitted(
    section: Section, cells: list[str], line: int, begin: int, path: str | Path
) -> list[str]:
    width = len(section.header)
    cells = _without_empty_end(cells, width)
    # Three cells may be typed by hand below lines that were pasted with further columns.
    typed = len(cells) == len(COLUMNS) and section.names[:3] == [*COLUMNS[:2], section.value]
    if len(cells) != width and not typed:
        fail(
            path,
            f"row {line}: got {len(cells)} cells, expected {width} as in the header in row "
            f"{begin}; lines of reports/review.csv or reports/suspects.csv need the header line of "
            "their own list: paste it along, above them",
        )
    return cells + [""] * (width - len(cells))


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

    A line of a list whose `SEEN` is empty is no judgement.

    Raises
    ------
    PipelineError
        As `sections`; if a value or a guess is neither 1, 0 nor unknown, a number is none between 0
        and 1, there is no such queue, what a queue's promise is compared by is missing, or two
        lines disagree.
    """

    def valued(text: str, column: str, name: str, line: int, allowed: str) -> float | str:
        if name in categorical:
            return "" if text.lower() in UNKNOWN else text
        if text.lower() not in meaning:
            fail(path, f"row {line}, column {column!r}: got {text[:60]!r}, expected {allowed}")
        return meaning[text.lower()]

    found: dict[tuple[str, str], Correction] = {}
    for section in sections(path):
        for line, cells in section.rows:
            told = dict(zip(section.names, cells, strict=True))
            name, text = told["attribute"], told[section.value]
            if not text and section.value == SEEN:
                continue
            image = image_of(told["image"])
            value = valued(text, section.value, name, line, ALLOWED)
            earlier = found.get((image, name))
            if earlier is not None and not _same(earlier.value, value):
                fail(
                    path,
                    f"row {line}: image {image!r}, attribute {name!r}: got {text!r}, but row "
                    f"{earlier.line} says otherwise; keep the right one",
                )
            further = {column: told.get(column, "") for column in KEPT}
            if earlier is not None and not any(further.values()):
                continue  # what the earlier line tells of the cell stays
            guess = valued(further["guess"], "guess", name, line, GUESS)
            correctness, probability = (_share(further[one], one, line, path) for one in NUMBERS)
            found[image, name] = Correction(
                image,
                name,
                value,
                line,
                guess=text_of(guess),
                queue=further["queue"],
                expected_correctness=correctness,
                listed_probability=probability,
            )
            _check_record(found[image, name], path)
    return list(found.values())


def text_of(value: float | str) -> str:
    """A value as a table has it, empty where it is unknown."""
    if isinstance(value, str):
        return value
    return "" if value != value else f"{value:.0f}"


def _check_record(one: Correction, path: str | Path) -> None:
    """See that `pipeline.impute.audit_by_people` can make something of what a line tells."""
    if one.queue and one.queue not in QUEUES:
        hint = did_you_mean(one.queue, QUEUES, " ")
        fail(
            path,
            f"row {one.line}, column 'queue': got {one.queue[:60]!r}; {hint}expected one of "
            f"{listed(QUEUES)}, or nothing",
        )
    for column in NEEDED.get(one.queue, ()):
        got = getattr(one, column)
        if got in (None, "") or (column == "listed_probability" and not got):
            allowed = {"guess": "what had been filled in", "listed_probability": "more than 0"}
            fail(
                path,
                f"row {one.line}, column {column!r}: got {'nothing' if got != 0 else 0}, expected "
                f"{allowed.get(column, 'a number from 0 to 1')}, as in the queue {one.queue!r} of "
                "reports/review.csv; copy it from the list, or leave queue empty, too",
            )


def _share(text: str, column: str, line: int, path: str | Path) -> float | None:
    if text.lower() in UNKNOWN:
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
        If an image, an attribute or a categorical attribute's value or guess is not in the table.
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
            _check_value(one, "value", texts[one.attribute], source)
            _check_value(one, "guess", texts[one.attribute], source)


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
    """What people said of which cell, with `ACCOUNT`; ``value`` is empty where they called it
    unknown.

    Parameters
    ----------
    table : before its corrections, which ``given`` shows; empty where it was unknown. They fit it,
        as `apply` has found.
    """
    row = {image: i for i, image in enumerate(table.images)}
    texts = {name: written(own) for name, own in table.cells.items()}
    rows = []
    for one in corrections:
        own = {name: getattr(one, name) for name in ("image", "attribute", *KEPT)}
        given = texts[one.attribute][row[one.image]]
        rows.append({**own, "value": text_of(one.value), "given": given})
    return pd.DataFrame(rows, columns=list(ACCOUNT)).sort_values(
        ["image", "attribute"], ignore_index=True
    )


def read_account(folder: str | Path) -> pd.DataFrame:
    """The `account` beside the clean table in ``folder``, numbers as numbers, the rest as text,
    without `undecided` cells."""
    frame = _read_account(folder)
    frame = frame[frame["value"] != ""].reset_index(drop=True)
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in NUMBERS})


def undecided(folder: str | Path) -> list[tuple[str, str]]:
    """Image and attribute of each cell that people looked at and called unknown, by the `account`
    beside the clean table in ``folder``: nobody can tell, and nobody need be asked again."""
    frame = _read_account(folder)
    cells = frame.loc[frame["value"] == "", ["image", "attribute"]]
    return list(cells.itertuples(index=False, name=None))


def _read_account(folder: str | Path) -> pd.DataFrame:
    return pd.read_csv(Path(folder) / CORRECTED, dtype=str, keep_default_na=False)


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


def _check_value(one: Correction, what: str, known: set[str], source: str | Path) -> None:
    text = str(getattr(one, what))
    if text in known:
        return
    hint = did_you_mean(text, known) or "it is on no usable row of the label table"
    fail(
        source,
        f"row {one.line}: no {what} {text[:60]!r} of attribute {one.attribute!r}; {hint}; "
        "correct it, or use a new value in the label table first",
    )


def _same(left: float | str, right: float | str) -> bool:
    return left == right or (left != left and right != right)  # NaN is NaN again
