from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.data import filled_table
from pipeline.errors import PipelineError
from tests import finished_run


def test_the_tables_and_the_account_of_what_lies_between(tmp_path: Path) -> None:
    finished_run.make(tmp_path, images=20)
    table = filled_table.read(tmp_path / "data")
    assert table.values == {
        "has_hat": ["1", "0"],
        "has_bag": ["1", "0"],
        "colour": ["blue", "green", "red"],
        "rare": ["1", "0"],
    }
    assert (table.known == "").to_numpy().sum() == len(table.provenance)
    for one in table.provenance.to_dict("records"):
        assert table.known.loc[table.row[one["image"]], one["attribute"]] == ""
        assert 0.5 <= one["expected_correctness"] <= 1


def test_without_a_finished_run_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"provenance\.csv: not there.*dvc repro"):
        filled_table.read(tmp_path / "data")


def test_parts_of_different_runs_are_refused(tmp_path: Path) -> None:
    finished_run.make(tmp_path, images=20)
    finished_run.make(tmp_path / "other", images=21)
    shutil.copy(tmp_path / "other/data/clean/labels.csv", tmp_path / "data/clean/labels.csv")
    with pytest.raises(PipelineError, match="of another table"):
        filled_table.read(tmp_path / "data")
