"""How predictions are written; what they say is tested with the classifier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.predict.rows import write

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
    assert write(iter(ROWS), ["hat"], tmp_path / "p.csv") == 1
    assert (tmp_path / "p.csv").read_text() == csv
    assert write(iter(ROWS[:1]), ["hat"], None) == 0
    assert capsys.readouterr().out == "".join(csv.splitlines(keepends=True)[:2])
    assert write(iter(ROWS[:1]), ["hat"], tmp_path / "p.JSON") == 0
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
    assert write(iter(ROWS[:1]), ["hat"], tmp_path / name) == 0
    assert (tmp_path / f"{name}.partial").read_text() == "a file of the user's"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.partial"]


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
