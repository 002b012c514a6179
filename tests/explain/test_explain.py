"""The command line of explain, its table and picture, with a classifier whose reasons are known."""

from __future__ import annotations

import importlib.util
import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import predict, runtime
from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.explain import __main__ as explain
from pipeline.explain import figure, gradcam, lime
from pipeline.training.inference import HeadInput

NAMES = ("bright", "dark", "still")
SIZE = (48, 36)


class Predictor:
    """Brightness of the upper left quadrant, its opposite, and a probability that never moves."""

    card = SimpleNamespace(
        attributes=NAMES, thresholds=(0.5, 0.5, 0.5), image_size=SIZE, categories=()
    )

    def __init__(self, folder: Path | None = None) -> None: ...

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        bright = pictures[:, :24, :18].mean(axis=(1, 2, 3)) / 255
        return np.stack([bright, 1 - bright, np.full(len(pictures), 0.1)], axis=1)

    def heads_on_map(self, picture: np.ndarray) -> list[HeadInput]:
        return []


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """The command line in ``tmp_path`` with that classifier, few samples."""
    pytest.importorskip("skimage", reason="the extra explain is not installed")
    monkeypatch.setattr(predict, "Predictor", Predictor)
    monkeypatch.setattr(runtime, "prepare", lambda seed: None)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: explain.main(["--samples", "120", "--segments", "24", *arguments])


def save(path: Path, seed: int = 0) -> Path:
    """A dark picture, the upper left quadrant bright, with a little noise."""
    values = np.random.default_rng(seed).integers(0, 30, (96, 72, 3))
    values[:48, :36] += 220
    content = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(content, "PNG")
    path.write_bytes(content.getvalue())
    return path


def test_a_picture_and_a_table_per_image(
    call: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "one.png")
    assert call("one.png") == 0
    rows = pd.read_csv(explain.FOLDER / "one.csv")
    assert list(rows) == ["attribute", "segment", "weight", "area_share", "x", "y", "r2"]
    assert rows["attribute"].unique().tolist() == list(NAMES)
    for _, group in rows.groupby("attribute"):
        assert group["area_share"].sum() == pytest.approx(1, abs=1e-4)
    inside = (rows["x"] < 0.45) & (rows["y"] < 0.45)
    outside = (rows["x"] > 0.55) | (rows["y"] > 0.55)
    for name, sign in (("bright", 1), ("dark", -1)):
        own = rows[rows["attribute"] == name]
        assert (own["r2"] > 0.8).all()
        weight = own["weight"] * sign
        assert set(weight.nlargest(4).index) <= set(own.index[inside[own.index]])
        assert weight[inside].sum() > 0.1 and weight[outside].abs().max() < 0.02
    still = rows[rows["attribute"] == "still"]
    assert (still["weight"] == 0).all() and still["r2"].isna().all()
    assert (explain.FOLDER / "one.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(path.name for path in explain.FOLDER.iterdir()) == ["one.csv", "one.png"]
    said = capsys.readouterr().out
    assert "one.png: " in said and " superpixels, 120 perturbed pictures" in said
    assert "R² undefined (nothing to explain: the probability never moves)" in said


@pytest.mark.identical_bytes
def test_twice_gives_the_same_bytes_whatever_the_name_and_the_company(
    call: Callable[..., int], tmp_path: Path
) -> None:
    save(tmp_path / "one.png")
    save(tmp_path / "other.png", seed=1)
    assert call("one.png", "--out", "first") == 0
    assert call("other.png", "one.png", "--out", "second") == 0
    for name in ("one.png", "one.csv"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    tables = [(tmp_path / "second" / f"{name}.csv").read_bytes() for name in ("one", "other")]
    assert tables[0] != tables[1]


def test_attributes_asked_for(call: Callable[..., int], tmp_path: Path) -> None:
    save(tmp_path / "one.png")
    assert call("one.png", "--attributes", "still, bright", "--out", "here") == 0
    rows = pd.read_csv(tmp_path / "here/one.csv")
    assert rows["attribute"].unique().tolist() == ["bright", "still"]
    with pytest.raises(PipelineError, match="knows no 'hat'; expected some of 'bright', 'dark'"):
        call("one.png", "--attributes", "bright,hat")


def test_an_unreadable_picture_among_others_is_reported_and_the_rest_done(
    call: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:2000])
    assert call("cut.png", "gone.png", "good.png") == explain.EXIT_SOME_FAILED
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("cut.png: truncated: ")
    assert said[1:] == [
        "gone.png: unreadable: No such file or directory",
        "2 of 3 pictures could not be read",
    ]
    assert (explain.FOLDER / "good.csv").is_file()


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "skimage" else found(name)
    )
    monkeypatch.setattr(explain, "PACKAGES", {"skimage": "scikit-image", "numpy": "numpy"})
    with pytest.raises(PipelineError) as error:
        explain.check_installed()
    assert str(error.value) == (
        "pipeline.explain: not installed: scikit-image; "
        "pip install -c constraints.txt -e '.[explain]'"
    )


