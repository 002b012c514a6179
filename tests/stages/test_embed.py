"""Stage embed: nothing is computed twice, whatever happened in between, and by whom."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from pipeline.stages import backbone, embed

ROOT = Path(__file__).resolve().parents[2]
NUMBER, VIEWS = 40, 30
pytestmark = pytest.mark.identical_bytes


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the stages before leave it, two of the images being identical."""
    folder = tmp_path_factory.mktemp("embed")
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["data"] |= {"labels": "images.csv", "images": "images"}
    content["backbone"] |= {"name": "mobilenet_v2", "weights": "random", "precision": "float32"}
    content["backbone"]["runtime"] = "keras"
    content["image_size"] = [64, 64]
    content["features"]["views"] = VIEWS
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    (folder / "images").mkdir()
    (folder / "data/clean").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(NUMBER):
        pixels = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        picture = Image.fromarray(pixels).resize((80, 70))
        picture.save(folder / f"images/{number:02d}.jpg")
    shutil.copy(folder / "images/07.jpg", folder / "images/08.jpg")
    index(folder, range(NUMBER))
    run(folder, backbone.main)
    return folder


def index(folder: Path, numbers: range) -> None:
    files = [folder / f"images/{number:02d}.jpg" for number in numbers]
    sha256 = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    frame = pd.DataFrame({"image": [file.name for file in files], "sha256": sha256})
    frame.to_csv(folder / "data/clean/images.csv", index=False)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


class Messages(logging.Handler):
    """What a stage logs, one line a message."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage() + "\n"


def run(folder: Path, main: Callable[[], None] = embed.main) -> str:
    """Run a stage in ``folder``; returns what it logs.

    In this process, which has TensorFlow under way: an import takes longer than what is tested.
    """
    log, messages = logging.getLogger("embed"), Messages()
    log.addHandler(messages)
    log.setLevel("INFO")
    try:
        with contextlib.chdir(folder):
            main()
    finally:
        log.removeHandler(messages)
    return messages.text


def passes(logged: str) -> tuple[int, int]:
    """Passes computed, and found from earlier runs."""
    found = re.search(r"(\d+) passes computed.*?(\d+) found from earlier", logged)
    assert found, logged
    return int(found[1]), int(found[2])


def store(folder: Path) -> dict[str, str]:
    files = sorted((folder / "data/features").iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def whole(base: Path) -> Path:
    """The folder after an undisturbed run."""
    assert passes(run(base)) == ((NUMBER - 1) * VIEWS, 0)
    return base


@pytest.fixture
def fresh(whole: Path, tmp_path: Path) -> Path:
    """The folder before any run of embed."""
    folder = tmp_path / "fresh"
    without = shutil.ignore_patterns("features", ".cache")
    return Path(shutil.copytree(whole, folder, ignore=without))


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "params.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_nothing_changed_nothing_computed_even_without_the_output(whole: Path) -> None:
    before = store(whole)
    shutil.rmtree(whole / "data/features")
    assert passes(run(whole)) == (0, NUMBER * VIEWS)
    assert store(whole) == before
    (room,) = (whole / ".cache/features").iterdir()
    kept = [path for path in room.iterdir() if path.is_dir()]
    assert len(kept) == VIEWS
    assert all((path / "map.npy").stat().st_nlink == 2 for path in kept), "stored twice"


def test_new_images_cost_their_own_passes_and_renamed_ones_none(fresh: Path, whole: Path) -> None:
    edit(fresh, f"views: {VIEWS}", "views: 3")
    index(fresh, range(30))
    assert passes(run(fresh)) == (29 * 3, 0)
    index(fresh, range(NUMBER))
    assert passes(run(fresh)) == (10 * 3, 30 * 3)
    for view in range(3):
        for kind in ("map", "pooled"):
            name = f"{kind}_{view}.npy"
            assert store(fresh)[name] == store(whole)[name], "as computed in one run"
    (fresh / "images/00.jpg").rename(fresh / "images/99.jpg")
    index(fresh, range(1, NUMBER))
    frame = pd.read_csv(fresh / "data/clean/images.csv", dtype=str)
    sha256 = hashlib.sha256((fresh / "images/99.jpg").read_bytes()).hexdigest()
    frame.loc[len(frame)] = ["99.jpg", sha256]
    frame.to_csv(fresh / "data/clean/images.csv", index=False)
    assert passes(run(fresh)) == (0, NUMBER * 3)


def test_another_seed_keeps_the_plain_views(fresh: Path) -> None:
    edit(fresh, f"views: {VIEWS}", "views: 2")
    assert passes(run(fresh)) == (39 * 2, 0)
    edit(fresh, "seed: 42", "seed: 43")
    assert passes(run(fresh)) == (39, 40)
    edit(fresh, "seed: 43", "seed: 42")
    assert passes(run(fresh)) == (0, 80), "and what the first seed drew is still there"


KILLED = """
import os, signal
from pipeline.features import cache
from pipeline.stages import embed

put = cache.put

def put_and_be_killed(*arguments):
    put(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

cache.put = put_and_be_killed
embed.main()
"""


def test_a_killed_run_is_gone_on_with_to_the_same_bytes(fresh: Path, whole: Path) -> None:
    """Killed by itself, right after the first shard: by a clock it might have ended before."""
    command = [sys.executable, "-c", KILLED]
    killed = subprocess.run(command, cwd=fresh, env=environment(), stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    assert not (fresh / "data/features").exists()
    computed, found = passes(run(fresh))
    assert 0 < computed <= 39 * VIEWS - 1024
    assert found >= 1024
    assert store(fresh) == store(whole)


def test_a_coarser_grid(fresh: Path) -> None:
    edit(fresh, f"views: {VIEWS}", "views: 1")
    edit(fresh, "grid: null", "grid: 1")
    passes(run(fresh))
    maps = np.load(fresh / "data/features/map_0.npy")
    assert maps.shape == (NUMBER, 1, 1, 1280)
    pooled = np.load(fresh / "data/features/pooled_0.npy")
    np.testing.assert_allclose(maps[:, 0, 0], pooled, rtol=1e-3, atol=1e-6)
