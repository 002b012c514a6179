"""What the doctor sees in a project, and that it changes nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import doctor
from pipeline.features import cache

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(capsys: pytest.CaptureFixture[str]) -> list[str]:
    code = doctor.main([])
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("PROBLEM")]
    # What is installed here and how full its disk is are no part of the test.
    found = [one for one in found if "free on the disk" not in one and "pip install" not in one]
    assert code == 1 or not found
    return found


def test_a_sound_project_has_no_problem(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(capsys) == []


@pytest.mark.parametrize("content", ["", '{"read": {"a": [{"pid": 1', "[]", '{"write": {"a": 3}}'])
def test_a_damaged_lock_of_dvcs_is_recognised(
    project: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (project / ".dvc/tmp").mkdir(parents=True)
    (project / ".dvc/tmp/rwlock").write_text(content)
    (line,) = problems(capsys)
    assert "rwlock is damaged" in line and "rm .dvc/tmp/rwlock" in line
    assert (project / ".dvc/tmp/rwlock").read_text() == content


def test_a_record_that_was_cut_off_is_recognised(
    project: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (root / "dvc.lock").read_text(encoding="utf-8")
    for cut in (whole.index("- path:") + len("- path:"), whole.index("md5:") + len("md5")):
        (project / "dvc.lock").write_text(whole[:cut], encoding="utf-8")
        assert doctor.main([]) == 1
        assert "PROBLEM  dvc.lock is damaged" in capsys.readouterr().out
    (project / "dvc.lock").write_text(whole, encoding="utf-8")
    assert doctor.main([]) == 0
    assert "ok       dvc.lock is valid" in capsys.readouterr().out


def test_locks_of_processes_that_are_gone_and_that_live(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / ".dvc/tmp").mkdir(parents=True)
    lock = project / ".dvc/tmp/rwlock"
    lock.write_text(f'{{"read": {{"a": [{{"pid": {os.getpid()}, "cmd": "x"}}]}}}}')
    assert problems(capsys) == []
    lock.write_text('{"write": {"a": {"pid": 999999999, "cmd": "x"}}}')
    (line,) = problems(capsys)
    assert "gone: [999999999]" in line


def test_leftovers_damage_and_bad_params(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "data/.0123456789abcdef.partial").mkdir()
    keys = cache.keys(["0" * 64], views=1, seed=0)
    folder = cache.FOLDER / "0123456789abcdef"
    cache.put(folder, keys[0], np.zeros((1, 1, 1, 2), np.float16), np.zeros((1, 2), np.float32))
    assert len(problems(capsys)) == 1
    (shard,) = folder.iterdir()
    (shard / cache.POOLED).write_bytes(b"")
    (project / "params.yaml").write_text("seed: 1\nseed: 2")
    params, left, damage = problems(capsys)
    assert "params.yaml" in params
    assert ".0123456789abcdef.partial" in left
    assert "1 parts" in damage and cache.POOLED in damage
    assert shard.is_dir() and (project / "data/.0123456789abcdef.partial").is_dir()
