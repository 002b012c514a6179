"""The search for a network: what it proposes, trains, reads and writes."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from PIL import Image

from pipeline import params
from pipeline.data.clean_table import write_clean
from pipeline.data.labels import LabelTable
from pipeline.errors import EXIT_INTERRUPTED, PipelineError
from pipeline.training import fine_tuning
from pipeline.training.fitting import DivergedError, Fit
from pipeline.tune import __main__ as tune
from pipeline.tune import figure, search_space, trainer
from pipeline.tune.search_space import Choice, Result
from tests.conftest import needs_bfloat16

COLUMNS = ["trial", "filters", "dense_units", "dropout", "learning_rate", "parameters"]
COLUMNS += ["best_epoch", "val_auc", "val_loss", "seconds", "best"]
USUAL = Choice((32, 64), 128, 0.3, 0.001)
SMALL = Choice((8,), 16, 0.2, 0.005)


@pytest.fixture
def needs_optuna() -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_params: Callable[..., Path]
) -> Path:
    """A clean table of 80 pictures; ``bright`` is to be seen in them, ``coin`` is not."""
    rng = np.random.default_rng(0)
    split = ["train"] * 48 + ["val"] * 16 + ["test"] * 16
    (tmp_path / "images").mkdir()
    names, hashes = [], []
    values = rng.integers(0, 2, (len(split), 2)).astype(np.float32)
    for i, bright in enumerate(values[:, 0]):
        pixels = rng.integers(0, 120, (40, 36, 3)) + 100 * int(bright)
        file = tmp_path / f"images/{i:03d}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(file)
        names.append(file.name)
        hashes.append(hashlib.sha256(file.read_bytes()).hexdigest())
    values[rng.random(values.shape) < 0.2] = np.nan
    clean = tmp_path / trainer.CLEAN
    clean.mkdir(parents=True)
    write_clean(LabelTable.binary(names, ["bright", "coin"], values, split), clean / "labels.csv")
    pd.DataFrame({"image": names, "sha256": hashes}).to_csv(clean / "images.csv", index=False)
    write_params(
        {
            "data.images": "images",
            "image_size": [32, 32],
            "features.views": 1,
            "batch_size": 16,
            "backbone.precision": "float32",
        }
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(epochs: int = 1, **changes: Any) -> trainer.ChoiceTrainer:
    return replace(tune.trainer_for(params.load(), epochs, seed=3), **changes)


def scored(auc: float, loss: float, choice: Choice = USUAL) -> Result:
    return Result(choice, 1000, 2, auc, loss, 1.5)


DIVERGED = Result(USUAL, 1000, None, math.nan, math.nan, 1.5)


def pretended(monkeypatch: pytest.MonkeyPatch, *answers: float | BaseException) -> None:
    """Instead of fitting: a validation AUC or an exception, one after the other; and no picture."""
    waiting = iter(answers)

    def fit(*_: object, **__: object) -> list[Fit]:
        answer = next(waiting)
        if isinstance(answer, BaseException):
            raise answer
        return [Fit(history=[{"val_auc": answer, "val_loss": 0.5}])]

    monkeypatch.setattr(fine_tuning, "fit", fit)
    monkeypatch.setattr(figure, "draw", lambda trials, path: Path(path).touch())
    monkeypatch.setattr(trainer.ChoiceTrainer, "network", lambda self, choice: None)


@pytest.mark.identical_bytes
@pytest.mark.usefixtures("project")
def test_a_label_that_is_to_be_seen_is_learned_and_twice_alike() -> None:
    train = trained(epochs=3)
    whole = train.task
    seen = replace(whole, targets=whole.targets[:, :1], val_targets=whole.val_targets[:, :1])
    train = replace(train, task=replace(seen, seed=(3, 1)))
    first = train(SMALL)
    assert first.val_auc > 0.95
    assert replace(train(SMALL), seconds=first.seconds) == first


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=needs_bfloat16)])
def test_the_network_is_the_one_that_the_choice_says(precision: str) -> None:
    import keras

    train = trained(precision=precision)
    branch = train.network(USUAL)
    assert branch.backbone.network.layers[1].compute_dtype == precision
    assert keras.config.dtype_policy().name == "float32"
    counted = branch.backbone.network.count_params()
    counted += sum(int(np.prod(v.shape)) for v in branch.heads[0].trainable_variables)
    assert search_space.parameters(USUAL, (32, 32), 2) == counted
    maps = branch.backbone(np.full((1, 32, 32, 3), 128, np.float32))
    assert np.isfinite(branch.heads[0](maps).numpy()).all()


@pytest.mark.usefixtures("needs_optuna")
def test_the_same_seed_gives_the_same_table_without_test_images(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["--trials", "2", "--epochs", "1", "--blocks", "1", "2"]
    assert tune.main([*call, "--out", "one/tuning.csv"]) == 0
    said = capsys.readouterr().out.splitlines()
    clean = pd.read_csv(trainer.CLEAN / "labels.csv")
    test = clean["split"] == "test"
    for name in clean["image"][test]:
        (project / "images" / name).unlink()
    clean.loc[test, "bright"] = 1 - clean.loc[test, "bright"]
    clean.to_csv(trainer.CLEAN / "labels.csv", index=False, float_format="%g")
    assert tune.main([*call, "--out", "two/tuning.csv"]) == 0
    assert capsys.readouterr().out.splitlines() == said
    first, second = (pd.read_csv(f"{folder}/tuning.csv") for folder in ("one", "two"))
    assert list(first) == COLUMNS and first["trial"].tolist() == [1, 2]
    assert (first["seconds"] > 0).all()
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), second.drop(columns="seconds"))
    assert Path("one/tuning.png").read_bytes() == Path("two/tuning.png").read_bytes()
    assert sorted(path.name for path in Path("one").iterdir()) == ["tuning.csv", "tuning.png"]


@pytest.mark.usefixtures("project", "needs_optuna")
def test_the_line_to_copy_is_that_of_the_best_trial(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretended(monkeypatch, 0.6, 0.9, 0.7)
    assert tune.main(["--trials", "3", "--seed", "9"]) == 0
    said, line = capsys.readouterr().out.splitlines()
    assert said.startswith("best: trial 2 of 3, validation AUC 0.9000, loss 0.5000 in epoch 1")
    words = shlex.split(line)
    assert words[:3] == ["dvc", "exp", "run"] and set(words[3::2]) == {"-S"}
    asked = dict(word.split("=") for word in words[4::2])
    row = pd.read_csv(tune.TABLE).iloc[1]
    assert asked["backbone.name"] == f"cnn-{row['filters']}"
    assert float(asked["fine_tune.learning_rate"]) == row["learning_rate"]
    assert float(asked["dropout"]) == row["dropout"] and asked["seed"] == "9"
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for name, text in asked.items():
        *sections, key = name.split(".")
        place = content
        for section in sections:
            place = place[section]
        assert key in place
        place[key] = yaml.safe_load(text)
    Path("other.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    p = params.load("other.yaml")
    assert p.dense_units == row["dense_units"] and p.fine_tune.epochs == 8 and p.head == "dense"


@pytest.mark.usefixtures("project", "needs_optuna")
def test_an_interrupt_keeps_the_trials_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretended(monkeypatch, 0.6, 0.9, KeyboardInterrupt())
    assert tune.main(["--trials", "5"]) == EXIT_INTERRUPTED
    said = capsys.readouterr()
    assert "interrupted after 2 of 5 trials; reports/tuning.csv has those" in said.err
    assert said.out.startswith("best: trial 2 of 2, ")
    kept = tune.TABLE.read_bytes()
    assert pd.read_csv(tune.TABLE)["val_auc"].tolist() == [0.6, 0.9]
    pretended(monkeypatch, KeyboardInterrupt())
    assert tune.main([]) == EXIT_INTERRUPTED
    assert "interrupted after 0 of 20 trials; nothing is written" in capsys.readouterr().err
    assert tune.TABLE.read_bytes() == kept


@pytest.mark.usefixtures("project", "needs_optuna")
def test_a_fit_that_diverges_is_a_row_without_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    diverged = DivergedError("fine_tune.learning_rate", 1.0, 0)
    pretended(monkeypatch, diverged, 0.8)
    assert tune.main(["--trials", "2"]) == 0
    rows = pd.read_csv(tune.TABLE)
    assert rows["val_auc"].isna().tolist() == [True, False]
    assert rows["best_epoch"].isna().tolist() == [True, False]
    pretended(monkeypatch, diverged, diverged)
    with pytest.raises(PipelineError, match="every one of the 2 fits diverged"):
        tune.main(["--trials", "2"])
    pretended(monkeypatch, PipelineError("a.png: has changed"))
    with pytest.raises(PipelineError, match="has changed"):
        tune.main(["--trials", "2"])


@pytest.mark.usefixtures("project")
def test_what_there_is_to_train_on_is_checked() -> None:
    p = params.load()
    table = pd.read_csv(trainer.CLEAN / "labels.csv")
    table.loc[table["split"] == "val", ["bright", "coin"]] = np.nan
    table.to_csv(trainer.CLEAN / "labels.csv", index=False, float_format="%g")
    with pytest.raises(PipelineError, match="no validation image with a known label"):
        tune.trainer_for(p, 1, 0)
    (trainer.CLEAN / "labels.csv").unlink()
    with pytest.raises(PipelineError) as error:
        tune.trainer_for(p, 1, 0)
    assert str(error.value) == "data/clean/labels.csv: no such file; run `dvc repro clean`"


@pytest.mark.usefixtures("project")
def test_whole_numbers_and_unknown_rows_are_not_trained_on() -> None:
    p = params.load()
    p = p.model_copy(update={"backbone": p.backbone.model_copy(update={"precision": "int8"})})
    train = tune.trainer_for(p, 1, 0)
    assert train.precision in ("float32", "bfloat16")
    assert not np.isnan(train.task.targets).all(axis=1).any()
    assert len(train.pictures.names) == 64
    assert not set(train.task.rows) & set(train.task.val_rows)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PipelineError) as error:
        tune.main([])
    assert str(error.value) == (
        "pipeline.tune: not installed: optuna; pip install -c constraints.txt -e '.[tune]'"
    )


def test_bad_arguments_end_in_one_line(
    run_module: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = run_module("pipeline.tune", "--trials", "0")
    assert done.returncode == 2
    assert done.stderr == "error: --trials 0: expected 1 to 10000\n"
    (tmp_path / "file").touch()
    for arguments, message in (
        (["--epochs", "0"], "--epochs 0: expected 1 to 10000"),
        (["--seed", "-1"], "--seed -1: expected 0 to 2147483647"),
        (["--blocks", "3", "2"], "--blocks 3 2: expected two numbers from 1 to 8"),
        (["--blocks", "1", "9"], "--blocks 1 9: expected two numbers from 1 to 8"),
        (["--out", "tuning.txt"], "--out tuning.txt: expected the name of a file"),
        (["--out", str(tmp_path / "file/x.csv")], "is a file, not a folder"),
    ):
        with pytest.raises(PipelineError, match=message):
            tune.main(arguments)


@pytest.mark.usefixtures("project", "needs_optuna")
def test_pictures_too_small_for_the_blocks_end_in_one_line() -> None:
    with pytest.raises(PipelineError) as error:
        tune.main(["--blocks", "2", "7"])
    assert str(error.value) == (
        "--blocks 2 7: image_size [32, 32] is too small for 7 blocks, each of which halves it; "
        "expected at most 5, or a larger image_size in params.yaml"
    )


def test_which_blocks_suit_a_size() -> None:
    assert search_space.problem((2, 4), (128, 96)) is None
    assert search_space.problem((1, 5), (32, 63)) is None
    assert search_space.problem((2, 4), (224, 224)) is None
    said = search_space.problem((2, 4), (512, 512))
    assert said is not None
    assert "the hidden layer on their map would have more than 32 million weights" in said
    assert "expected at least 3 blocks" in said
    assert search_space.problem((3, 4), (512, 512)) is None


class Widest:
    """Always takes the upper end."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return high

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return high * 0.98765