def test_bad_arguments_end_in_one_line(
    run_module: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = run_module("pipeline.explain", "one.png", "--samples", "10")
    assert done.returncode == 2
    assert done.stderr == "error: --samples 10: expected 50 to 100000\n"
    with pytest.raises(PipelineError, match="--segments 0: expected 4 to 1000"):
        explain.main(["one.png", "--segments", "0"])
    with pytest.raises(PipelineError, match="a: the name of 2 of the pictures"):
        explain.main(["x/a.png", "y/a.jpg"])
    (tmp_path / "file").touch()
    with pytest.raises(PipelineError, match="file: a file; expected a folder"):
        explain.main(["one.png", "--out", str(tmp_path / "file")])


def test_the_most_extreme_are_drawn() -> None:
    probabilities = np.array([0.5, 0.01, 0.6, 0.99, 0.4, 0.3, 0.45, 0.9])
    assert explain.most_extreme(probabilities) == [1, 2, 3, 4, 5, 7]


def test_decisions_in_words() -> None:
    card = SimpleNamespace(
        attributes=("hat", "colour=red", "colour=blue"),
        thresholds=(0.3, 0.5, 0.5),
        categories=(Attribute("colour", ("red", "blue"), 1),),
    )
    assert explain.decisions(np.array([0.3, 0.2, 0.4]), card) == [
        "1 (1 from 0.300 on)",
        "not chosen, colour=blue is",
        "chosen",
    ]


@pytest.mark.parametrize(
    ("r2", "words"), [(0.5, ""), (0.49, "poor fit"), (-1.0, "poor fit"), (np.nan, "nothing to")]
)
def test_verdict(r2: float, words: str) -> None:
    said = figure.verdict(r2)
    assert said.startswith(words) and bool(said) == bool(words)


def panel(heat: np.ndarray | None) -> figure.Panel:
    weights = np.array([0.2, -0.1, 0.0, 0.001])
    return figure.Panel("a" * 60, 0.7, "1 (1 from 0.500 on)", 0.3, weights, heat)


@pytest.mark.parametrize("heat", [None, np.eye(3)])
@pytest.mark.parametrize("shape", [(30, 90), (90, 30), (1, 1)])
def test_pictures_of_any_shape_are_drawn(
    heat: np.ndarray | None, shape: tuple[int, int], tmp_path: Path
) -> None:
    image = np.full((*shape, 3), 120, dtype=np.uint8)
    segments = np.array([[0, 1], [2, 3]])
    for name in ("a.png", "b.png"):
        figure.draw(image, segments, [panel(heat)] * 4, "$x$", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    width, height = Image.open(tmp_path / "a.png").size
    assert width < 2000 and height < 2000


def test_grad_cam_is_drawn_beside_the_superpixels(
    call: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "one.png")
    assert call("one.png", "--out", "alone") == 0
    asked: list[Any] = []

    def heads_on_map(self: Predictor, picture: np.ndarray) -> list[HeadInput]:
        asked.append(picture.shape)
        return []

    monkeypatch.setattr(Predictor, "heads_on_map", heads_on_map)
    monkeypatch.setattr(gradcam, "heat", lambda heads, column: np.eye(3))
    assert call("one.png", "--out", "beside") == 0
    assert asked == [(*SIZE, 3)]
    sizes = [Image.open(tmp_path / out / "one.png").size for out in ("alone", "beside")]
    assert sizes[0] != sizes[1]
    tables = [(tmp_path / out / "one.csv").read_bytes() for out in ("alone", "beside")]
    assert tables[0] == tables[1]


def test_table_has_the_middle_and_the_share_of_each_superpixel() -> None:
    found = lime.Explanation(
        np.array([[0, 0, 1, 1], [0, 0, 1, 1]]),
        np.array([0.9]),
        np.array([[0.1, -0.0]]),
        np.array([np.nan]),
    )
    rows = explain.table(found, ["a"], [0])
    assert rows["x"].tolist() == [0.25, 0.75] and rows["y"].tolist() == [0.5, 0.5]
    assert rows["area_share"].tolist() == [0.5, 0.5]
    assert rows.to_csv(index=False).splitlines()[2] == "a,1,0.0,0.5,0.75,0.5,"
