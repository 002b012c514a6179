"""What is refused or broken off in a project with outputs leaves them as they are."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.files import leftovers
from tests.end_to_end.project import (
    NUMBER,
    assert_refused,
    edit_params,
    environment,
    run,
    tree,
)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("head: stack", "head: stakc", "head: got 'stakc'"),
        pytest.param(
            *("mine/labels.csv", "mine/gone.csv", "mine/gone.csv: no such file"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("name: mobilenet_v2", "name: vgg91", "backbone.name: got 'vgg91'"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_params_leave_the_good_outputs(project: Path, old: str, new: str, message: str) -> None:
    edit_params(project, old, new)
    assert_refused(project, message)


def test_a_bad_cell_leaves_the_good_outputs(project: Path) -> None:
    with (project / "mine/labels.csv").open("a") as file:
        file.write("image_x.jpg,2,1,1,plain\n")
    assert_refused(project, "labels.csv", "'2'", "hat", str(NUMBER + 2))


@pytest.mark.slow
def test_a_bad_correction_leaves_the_good_outputs(project: Path) -> None:
    with (project / "data/corrections.csv").open("a") as file:
        file.write("image_3.jpg,no_such_attribute,1\n")
    assert_refused(project, "corrections.csv: row 2: no attribute 'no_such_attribute'")


@pytest.mark.slow
def test_weights_that_do_not_fit_leave_the_good_outputs(project: Path) -> None:
    (project / "bad.weights.h5").write_bytes(b"no weights")
    edit_params(project, "weights: random", "weights: bad.weights.h5")
    assert_refused(project, "bad.weights.h5: does not fit the backbone mobilenet_v2")


FULL_DISK = """
import errno
from pipeline.errors import run
from pipeline.features.store import FeatureWriter
from pipeline.stages import embed

def append(self, view, maps, pooled):
    raise OSError(errno.ENOSPC, "No space left on device", str(self.folder / "map_0.npy"))

FeatureWriter.append = append
run(embed.main)
"""

NO_ROOM = """
import shutil
from types import SimpleNamespace
from pipeline.errors import run
from pipeline.stages import embed

shutil.disk_usage = lambda path: SimpleNamespace(total=10**9, used=10**9 - 1000, free=1000)
run(embed.main)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (FULL_DISK, "no space left on the disk while writing data/features/map_0.npy"),
        (NO_ROOM, "in data/features"),
    ],
)
def test_a_full_disk_during_embed_leaves_the_earlier_store(
    project: Path, script: str, message: str
) -> None:
    before = tree(project)
    done = run(project, sys.executable, "-c", script)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(project) == before
    assert leftovers(project / "data") == []


@pytest.mark.slow
def test_an_interrupt_during_embed_leaves_the_earlier_store(project: Path) -> None:
    before = tree(project)
    edit_params(project, "views: 2", "views: 64")
    parts = list((project / ".cache/features").glob("*/[!.]*/keys.npy"))
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.stages.embed"],
        cwd=project,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while (
        list((project / ".cache/features").glob("*/[!.]*/keys.npy")) == parts
        and time.monotonic() < deadline
    ):
        assert process.poll() is None, "embed ended before it could be interrupted"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in printed
    assert "Traceback" not in printed
    assert tree(project) == before
    assert leftovers(project / "data") == []
