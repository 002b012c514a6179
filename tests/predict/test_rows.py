"""How predictions are written; what they say is tested with the classifier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.predict.rows import Tally, write

ROWS: list[dict[str, Any]] = [
    {
        "image": "a.jpg",
        "error": "",
        "unlike_training": "no",
        "hat": 1,
        "hat_probability": 0.9,
        "hat_expected_correctness": 0.9,
        "hat_learnable": "yes",
    },
    {"image": "b\udce9.jpg", "error": "unreadable: No such file or directory"},
]


def test_as_csv_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = (
        "image,error,unlike_training,hat,hat_probability,hat_expected_correctness,hat_learnable\n"
        "a.jpg,,no,1,0.9,0.9,yes\n"
        "b\\udce9.jpg,unreadable: No such file or directory,,,,,\n"
    )
    reason = "b\udce9.jpg: unreadable: No such file or directory"
    assert write(iter(ROWS), ["hat"], tmp_path / "p.csv") == Tally(2, 1, 0, reason)
    assert (tmp_path / "p.csv").read_text() == csv
    assert write(iter(ROWS[:1]), ["hat"], None) == Tally(1, 0, 0)
    assert capsys.readouterr().out == "".join(csv.splitlines(keepends=True)[:2])
    assert write(iter(ROWS[:1]), ["hat"], tmp_path / "p.JSON") == Tally(1, 0, 0)
    assert json.loads((tmp_path / "p.JSON").read_text()) == ROWS[:1]


@pytest.mark.parametrize("name", ["p.csv", "p.json"])
def test_an_earlier_file_is_replaced_in_the_end_or_not_at_all(tmp_path: Path, name: str) -> None:
    def interrupted() -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        raise KeyboardInterrupt

    (tmp_path / name).write_text("earlier")
    (tmp_path / f"{name}.partial").write_text("a file of the user's")
    with pytest.raises(KeyboardInterrupt):
        write(interrupted(), ["hat"], tmp_path / name)
    assert (tmp_path / name).read_text() == "earlier"
    assert write(iter(ROWS[:1]), ["hat"], tmp_path / name).failed == 0
    assert (tmp_path / f"{name}.partial").read_text() == "a file of the user's"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.partial"]


@pytest.mark.parametrize("name", ["p.csv", "p.json"])
def test_an_earlier_file_stays_where_no_picture_could_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("earlier")
    with pytest.raises(PipelineError) as caught:
        write(iter(ROWS[1:] * 2), ["hat"], tmp_path / name)
    assert str(caught.value) == (
        "b\udce9.jpg: unreadable: No such file or directory; 2 of 2 pictures could not be read, so "
        f"{tmp_path / name} is left as it was; look at the files, or name others"
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "earlier"
    assert write(iter(ROWS[1:]), ["hat"], None).failed == 1


def test_a_tally_knows_who_is_unlike_if_the_classifier_does() -> None:
    tally = Tally()
    tally.count({"image": "a.jpg", "error": ""})
    assert tally == Tally(1, 0, None)
    tally.count({"image": "b.jpg", "error": "", "unlike_training": "yes"})
    tally.count({"image": "c.jpg", "error": "", "unlike_training": "no"})
    assert tally == Tally(3, 0, 1)


def test_names_that_a_spreadsheet_computes_are_escaped_if_asked_for(tmp_path: Path) -> None:
    rows = [
        {"image": "@SUM(1).jpg", "error": "", "=1+1": "-x", "=1+1_probability": -0.5},
        {"image": "a.jpg", "error": "=2", "=1+1": 1, "=1+1_probability": 0.5},
    ]
    write(iter(rows), ["=1+1"], tmp_path / "plain.csv")
    write(iter(rows), ["=1+1"], tmp_path / "escaped.csv", escape=True)
    assert (tmp_path / "plain.csv").read_text().splitlines() == [
        "image,error,unlike_training,=1+1,=1+1_probability,=1+1_expected_correctness,=1+1_learnable",
        *("@SUM(1).jpg,,,-x,-0.5,,", "a.jpg,=2,,1,0.5,,"),
    ]
    assert (tmp_path / "escaped.csv").read_text().splitlines() == [
        "image,error,unlike_training,'=1+1,'=1+1_probability,'=1+1_expected_correctness,"
        "'=1+1_learnable",
        *("'@SUM(1).jpg,,,'-x,-0.5,,", "a.jpg,'=2,,1,0.5,,"),
    ]
