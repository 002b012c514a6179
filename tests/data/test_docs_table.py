"""The page on data says of each kind of table what the program does with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.data.image_names import ImageNames
from pipeline.data.labels import written
from pipeline.data.read_table import read_table
from pipeline.errors import PipelineError

PAGE = Path(__file__).resolve().parents[2] / "docs/data.md"
ARGUMENTS = {
    "data.image_column": "image_column",
    "data.blank": "blank",
    "data.minus_one": "minus_one",
    "split.column": "split_column",
    "categorical.columns": "categorical",
    "exclude": "exclude",
}
LISTS = ("categorical", "exclude")


def rows() -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").split("## What is read how")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    cells = [re.split(r" *\| *", line.strip("| ").rstrip(), maxsplit=2) for line in lines]
    return [
        [what, text.strip("`"), *(part.strip(" `") for part in rest.rsplit("|", 1))]
        for what, text, rest in cells
    ]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_it_is_read_as_the_page_says(row: list[str], tmp_path: Path) -> None:
    _, text, params, result = row
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in "xyz":
        (folder / f"{name}.jpg").touch()
    path = tmp_path / "t.csv"
    path.write_text("\n".join(text.split(" \u21b5 ")) + "\n")
    given: dict[str, object] = {}
    for one in params.split():
        key, value = one.split("=")
        name = ARGUMENTS[key]
        given[name] = [value] if name in LISTS else value
    if result == "error":
        with pytest.raises(PipelineError):
            read_table(path, names=ImageNames(folder), **given)  # type: ignore[arg-type]
        return
    table = read_table(path, names=ImageNames(folder), **given)  # type: ignore[arg-type]
    order = sorted(range(len(table.images)), key=table.images.__getitem__)
    found = [
        f"{name}: {' '.join(written(own)[row] or '?' for row in order)}"
        for name, own in table.cells.items()
    ]
    assert "; ".join(found) == result


def test_the_table_is_there() -> None:
    assert len(rows()) > 20
