from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.files import replace_directory, replace_file, write_csv, write_json


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


@pytest.mark.parametrize("name", ["out.csv", "x" * 255, "caf\udce9.csv"])
def test_a_file_is_replaced_as_a_whole(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    for content in ("one", "two"):
        with replace_file(target) as staging:
            assert staging.read_bytes() == b""
            staging.write_text(content)
    assert target.read_text() == "two"
    (tmp_path / "plain").touch()
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "plain").unlink()
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_the_earlier_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out"
    target.write_text("good")
    with pytest.raises(error), replace_file(target) as staging:
        staging.write_text("half")
        raise error
    assert target.read_text() == "good"
    assert list(tmp_path.iterdir()) == [target]


def test_another_files_partial_is_left_alone(tmp_path: Path) -> None:
    for name in ("p.csv.partial", ".p.csv.partial"):
        (tmp_path / name).write_text("mine")
    write_csv(pd.DataFrame({"a": [1]}), tmp_path / "p.csv")
    assert [(tmp_path / n).read_text() for n in ("p.csv.partial", ".p.csv.partial")] == ["mine"] * 2


def test_csv_bytes(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"a": [1, None], "b": ["x", "y,z"]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b'a,b\n1.0,x\n,"y,z"\n'


def test_json_keeps_order_and_refuses_nan(tmp_path: Path) -> None:
    write_json({"b": 1, "a": 2.5}, tmp_path / "t.json")
    assert list(json.loads((tmp_path / "t.json").read_text())) == ["b", "a"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"a": float("nan")}, tmp_path / "t.json")
