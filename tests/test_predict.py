"""How predictions are written; what they say is tested with the classifier."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import predict
from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.training.inference import Prediction

ROWS: list[dict[str, Any]] = [
    {
        "image": "a.jpg",
        "error": "",
        "unlike_training": "no",
        "hat": 1,
        "hat_probability": 0.9,
        "hat_expected_correctness": 0.9,
        "hat_learnable": "yes",
    },
    {"image": "b\udce9.jpg", "error": "unreadable: No such file or directory"},
]


def test_as_csv_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = (
        "image,error,unlike_training,hat,hat_probability,hat_expected_correctness,hat_learnable\n"
        "a.jpg,,no,1,0.9,0.9,yes\n"
        "b\\udce9.jpg,unreadable: No such file or directory,,,,,\n"
    )
    assert predict.write(iter(ROWS), ["hat"], tmp_path / "p.csv") == 1
    assert (tmp_path / "p.csv").read_text() == csv
    assert predict.write(iter(ROWS[:1]), ["hat"], None) == 0
    assert capsys.readouterr().out == "".join(csv.splitlines(keepends=True)[:2])
    assert predict.write(iter(ROWS[:1]), ["hat"], tmp_path / "p.JSON") == 0
    assert json.loads((tmp_path / "p.JSON").read_text()) == ROWS[:1]


@pytest.mark.parametrize("name", ["p.csv", "p.json"])
def test_an_earlier_file_is_replaced_in_the_end_or_not_at_all(tmp_path: Path, name: str) -> None:
    def interrupted() -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        raise KeyboardInterrupt

    (tmp_path / name).write_text("earlier")
    (tmp_path / f"{name}.partial").write_text("a file of the user's")
    with pytest.raises(KeyboardInterrupt):
        predict.write(interrupted(), ["hat"], tmp_path / name)
    assert (tmp_path / name).read_text() == "earlier"
    assert predict.write(iter(ROWS[:1]), ["hat"], tmp_path / name) == 0
    assert (tmp_path / f"{name}.partial").read_text() == "a file of the user's"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.partial"]


def test_a_picture_or_why_there_is_none(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (1, 2, 3)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    picture = predict.load(tmp_path / "a.png", (8, 6))
    assert isinstance(picture, np.ndarray)
    assert (picture.shape, picture.dtype) == ((8, 6, 3), np.uint8)
    assert predict.load(tmp_path / "b.png", (8, 6)) == "empty_file: the file has no bytes"
    gone = predict.load(tmp_path / "gone.png", (8, 6))
    assert gone == "unreadable: No such file or directory"


def test_a_folder_s_pictures_are_rows_and_the_rest_is_counted(tmp_path: Path) -> None:
    for name in ("a.heic", "b.jpe", "notes.txt", "LICENSE"):
        (tmp_path / name).write_text("no picture's bytes")
    Image.new("RGB", (3, 2)).save(tmp_path / "c", format="PNG")
    files = predict.expand([tmp_path, tmp_path / "notes.txt"])
    assert [path.name for path in files] == ["a.heic", "b.jpe", "c", "notes.txt"]
    assert predict.left_out([tmp_path, tmp_path / "notes.txt"]) == 2


def test_names_that_a_spreadsheet_computes_are_escaped_if_asked_for(tmp_path: Path) -> None:
    rows = [
        {"image": "@SUM(1).jpg", "error": "", "=1+1": "-x", "=1+1_probability": -0.5},
        {"image": "a.jpg", "error": "=2", "=1+1": 1, "=1+1_probability": 0.5},
    ]
    predict.write(iter(rows), ["=1+1"], tmp_path / "plain.csv")
    predict.write(iter(rows), ["=1+1"], tmp_path / "escaped.csv", escape=True)
    assert (tmp_path / "plain.csv").read_text().splitlines() == [
        "image,error,unlike_training,=1+1,=1+1_probability,=1+1_expected_correctness,=1+1_learnable",
        *("@SUM(1).jpg,,,-x,-0.5,,", "a.jpg,=2,,1,0.5,,"),
    ]
    assert (tmp_path / "escaped.csv").read_text().splitlines() == [
        "image,error,unlike_training,'=1+1,'=1+1_probability,'=1+1_expected_correctness,"
        "'=1+1_learnable",
        *("'@SUM(1).jpg,,,'-x,-0.5,,", "a.jpg,'=2,,1,0.5,,"),
    ]


def test_a_folder_as_output_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "p.csv").mkdir()
    with pytest.raises(PipelineError, match=r"p\.csv: a folder, expected a file"):
        predict.main([str(tmp_path), "--out", str(tmp_path / "p.csv")])


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

    def predict(self, pictures: np.ndarray) -> Prediction:
        self.steps.append(len(pictures))
        self.threads.add(threading.get_ident())
        if len(self.steps) == 1:
            time.sleep(0.1)
        return Prediction(pictures.mean(axis=(1, 2, 3))[:, None] / 255, None)


def test_rows_keep_the_order_of_the_files_whatever_step_ends_first(tmp_path: Path) -> None:
    files = []
    for level in range(0, 250, 50):
        files.append(tmp_path / f"{level}.png")
        Image.new("RGB", (6, 5), (level,) * 3).save(files[-1])
    files.insert(1, tmp_path / "gone.png")
    model: Any = Mean()
    found = list(predict.outcomes(model, files))
    assert [row["image"] for row, _ in found] == [str(file) for file in files]
    assert [bool(row["error"]) for row, _ in found] == [file.stem == "gone" for file in files]
    levels = [round(float(p[0]) * 255) for _, p in found if p is not None]
    assert levels == [0, 50, 100, 150, 200]
    assert sorted(model.steps) == [1, 2, 2]
    assert list(predict.outcomes(model, [])) == []


def test_pictures_of_16_bits_that_are_scaled_are_named(tmp_path: Path) -> None:
    files = [tmp_path / f"{most}.png" for most in (900, 60_000)]
    for file in files:
        pixels = np.linspace(0, int(file.stem), 30, dtype=np.uint16).reshape(5, 6)
        Image.fromarray(pixels).save(file)
    for found in (predict.outcomes, predict.predictions):
        scaled: dict[Path, int] = {}
        model: Any = Mean()
        assert len(list(found(model, files, scaled))) == 2
        assert scaled == {files[0]: 10}


def test_what_is_one_step_runs_in_the_thread_that_asks(tmp_path: Path) -> None:
    """In a new one TensorFlow's kernels prepare themselves again."""
    Image.new("RGB", (6, 5), (50,) * 3).save(tmp_path / "a.png")
    for count, here in ((1, True), (2, True), (3, False)):
        model: Any = Mean()
        found = list(predict.predictions(model, [tmp_path / "a.png"] * count))
        expected = [pytest.approx(50 / 255, abs=1e-6)] * count
        assert [row["bright_probability"] for row in found] == expected
        assert (model.threads == {threading.get_ident()}) == here
