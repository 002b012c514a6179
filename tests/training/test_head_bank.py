from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.features.store import FeatureStore
from pipeline.training import heads, schedules
from pipeline.training.fitting import FitSettings, Task
from pipeline.training.head_bank import HeadBank, HeadsOnTasks
from pipeline.training.losses import Objective

N = 160
PLAIN = Objective()


@pytest.fixture(scope="module")
def store(make_store: Callable[..., FeatureStore]) -> FeatureStore:
    """The label of image i is written into one channel of one position, under noise."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, N, 3, 2, 6))
    maps[:, :, 1, 1, 2] += 3 * (np.arange(N) % 2)
    return make_store(maps)


@cache
def compiled(
    store: FeatureStore,
    kind: str,
    count: int,
    outputs: int,
    objective: Objective,
    clip_norm: float | None,
) -> HeadBank:
    """One bank for all tests that ask for such heads: it fits as if it were new."""
    settings = FitSettings(12, 16, 0.01, 4, objective=objective, clip_norm=clip_norm)
    config = heads.configure(kind, store, outputs, dropout=0.2)
    return HeadBank(store, config, count, settings, heads.moments(kind, store, np.arange(N)))


def bank(
    store: FeatureStore,
    kind: str,
    count: int,
    outputs: int = 1,
    objective: Objective = PLAIN,
    clip_norm: float | None = None,
    **more: Any,
) -> HeadBank:
    made = compiled(store, kind, count, outputs, objective, clip_norm)
    settings = {"epochs": 12, "patience": 4, "schedule": "constant", "training_scores": False}
    made.settings = dataclasses.replace(made.settings, **settings | {"most_steps": None} | more)
    return made


def task(seed: int, label: np.ndarray | None = None) -> Task:
    y = ((np.arange(N) % 2) if label is None else label).astype("float32")[:, None]
    return Task(np.arange(100), y[:100], np.arange(100, 130), y[100:130], seed=(seed,))


# One position of six tells; their mean, all that the linear head sees, tells 1.2 deviations apart.
@pytest.mark.parametrize(("kind", "accuracy"), [("conv", 0.8), ("dense", 0.8), ("linear", 0.65)])
def test_learns_and_scores_what_it_never_saw(
    store: FeatureStore, kind: str, accuracy: float
) -> None:
    side = bank(store, kind, 2)
    fits = side.fit([task(1), task(2)])
    y = np.arange(130, N) % 2
    for logits in side.predict([np.arange(130, N)] * 2):
        assert ((logits[:, 0] > 0) == y).mean() > accuracy
    assert fits[0].history[0].keys() == {"loss", "val_loss", "val_auc", "val_binary_accuracy"}


def test_a_fit_does_not_depend_on_its_neighbour_or_on_history(store: FeatureStore) -> None:
    side = bank(store, "conv", 2, epochs=3)
    first = side.fit([task(1), task(2)])
    side.fit([task(7), task(8)])
    noise = np.random.default_rng(1).integers(0, 2, N)
    again = side.fit([task(1), task(3, noise)])
    for a, b in zip(first[0].weights, again[0].weights, strict=True):
        assert (a == b).all()
    assert first[0].history == again[0].history
    assert not (first[1].weights[-2] == again[1].weights[-2]).all()


def test_best_weights_are_kept(store: FeatureStore) -> None:
    side = bank(store, "conv", 1, epochs=8, patience=3)
    (fit,) = side.fit([task(1)])
    areas = [entry["val_auc"] for entry in fit.history]
    assert areas[fit.best_epoch] == max(areas)
    ties = [e["val_loss"] for e in fit.history if e["val_auc"] == max(areas)]
    assert fit.history[fit.best_epoch]["val_loss"] == min(ties)
    for held, kept in zip(side.models[0].get_weights(), fit.weights, strict=True):
        assert (held == kept).all()
    (logits,) = side.predict([np.arange(100, 130)])
    y = np.arange(100, 130) % 2
    expected = np.logaddexp(0, np.where(y == 1, -logits[:, 0], logits[:, 0])).mean()
    assert fit.history[fit.best_epoch]["val_loss"] == pytest.approx(expected, rel=1e-5)


def test_patience_ends_a_hopeless_fit(store: FeatureStore) -> None:
    noise = np.random.default_rng(3).integers(0, 2, N)
    side = bank(store, "conv", 1, epochs=60, patience=2)
    (fit,) = side.fit([task(1, noise)])
    assert len(fit.history) == fit.best_epoch + 1 + 2 < 60


def test_without_validation_labels_all_epochs_run(store: FeatureStore) -> None:
    one = task(1)
    side = bank(store, "linear", 1, epochs=7, patience=2)
    unknown = Task(one.rows, one.targets, one.val_rows, np.full((30, 1), np.nan), seed=(1,))
    (fit,) = side.fit([unknown])
    assert (len(fit.history), fit.best_epoch) == (7, 6)
    one_class = Task(one.rows, one.targets, one.val_rows, np.ones((30, 1)), seed=(1,))
    (fit,) = side.fit([one_class])
    assert np.isnan(fit.history[0]["val_auc"])
    losses = [entry["val_loss"] for entry in fit.history]
    assert losses[fit.best_epoch] == min(losses)


def test_unknown_targets_teach_nothing(store: FeatureStore) -> None:
    """Two outputs, one never known: its weights stay as they were born."""
    y = np.full((N, 2), np.nan, "float32")
    y[:, 0] = np.arange(N) % 2
    side = bank(store, "conv", 1, outputs=2, epochs=2)
    one = Task(np.arange(100), y[:100], np.arange(100, 130), y[100:130], seed=(5,))
    born = heads.build(side.config)
    heads.reset(born, (5,), side.moments)
    side.fit([one])
    kernel, bias = side.models[0].get_layer("logits").get_weights()
    kernel_born, bias_born = born.get_layer("logits").get_weights()
    assert (kernel[:, 1] == kernel_born[:, 1]).all()
    assert bias[1] == bias_born[1]
    assert (kernel[:, 0] != kernel_born[:, 0]).any()


def test_copies_take_different_views(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    side = bank(store, "linear", 1)
    seen: list[tuple[int, int]] = []
    original = side.step

    def spy(rows: np.ndarray, views: np.ndarray, *cells: np.ndarray) -> np.ndarray:
        seen.extend(zip(rows.ravel().tolist(), views.ravel().tolist(), strict=True))
        return original(rows, views, *cells)

    monkeypatch.setattr(side, "step", spy)
    rows = np.array([3, 3, 8, 9])
    twice = Task(rows, np.ones((4, 1), "float32"), rows[:1], np.ones((1, 1)), seed=(1,))
    training = HeadsOnTasks(side, [twice])
    training.train_epoch(0)
    assert {view for row, view in seen if row == 3} == {0, 1}
    first = {view for row, view in seen if row == 8}
    seen.clear()
    training.train_epoch(1)
    assert {view for row, view in seen if row == 8} != first


def test_a_diverging_fit_names_the_param(store: FeatureStore) -> None:
    side = bank(store, "linear", 1)
    one = task(1)
    wild = Task(one.rows, np.full((100, 1), np.inf, "float32"), one.val_rows, one.val_targets, (1,))
    with pytest.raises(PipelineError, match=r"learning_rate: 0\.01 let the fit diverge in epoch 1"):
        side.fit([wild])


def test_training_scores_on_request(store: FeatureStore) -> None:
    (fit,) = bank(store, "linear", 1, epochs=2, training_scores=True).fit([task(1)])
    assert {"auc", "binary_accuracy", "loss"} <= fit.history[0].keys()
    assert 0 <= fit.history[0]["auc"] <= 1


def test_every_step_is_in_the_history(store: FeatureStore) -> None:
    # 100 rows are seven steps of 16, the last one filled up from the front.
    (fit,) = bank(store, "linear", 1, epochs=3).fit([task(1)])
    assert len(fit.iterations) == 3 * 7
    for epoch, entry in enumerate(fit.history):
        assert entry["loss"] == pytest.approx(np.mean(fit.iterations[7 * epoch : 7 * epoch + 7]))
    few = bank(store, "linear", 1, epochs=3, most_steps=2)
    assert len(few.fit([task(1)])[0].iterations) == 3 * 2


def test_a_head_that_has_stopped_has_no_further_steps(store: FeatureStore) -> None:
    hopeless = dataclasses.replace(task(1, np.zeros(N)), val_targets=np.ones((30, 1)))
    endless = dataclasses.replace(task(2), val_targets=np.full((30, 1), np.nan))
    fits = bank(store, "linear", 2, epochs=6, patience=1).fit([hopeless, endless])
    for fit in fits:
        assert len(fit.iterations) == 7 * len(fit.history)
    assert [len(fit.history) for fit in fits] == [2, 6]


def test_a_schedule_starts_anew_with_each_fit_and_is_each_heads_own(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "WAIT", 1)
    noise = np.random.default_rng(3).integers(0, 2, N)
    side = bank(store, "linear", 2, epochs=5, patience=9, schedule="plateau")
    first = side.fit([task(1), task(2, noise)])
    again = side.fit([task(1), task(3)])
    assert first[0].iterations == again[0].iterations
    for a, b in zip(first[0].weights, again[0].weights, strict=True):
        assert (a == b).all()


def test_rates_follow_the_schedule(store: FeatureStore) -> None:
    iterations = {}
    for schedule in schedules.SCHEDULES:
        (fit,) = bank(store, "linear", 1, epochs=3, schedule=schedule).fit([task(1)])
        iterations[schedule] = fit.iterations
    constant = iterations["constant"]
    for schedule in ("cosine", "exponential"):
        # The first epoch has the full rate; its first change shows one step later.
        assert iterations[schedule][:8] == constant[:8]
        assert iterations[schedule][8:] != constant[8:]
    assert iterations["plateau"] == constant


def test_clipping_bounds_each_heads_own_gradient(store: FeatureStore) -> None:
    noise = np.random.default_rng(3).integers(0, 2, N)
    alone = bank(store, "linear", 1, epochs=2, clip_norm=0.01).fit([task(1)])[0]
    fits = bank(store, "linear", 2, epochs=2, clip_norm=0.01).fit([task(1), task(2, noise)])
    free = bank(store, "linear", 1, epochs=2).fit([task(1)])[0]
    assert fits[0].iterations == alone.iterations
    assert alone.iterations[0] == free.iterations[0]
    assert alone.iterations != free.iterations
    wide = bank(store, "linear", 1, epochs=2, clip_norm=1e6).fit([task(1)])[0]
    assert wide.iterations == free.iterations


def test_softmax_groups(store: FeatureStore) -> None:
    """A binary column, then a value of three that the map tells in part."""
    group = np.where(np.arange(N) % 2, 0, 1 + np.arange(N) // 2 % 2)
    y = np.concatenate([(np.arange(N) % 2)[:, None], np.eye(3)[group]], axis=1).astype("f4")
    y[::7, 1:] = np.nan
    side = bank(
        store, "conv", 1, outputs=4, objective=Objective(softmax=((1, 4),)), training_scores=True
    )
    one = Task(np.arange(100), y[:100], np.arange(100, 130), y[100:130], seed=(5,))
    (fit,) = side.fit([one])
    best = fit.history[fit.best_epoch]
    assert {"accuracy_0", "f1_0", "val_accuracy_0", "val_f1_0"} <= best.keys()
    assert best["accuracy_0"] > 0.6
    (odds,) = side.predict([np.arange(130, N)])
    p = 1 / (1 + np.exp(-odds.astype("f8")))
    assert p[:, 1:].sum(axis=1) == pytest.approx(1, abs=1e-5)
    right = (p[:, 1] > 0.5) == (np.arange(130, N) % 2 == 1)
    assert right.mean() > 0.75