def test_the_hidden_layer_is_no_larger_than_memory_allows() -> None:
    wide = search_space.suggest(Widest(), (2, 4), (128, 96))
    assert wide == Choice((128, 128, 128, 128), 512, 0.6, 0.0099)
    large = search_space.suggest(Widest(), (2, 2), (224, 224))
    assert large.dense_units == 64
    assert 56 * 56 * 128 * large.dense_units <= search_space.MOST_WEIGHTS


@pytest.mark.usefixtures("needs_optuna")
def test_the_search_starts_with_the_usual_network_and_finds_better_ones() -> None:
    def train(choice: Choice) -> Result:
        return scored(1 - abs(math.log10(choice.learning_rate) + 2.3) / 4, 0.5, choice)

    found = [list(tune.search(train, 30, (2, 4), (64, 64), seed)) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert found[0][0].choice == USUAL
    later = [abs(math.log10(one.choice.learning_rate) + 2.3) for one in found[0]]
    assert np.mean(later[-10:]) < np.mean(later[:10])
    for one in found[0]:
        assert 2 <= len(one.choice.filters) <= 4
        assert set(one.choice.filters) <= {16, 32, 64, 128}


def test_the_order_of_results() -> None:
    none, half = scored(math.nan, 0.1), scored(0.5, 0.1)
    worse, good, better = scored(0.5, 9.0), scored(0.5 + 1e-7, 9.0), scored(0.5 + 1e-7, 8.9)
    order = [DIVERGED, none, worse, half, good, better]
    assert sorted(order[3:] + order[:3], key=lambda one: one.rank) == order
    values = [one.value for one in order[1:]]
    assert values == sorted(values) and len(set(values)) == len(values)
    assert search_space.best(order) == 5
    assert search_space.best([half, half]) == 0
    assert search_space.best([DIVERGED]) is None


def test_the_picture_marks_the_trial_that_the_table_says_is_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    original = Figure.savefig

    def record(self: Figure, *arguments: Any, **more: Any) -> None:
        original(self, *arguments, **more)
        figures.append(self)

    monkeypatch.setattr(Figure, "savefig", record)
    trials = search_space.table([DIVERGED, scored(0.9, 0.5), scored(0.8, 0.5, SMALL)])
    assert trials["best"].tolist() == [0, 1, 0]
    for best, units in (([0, 1, 0], [128]), ([0, 0, 1], [16]), ([0, 0, 0], [])):
        figure.draw(trials.assign(best=best), tmp_path / "a.png")
        panels = {axes.get_title("left"): axes for axes in figures[-1].axes if axes.axison}
        marked = panels["Dense units"].get_lines()[1]
        assert np.asarray(marked.get_xdata()).tolist() == units


def test_undefined_scores_are_empty_in_the_table() -> None:
    text = search_space.table([scored(math.nan, 0.25), DIVERGED]).to_csv(index=False)
    assert text.splitlines()[1:] == [
        "1,32-64,128,0.3,0.001,1000,2,,0.25,1.5,1",
        "2,32-64,128,0.3,0.001,1000,,,,1.5,0",
    ]


@pytest.mark.parametrize(
    "results",
    [
        [scored(0.5 + i / 20, 0.5, Choice((16, 64), 64, 0.0, 1e-4 * 2**i)) for i in range(6)],
        [scored(0.9, 0.5), DIVERGED],
        [scored(math.nan, 0.5), scored(math.nan, 0.4, SMALL)],
        [DIVERGED],
    ],
)
def test_the_picture_has_the_same_bytes_again(results: list[Result], tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        figure.draw(search_space.table(results), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
