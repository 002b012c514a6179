from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pipeline.data.splits import out_of_fold
from pipeline.features.store import FeatureStore
from pipeline.metrics.scores import auc
from pipeline.training import heads
from pipeline.training.attribute_heads import Images, cross_fit, log_odds
from pipeline.training.fitting import Settings, Task
from pipeline.training.head_bank import HeadBank

N, K = 120, 3
FOLD = np.where(np.arange(N) < 90, np.arange(N) % K, -1)
IMAGES = Images(np.arange(N), FOLD, np.arange(N) >= 105)
NAN = float("nan")


@pytest.fixture
def truth() -> np.ndarray:
    return (np.random.default_rng(5).random(N) < 0.3).astype(float)


@pytest.fixture
def make_bank(
    make_store: Callable[..., FeatureStore], truth: np.ndarray
) -> Callable[..., HeadBank]:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, N, 2, 2, 4))
    maps[..., 0, 0, 1] += 4 * truth
    store = make_store(maps)

    def make(epochs: int = 4) -> HeadBank:
        config = heads.configure("conv", store, 1, 0.0)
        settings = Settings(epochs, 16, 0.02, epochs)
        return HeadBank(store, config, K, settings, heads.moments("conv", store, np.arange(90)))

    return make


def hide(labels: np.ndarray, share: float = 0.3) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(N) < share, NAN, labels)


class Recorder(HeadBank):
    """Keeps the tasks it is given, and asks for scores no head may give."""

    def watch(self) -> list[Task]:
        self.tasks: list[Task] = []
        return self.tasks

    def fit(self, tasks: Sequence[Task]):  # type: ignore[no-untyped-def]
        self.tasks.extend(tasks)
        return super().fit(tasks)


@pytest.mark.parametrize("imbalance", ["oversample", "class_weight", "none"])
def test_no_head_is_fitted_on_what_it_scores(
    make_bank: Callable[..., HeadBank], truth: np.ndarray, imbalance: str
) -> None:
    bank = make_bank(epochs=1)
    bank.__class__ = Recorder
    tasks = bank.watch()  # type: ignore[attr-defined]
    labels = hide(truth)
    result = cross_fit(bank, IMAGES, labels, (0,), imbalance)
    for k, task in enumerate(tasks):
        fitted = set(task.rows.tolist())
        assert fitted == set(np.flatnonzero(np.isnan(result.logits[k])))
        assert not fitted & set(np.flatnonzero(k == FOLD))
        assert not fitted & set(np.flatnonzero(FOLD < 0)), "validation or test image fitted on"
        assert (task.targets[:, 0] == labels[task.rows]).all()
        assert set(task.val_rows) == set(np.flatnonzero(IMAGES.validation & ~np.isnan(labels)))
        if imbalance == "oversample":
            assert task.targets.mean() == 0.5


def test_out_of_fold_scores_find_the_signal(
    make_bank: Callable[..., HeadBank], truth: np.ndarray
) -> None:
    labels = hide(truth)
    result = cross_fit(make_bank(8), IMAGES, labels, (0,), "oversample")
    scores = out_of_fold(result.logits, FOLD)
    assert np.isfinite(scores).all()
    known = ~np.isnan(labels)
    assert auc(truth[known & (FOLD >= 0)], scores[known & (FOLD >= 0)]) > 0.85
    assert auc(truth[~known], scores[~known]) > 0.8


def test_a_coin_stays_a_coin(make_bank: Callable[..., HeadBank]) -> None:
    """Labels that are noise score about chance out of fold, however long the heads are fitted."""
    coin = np.random.default_rng(2).integers(0, 2, N).astype(float)
    result = cross_fit(make_bank(15), IMAGES, coin, (0,), "oversample")
    scores = out_of_fold(result.logits, FOLD)
    train = FOLD >= 0
    # Chance for 45 against 45 labels: standard error of the AUC 0.06.
    assert 0.3 < auc(coin[train], scores[train]) < 0.7


def test_own_label_never_reaches_its_score(
    make_bank: Callable[..., HeadBank], truth: np.ndarray
) -> None:
    """Flip the known labels of one fold: that fold's own scores stay the same to the last bit."""
    labels = hide(truth)
    flipped = np.where(FOLD == 1, 1 - labels, labels)
    one = cross_fit(make_bank(2), IMAGES, labels, (0,), "oversample")
    two = cross_fit(make_bank(2), IMAGES, flipped, (0,), "oversample")
    assert np.array_equal(one.logits[1], two.logits[1], equal_nan=True)
    assert not np.array_equal(one.logits[0], two.logits[0], equal_nan=True)


def test_scale_is_the_natural_prevalence(
    make_bank: Callable[..., HeadBank], truth: np.ndarray
) -> None:
    result = cross_fit(make_bank(1), IMAGES, truth, (0,), "oversample")
    for k in range(K):
        inside = (FOLD >= 0) & (k != FOLD)
        assert result.shifts[k] == pytest.approx(log_odds(truth[inside]))
    assert (cross_fit(make_bank(1), IMAGES, truth, (0,), "none").shifts == 0).all()


def test_a_single_class_is_no_crash(make_bank: Callable[..., HeadBank]) -> None:
    result = cross_fit(make_bank(2), IMAGES, np.ones(N), (0,), "oversample")
    scores = out_of_fold(result.logits, FOLD)
    assert (scores > 4).all()
    nothing = cross_fit(make_bank(2), IMAGES, np.full(N, NAN), (0,), "oversample")
    assert (out_of_fold(nothing.logits, FOLD) == 0).all()
