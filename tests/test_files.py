from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from pipeline.errors import PipelineError
from pipeline.files import (
    check_room,
    check_space,
    leftovers,
    read_csv,
    readable,
    replace_directory,
    replace_file,
    temporary_directory,
    without_formulas,
    write_csv,
    write_json,
)


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


def test_what_a_killed_run_leaves_is_swept_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    code = (
        "import os, signal; from pathlib import Path; from pipeline.files import *\n"
        f"with replace_directory('{tmp_path}/out') as a, replace_file('{tmp_path}/f') as b:\n"
        "    (a / 'half').write_text('half'); b.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(leftovers(tmp_path)) == 2
    mine = [tmp_path / ".data.partial", tmp_path / ".0123456789abcdef.partially"]
    for path in mine:
        path.touch()
    with temporary_directory(tmp_path) as living:
        assert leftovers(tmp_path) == []
        with replace_directory(tmp_path / "out") as folder:
            assert list(folder.iterdir()) == []
        assert living.is_dir()
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "out", *mine])


def test_a_run_killed_between_its_renames_has_lost_nothing(tmp_path: Path) -> None:
    (tmp_path / ".out.earlier").mkdir()
    (tmp_path / ".out.earlier" / "good").touch()
    with pytest.raises(ValueError), replace_directory(tmp_path / "out"):
        raise ValueError
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]


def test_links_with_names_as_ours_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    for name in (".out.partial", ".out.earlier", ".0123456789abcdef.partial"):
        (tmp_path / name).symlink_to(tmp_path / "mine")
    for _ in range(2):
        with replace_directory(tmp_path / "out") as folder:
            (folder / "new").touch()
    assert (tmp_path / "mine" / "file").read_text() == "mine"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]


def test_errors_name_the_target(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as a_folder:
        write_csv(pd.DataFrame({"a": [1]}), tmp_path / "folder")
    with (
        pytest.raises(OSError) as full,
        replace_directory(tmp_path / "out") as folder,
        replace_file(folder / "x.npy"),
    ):
        raise OSError("4096 requested and 17 written")
    with pytest.raises(OSError) as elsewhere, replace_directory(tmp_path / "out"):
        (tmp_path / "none").read_bytes()
    with pytest.raises(FileNotFoundError) as no_folder:
        write_csv(pd.DataFrame({"a": [1]}), tmp_path / "none" / "t.csv")
    assert a_folder.value.filename == str(tmp_path / "folder")
    assert full.value.filename == str(tmp_path / "out" / "x.npy")
    assert elsewhere.value.filename == str(tmp_path / "none")
    assert no_folder.value.filename == str(tmp_path / "none" / "t.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


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


def test_space_is_counted_for_each_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    one, other = tmp_path / "not" / "yet", tmp_path
    check_space([(one, 400), (other, 600)], "free some")
    with pytest.raises(PipelineError) as error:
        check_space([(one, 400), (other, 601)], "free some")
    assert str(error.value) == (
        f"{one}: 400 B in {one} and 601 B in {other} would be written, 1.0 kB are free on that "
        "disk; free some"
    )
    if Path("/proc").is_dir():  # another file system than that of temporary files
        check_space([(one, 600), (Path("/proc/none"), 600)], "free some")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9940, "9.9 kB"), (9960, "10 kB")),
        *((999_499, "999 kB"), (999_600, "1.0 MB"), (3.2e9, "3.2 GB"), (5e18, "5000 PB")),
    ],
)
def test_sizes_in_the_unit_that_suits(size: float, text: str) -> None:
    assert readable(size) == text


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "image": ["007", "NA"],
            "attribute": ["NA", "null"],
            "value": ["01", ""],
            "auc": [0.5, float("nan")],
            "evidence": ["prior", "picture"],
        }
    )
    write_csv(frame, tmp_path / "cells.csv")
    pd.testing.assert_frame_equal(
        read_csv(tmp_path / "cells.csv", ("image", "attribute", "value")), frame
    )
    numbers = read_csv(tmp_path / "cells.csv")
    assert numbers["attribute"].tolist() == ["NA", "null"]
    assert numbers["auc"].isna().tolist() == [False, True]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
def test_what_is_no_table_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cells.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PipelineError, match=r"cells.csv: can't be read as a table .*dvc repro"):
        read_csv(path)


def test_a_target_that_can_not_be_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for target, error in (
        (tmp_path / "folder", "Is a directory"),
        (tmp_path / ("x" * 300), "long"),
    ):
        with pytest.raises(OSError, match=error), replace_file(target):
            raise AssertionError("the work was begun")


def test_formulas_are_escaped_in_cells_and_names_of_columns() -> None:
    frame = pd.DataFrame({"=a": ["-1", "b", "\tc", None], "d": [-1.0, 2.0, 3.0, 4.0]})
    shown = without_formulas(frame)
    assert list(shown) == ["'=a", "d"]
    assert shown["'=a"].tolist()[:3] == ["'-1", "b", "'\tc"]
    assert shown["d"].tolist() == [-1, 2, 3, 4]
    assert frame["=a"].tolist()[:2] == ["-1", "b"]


def test_room_for_a_file_is_there_or_not_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_room(tmp_path, 1000)

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as caught:
        check_room(tmp_path, 1000)
    assert caught.value.filename == str(tmp_path)

    def unsupported(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not of this file system")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    check_room(tmp_path, 1000)
    assert not [*tmp_path.iterdir()]
