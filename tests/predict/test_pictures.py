"""Pictures in, in order, a step at a time; what is said of them is tested with the classifier."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.data.categories import Attribute
from pipeline.predict import pictures
from pipeline.training.inference import Prediction


def test_a_picture_or_why_there_is_none(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (1, 2, 3)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    picture = pictures.load(tmp_path / "a.png", (8, 6))
    assert isinstance(picture, np.ndarray)
    assert (picture.shape, picture.dtype) == ((8, 6, 3), np.uint8)
    assert pictures.load(tmp_path / "b.png", (8, 6)) == "empty_file: the file has no bytes"
    gone = pictures.load(tmp_path / "gone.png", (8, 6))
    assert gone == "unreadable: No such file or directory"


class Mean:
    """A classifier of two pictures at a time that says how bright each is, slowly at first."""

    batch = 2
    folder = Path("none")
    attributes = (Attribute("bright", (), 0),)
    card = SimpleNamespace(
        image_size=(4, 4), attributes=("bright",), thresholds=(0.5,), categories=(), learnable=()
    )

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.threads: set[int] = set()

    def predict(self, shown: np.ndarray) -> Prediction:
        self.steps.append(len(shown))
        self.threads.add(threading.get_ident())
        if len(self.steps) == 1:
            time.sleep(0.1)
        return Prediction(shown.mean(axis=(1, 2, 3))[:, None] / 255, None)


def test_rows_keep_the_order_of_the_files_whatever_step_ends_first(tmp_path: Path) -> None:
    files = []
    for level in range(0, 250, 50):
        files.append(tmp_path / f"{level}.png")
        Image.new("RGB", (6, 5), (level,) * 3).save(files[-1])
    files.insert(1, tmp_path / "gone.png")
    model: Any = Mean()
    found = list(pictures.outcomes(model, files))
    assert [row["image"] for row, _ in found] == [str(file) for file in files]
    assert [bool(row["error"]) for row, _ in found] == [file.stem == "gone" for file in files]
    levels = [round(float(p[0]) * 255) for _, p in found if p is not None]
    assert levels == [0, 50, 100, 150, 200]
    assert sorted(model.steps) == [1, 2, 2]
    assert list(pictures.outcomes(model, [])) == []


def test_pictures_of_16_bits_that_are_scaled_are_named(tmp_path: Path) -> None:
    files = [tmp_path / f"{most}.png" for most in (900, 60_000)]
    for file in files:
        pixels = np.linspace(0, int(file.stem), 30, dtype=np.uint16).reshape(5, 6)
        Image.fromarray(pixels).save(file)
    for found in (pictures.outcomes, pictures.predictions):
        scaled: dict[Path, int] = {}
        model: Any = Mean()
        assert len(list(found(model, files, scaled))) == 2
        assert scaled == {files[0]: 10}


def test_what_is_one_step_runs_in_the_thread_that_asks(tmp_path: Path) -> None:
    """In a new one TensorFlow's kernels prepare themselves again."""
    Image.new("RGB", (6, 5), (50,) * 3).save(tmp_path / "a.png")
    for count, here in ((1, True), (2, True), (3, False)):
        model: Any = Mean()
        found = list(pictures.predictions(model, [tmp_path / "a.png"] * count))
        expected = [pytest.approx(50 / 255, abs=1e-6)] * count
        assert [row["bright_probability"] for row in found] == expected
        assert (model.threads == {threading.get_ident()}) == here
