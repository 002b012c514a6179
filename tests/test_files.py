from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.files import replace_directory, write_csv, write_json


def test_replaces_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for content in ("one", "two"):
        with replace_directory(target) as folder:
            (folder / content).write_text(content)
    assert [p.name for p in target.iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_the_earlier_directory(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out"
    with replace_directory(target) as folder:
        (folder / "good").write_text("good")
    with pytest.raises(error), replace_directory(target) as folder:
        (folder / "half").write_text("half")
        raise error
    assert [p.name for p in target.iterdir()] == ["good"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_killed_run_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    stale = tmp_path / ".out.partial"
    stale.mkdir()
    (stale / "half").write_text("half")
    with replace_directory(tmp_path / "out") as folder:
        assert list(folder.iterdir()) == []


def test_csv_bytes(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"a": [1, None], "b": ["x", "y,z"]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b'a,b\n1.0,x\n,"y,z"\n'


def test_json_keeps_order_and_refuses_nan(tmp_path: Path) -> None:
    write_json({"b": 1, "a": 2.5}, tmp_path / "t.json")
    assert list(json.loads((tmp_path / "t.json").read_text())) == ["b", "a"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"a": float("nan")}, tmp_path / "t.json")
