"""Labels that a person has looked at: they override the table's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.data.labels import ALLOWED, CELLS, UNKNOWN, LabelTable, written
from pipeline.data.table_files import read_rows
from pipeline.errors import did_you_mean, fail

PATH = Path("data/corrections.csv")
COLUMNS = ("image", "attribute", "value")


@dataclass(frozen=True)
class Correction:
    """One line of the file: 1, 0, or NaN to call the cell unknown again; the text of a categorical
    attribute's value, empty for unknown."""

    image: str
    attribute: str
    value: float | str
    line: int


def read(
    path: str | Path = PATH,
    categorical: Collection[str] = (),
    image_of: Callable[[str], str] = lambda name: name,
    meaning: Mapping[str, float] = CELLS,
) -> list[Correction]:
    """The corrections of a file with the columns image, attribute, value; further ones are ignored,
    so that lines of reports/review.csv can be pasted. ``categorical`` names the attributes whose
    values may be any text, ``image_of`` gives the image that a name stands for, ``meaning`` the
    number of a binary cell's text. A file that is empty or not there has none.

    Raises
    ------
    PipelineError
        If a column is missing, a value is neither 1, 0 nor unknown, or two lines disagree.
    """
    if not Path(path).exists():
        return []
    with suppress(OSError):  # which read_rows reports
        if not Path(path).read_bytes().strip():
            return []
    (_, header), *rows = read_rows(path, named_by="the file")
    names = [name.strip().lower() for name in header]
    if missing := [name for name in COLUMNS if name not in names]:
        fail(
            path,
            f"no column {missing[0]!r}; expected image, attribute and value in the first row",
        )
    places = [names.index(name) for name in COLUMNS]
    found: dict[tuple[str, str], Correction] = {}
    for line, cells in rows:
        if len(cells) == len(COLUMNS) and places == [0, 1, 2]:
            pass  # typed by hand below lines that were pasted with further columns
        elif len(cells) < len(names):
            fail(
                path, f"row {line}: got {len(cells)} cells, expected {len(names)} as in the header"
            )
        image, attribute, text = (cells[place] for place in places)
        image = image_of(image)
        value: float | str | None = meaning.get(text.strip().lower())
        if attribute in categorical:
            value = "" if text.strip().lower() in UNKNOWN else text.strip()
        if value is None:
            fail(path, f"row {line}, column 'value': got {text[:60]!r}, expected {ALLOWED}")
        earlier = found.get((image, attribute))
        if earlier is not None and not _same(earlier.value, value):
            fail(
                path,
                f"row {line}: image {image!r}, attribute {attribute!r}: got {text!r}, but row "
                f"{earlier.line} says otherwise; keep the right one",
            )
        found[image, attribute] = Correction(image, attribute, value, line)
    return list(found.values())


def apply(
    table: LabelTable, corrections: list[Correction], source: str | Path = PATH
) -> tuple[LabelTable, int]:
    """The table with its corrections, and how many cells changed.

    Raises
    ------
    PipelineError
        If an image or an attribute is not in the table.
    """
    row = {image: i for i, image in enumerate(table.images)}
    cells = {name: own.copy() for name, own in table.cells.items()}
    for one in corrections:
        for what, name, known in (("image", one.image, row), ("attribute", one.attribute, cells)):
            if name not in known:
                hint = did_you_mean(name, known) or f"{len(known)} are known"
                fail(
                    source,
                    f"row {one.line}: no {what} {name!r} among the usable rows of the label table; "
                    f"{hint}; correct or remove the row",
                )
        if one.attribute in table.vocabulary:
            _check_value(one, {*table.cells[one.attribute]} | {""}, source)
        cells[one.attribute][row[one.image]] = one.value
    changed = sum(
        int((written(own) != written(table.cells[name])).sum()) for name, own in cells.items()
    )
    return replace(table, cells=cells), changed


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
