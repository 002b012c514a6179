"""Fixtures: the project after one `dvc repro`, to read from, and copies of it to change."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.project import make


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after `dvc repro`, made once for all processes of the tests; to be read only."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, made = shared / "project", shared / "project-is-made"
    with (shared / "project-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            made.touch()
    return folder


@pytest.fixture
def project(reproduced: Path, tmp_path: Path) -> Path:
    """A copy of the project after `dvc repro` that a test may change."""
    return Path(shutil.copytree(reproduced, tmp_path / "project", symlinks=True))
