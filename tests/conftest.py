"""Fixtures: the project's root, small params, a tiny feature store."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import settings

from pipeline import runtime

# A busy machine is no failure: an example may take as long as it takes.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A suite that runs in the background has SIGINT ignored, and its children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
runtime.choose_kernels()  # a test may import TensorFlow by itself
ROOT = Path(__file__).resolve().parent.parent

needs_bfloat16 = pytest.mark.skipif(
    runtime.kept_to_avx2() and runtime.onednn(),
    reason="where the processor itself has AVX-512, TensorFlow asks oneDNN for bfloat16 kernels "
    "that ONEDNN_MAX_CPU_ISA keeps from it; a processor without takes others",
)
FIRST = (
    "tests/end_to_end/test_one_run.py",
    "tests/end_to_end/test_other_params.py",
    "tests/stages/test_embed.py",
    "tests/impute/",
)
"""Files that take longest: with two processes, what begins last should be short."""
LAST = "tests/end_to_end/"
"""Both processes need the project that the first file makes, and would wait for one another."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files for `--dist loadfile --no-loadscope-reorder`; within a file nothing changes."""

    def rank(item: pytest.Item) -> int:
        for place, start in enumerate(FIRST):
            if item.nodeid.startswith(start):
                return place
        return len(FIRST) + item.nodeid.startswith(LAST)

    items.sort(key=rank)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def threads_stay_as_they_are() -> Iterator[None]:
    """In the tests' process TensorFlow may be under way, and takes no other setting any more."""
    prepare = runtime.prepare
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "prepare", lambda seed, to_train=False: prepare(seed))
        yield


@pytest.fixture
def params_content() -> dict[str, Any]:
    """The project's own params.yaml as a dict to change."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return content


@pytest.fixture
def write_params(
    tmp_path: Path, params_content: dict[str, Any]
) -> Callable[[dict[str, Any]], Path]:
    """Write params.yaml into tmp_path, with dotted keys overridden."""

    def write(overrides: dict[str, Any]) -> Path:
        for dotted, value in overrides.items():
            *sections, key = dotted.split(".")
            place = params_content
            for section in sections:
                place = place[section]
            place[key] = value
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(params_content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def run_module(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m module ...`` in tmp_path with this checkout's package."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A finished feature store of given maps, [views, N, h, w, C]."""
    from pipeline.features.store import FeatureStore, FeatureWriter, stored

    def make(maps: np.ndarray, name: str = "features") -> FeatureStore:
        folder = tmp_path_factory.mktemp(name)
        views, count = maps.shape[:2]
        images = [f"image_{i:03d}.jpg" for i in range(count)]
        index = pd.DataFrame({"image": images, "sha256": [f"{i:064x}" for i in range(count)]})
        with FeatureWriter(folder, count, views, maps.shape[2:]) as writer:
            for view in range(views):
                writer.append(view, *stored(maps[view]))
            writer.finish(index, {"backbone": {"name": "none", "sha256": "0"}, "grid": None})
        return FeatureStore(folder)

    return make


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by Playwright; without one its tests are skipped.

    Not for the whole session: while it is open, the process has an event loop under way.
    """
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    installed = next((found for name in names if (found := shutil.which(name))), None)
    with api.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(
                executable_path=installed,  # None: Playwright's own
                args=["--no-sandbox"] if os.geteuid() == 0 else [],
            )
        except api.Error as error:
            pytest.skip(f"no browser: {str(error).splitlines()[0]}")
        yield opened
        opened.close()
