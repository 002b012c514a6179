"""Names of every hostile kind go through the table and its report as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.data.clean_table import read_clean
from pipeline.stages import clean
from tests.fuzz import hostile_names


def test_hostile_names_come_out_of_the_table_as_they_went_in(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hostile_names.write(tmp_path)
    content = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    content["data"] |= {"labels": "labels.csv", "images": "images"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    clean.main()
    table = read_clean("data/clean/labels.csv")
    assert table.attributes == list(hostile_names.ATTRIBUTES)
    assert sorted(table.images) == sorted(hostile_names.names())
    assert (tmp_path / "data/clean/class_distribution.png").stat().st_size > 0
