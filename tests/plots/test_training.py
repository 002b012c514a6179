from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pipeline.plots.training import PANELS, learning_curves, training_loss

NAN = float("nan")
Drawn = list[Figure]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """The figures that were written, as matplotlib knows them."""
    figures: Drawn = []
    original = Figure.savefig

    def record(self: Figure, *arguments: Any, **more: Any) -> None:
        original(self, *arguments, **more)
        figures.append(self)

    monkeypatch.setattr(Figure, "savefig", record)
    return figures


def steps(count: int) -> pd.DataFrame:
    loss = np.random.default_rng(0).random(count)
    return pd.DataFrame({"iteration_number": range(1, count + 1), "training_loss": loss})


def history(epochs: int, *categorical: str, training: bool = True) -> pd.DataFrame:
    frame = {"epoch": np.arange(1, epochs + 1)}
    frame["kept"] = (frame["epoch"] == epochs).astype(int)
    scores = [f"{score}_{name}" for name in categorical for score in ("accuracy", "f1")]
    for column in ("loss", "binary_accuracy", "auc", *scores):
        if training or column == "loss":
            frame[column] = 1 / frame["epoch"]
        frame[f"val_{column}"] = 0.9 / frame["epoch"]
    return pd.DataFrame(frame)


@pytest.mark.parametrize("title", ["Training loss", "Loss of $x_1$ & 50 %", "Verlust, größer"])
def test_training_loss_has_its_title_and_axis_labels(
    tmp_path: Path, drawn: Drawn, title: str
) -> None:
    training_loss(steps(50), tmp_path / "a.png", title)
    (figure,) = drawn
    (axes,) = figure.axes
    assert figure.get_suptitle() == title
    assert axes.get_xlabel() == "iteration_number"
    assert axes.get_ylabel() == "training_loss"
    assert axes.get_ylim()[0] == 0


@pytest.mark.parametrize(("count", "window"), [(40, 2), (59, 2), (1000, 50)])
def test_training_loss_shows_every_step_and_its_running_mean(
    tmp_path: Path, drawn: Drawn, count: int, window: int
) -> None:
    table = steps(count)
    training_loss(table, tmp_path / "a.png", "t")
    plain, mean = drawn[0].axes[0].get_lines()
    assert plain.get_label() == "each mini-batch"
    assert mean.get_label() == f"mean of the last {window}"
    loss = table["training_loss"].to_numpy()
    assert np.asarray(plain.get_xdata()).tolist() == table["iteration_number"].tolist()
    assert np.asarray(plain.get_ydata()).tolist() == loss.tolist()
    last = np.asarray(mean.get_ydata(), dtype=float)
    assert last[-1] == pytest.approx(loss[-window:].mean())
    assert last[0] == pytest.approx(loss[0])


@pytest.mark.parametrize("count", [1, 19, 39])
def test_few_steps_have_no_mean(tmp_path: Path, drawn: Drawn, count: int) -> None:
    table = steps(count)
    training_loss(table, tmp_path / "a.png", "t")
    (axes,) = drawn[0].axes
    (line,) = axes.get_lines()
    assert np.asarray(line.get_ydata()).tolist() == table["training_loss"].tolist()
    assert axes.get_legend() is None


def panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title("left"): axes for axes in figure.axes if axes.axison}


def test_learning_curves_have_a_panel_each(tmp_path: Path, drawn: Drawn) -> None:
    learning_curves(history(3), tmp_path / "a.png")
    found = panels(drawn[0])
    assert list(found) == list(PANELS.values())
    for axes in found.values():
        assert axes.get_xlabel() == "epoch"
        # Training, validation, and a line at the best epoch.
        assert len(axes.get_lines()) == 3


def test_categorical_attributes_have_two_panels_each(tmp_path: Path, drawn: Drawn) -> None:
    names = ("colour", "size")
    learning_curves(history(4, *names), tmp_path / "a.png", names)
    found = panels(drawn[0])
    assert list(found)[3:] == [
        *("colour: accuracy", "colour: macro F1", "size: accuracy", "size: macro F1")
    ]
    for axes in list(found.values())[3:]:
        training, validation, _ = axes.get_lines()
        assert np.asarray(training.get_ydata())[1] == 0.5
        assert np.asarray(validation.get_ydata())[1] == 0.45


def test_scores_on_training_images_may_be_absent(tmp_path: Path, drawn: Drawn) -> None:
    frame = history(3, "colour", training=False)
    learning_curves(frame, tmp_path / "a.png", ("colour",))
    counts = [len(axes.get_lines()) for axes in panels(drawn[0]).values()]
    assert counts == [3, 2, 2, 2, 2]


def marked(figure: Figure) -> tuple[list[int], str]:
    """The epochs that every panel marks, and what the legend says of them."""
    places = [
        [int(np.asarray(line.get_xdata())[0]) for line in axes.get_lines()[2:]]
        for axes in panels(figure).values()
    ]
    assert all(own == places[0] for own in places)
    return places[0], figure.legends[0].get_texts()[-1].get_text()


@pytest.mark.parametrize(
    ("kept", "epochs", "words"),
    [
        # Not the epoch of the lowest val_loss among the best: with a loss other than plain
        # cross-entropy the fit may have kept another.
        ([0, 1, 0, 0], [2], "kept (epoch 2)"),
        ([0, 0, 0, 0], [0], "kept as it began"),
        ([0, 0.333333, 0, 0.666666], [2, 4], "kept, by head"),
        ([0, 0, 0.5, 0], [0, 3], "kept, by head"),
    ],
)
def test_the_epoch_marked_is_the_one_that_the_history_says_was_kept(
    tmp_path: Path, drawn: Drawn, kept: list[float], epochs: list[int], words: str
) -> None:
    frame = history(4).assign(val_auc=[0.5, 0.9, 0.9, 0.9], val_loss=[0.1, 0.4, 0.3, 0.3])
    learning_curves(frame.assign(kept=kept), tmp_path / "a.png")
    assert marked(drawn[0]) == (epochs, words)
    # Where no AUC is defined the loss has decided, and an epoch was kept as well.
    learning_curves(frame.assign(kept=kept, val_auc=NAN), tmp_path / "b.png")
    assert marked(drawn[1]) == (epochs, words)


DRAWERS: dict[str, Callable[[Path], None]] = {
    "steps": lambda path: training_loss(steps(30), path, "Loss"),
    "curves": lambda path: learning_curves(history(3, "a"), path, ("a",)),
    "long name": lambda path: learning_curves(
        history(1, "a_name_of_a_column_that_is_long" * 3),
        path,
        ("a_name_of_a_column_that_is_long" * 3,),
    ),
    "many": lambda path: learning_curves(
        history(2, *(f"c{i}" for i in range(5))), path, tuple(f"c{i}" for i in range(5))
    ),
}


@pytest.mark.parametrize("name", DRAWERS)
def test_same_bytes_under_any_settings(name: str, tmp_path: Path) -> None:
    DRAWERS[name](tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 40}):
        DRAWERS[name](tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert 500 <= image.width <= 1700
        assert 150 <= image.height <= 2700
