from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipeline.data.splits import out_of_fold
from pipeline.features.store import FeatureStore
from pipeline.metrics.scores import auc
from pipeline.training import heads
from pipeline.training.attribute_heads import (
    CrossFit,
    Images,
    attribute_seed,
    cross_fit,
    log_odds,
    settings_for,
)
from pipeline.training.fitting import Fit, FitSettings, Task
from pipeline.training.head_bank import HeadBank

N, K = 120, 3
FOLD = np.where(np.arange(N) < 90, np.arange(N) % K, -1)
IMAGES = Images(np.arange(N), FOLD, np.arange(N) >= 105)
NAN = float("nan")


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return (np.random.default_rng(5).random(N) < 0.3).astype(float)


class RecordingBank(HeadBank):
    """Keeps the tasks that it was given last."""

    tasks: Sequence[Task] = ()

    def fit(self, tasks: Sequence[Task]) -> list[Fit]:
        self.tasks = tasks
        return super().fit(tasks)


@pytest.fixture(scope="module")
def bank(make_store: Callable[..., FeatureStore], truth: np.ndarray) -> RecordingBank:
    """Compiled once: a fit is the same whatever the bank fitted before."""
    maps = np.random.default_rng(0).normal(size=(2, N, 2, 2, 4))
    maps[..., 0, 0, 1] += 4 * truth
    store = make_store(maps)
    config = heads.configure("conv", store, 1, 0.0)
    settings = FitSettings(4, 16, 0.02, 4)
    return RecordingBank(store, config, K, settings, heads.moments("conv", store, np.arange(90)))


def fit_folds(
    bank: HeadBank, epochs: int, labels: np.ndarray, imbalance: str = "oversample"
) -> CrossFit:
    bank.settings = replace(bank.settings, epochs=epochs, patience=epochs)
    return cross_fit(bank, IMAGES, labels, (0,), imbalance)


def hide(labels: np.ndarray, share: float = 0.3) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(N) < share, NAN, labels)


@pytest.mark.parametrize("imbalance", ["oversample", "class_weight", "none"])
def test_no_head_is_fitted_on_what_it_scores(
    bank: RecordingBank, truth: np.ndarray, imbalance: str
) -> None:
    labels = hide(truth)
    result = fit_folds(bank, 1, labels, imbalance)
    for k, task in enumerate(bank.tasks):
        fitted = set(task.rows.tolist())
        assert fitted == set(np.flatnonzero(np.isnan(result.logits[k])))
        assert not fitted & set(np.flatnonzero(k == FOLD))
        assert not fitted & set(np.flatnonzero(FOLD < 0)), "validation or test image fitted on"
        assert (task.targets[:, 0] == labels[task.rows]).all()
        assert set(task.val_rows) == set(np.flatnonzero(IMAGES.validation & ~np.isnan(labels)))
        if imbalance == "oversample":
            assert task.targets.mean() == 0.5


def test_out_of_fold_scores_find_the_signal(bank: RecordingBank, truth: np.ndarray) -> None:
    labels = hide(truth)
    result = fit_folds(bank, 8, labels)
    scores = out_of_fold(result.logits, FOLD)
    assert np.isfinite(scores).all()
    known = ~np.isnan(labels)
    assert auc(truth[known & (FOLD >= 0)], scores[known & (FOLD >= 0)]) > 0.85
    assert auc(truth[~known], scores[~known]) > 0.8


def test_a_coin_stays_a_coin(bank: RecordingBank) -> None:
    """Labels that are noise score about chance out of fold, however long the heads are fitted."""
    coin = np.random.default_rng(2).integers(0, 2, N).astype(float)
    result = fit_folds(bank, 15, coin)
    scores = out_of_fold(result.logits, FOLD)
    train = FOLD >= 0
    # Chance for 45 against 45 labels: standard error of the AUC 0.06.
    assert 0.3 < auc(coin[train], scores[train]) < 0.7


def test_own_label_never_reaches_its_score(bank: RecordingBank, truth: np.ndarray) -> None:
    """Flip the known labels of one fold: that fold's own scores stay the same to the last bit."""
    labels = hide(truth)
    flipped = np.where(FOLD == 1, 1 - labels, labels)
    one = fit_folds(bank, 2, labels)
    two = fit_folds(bank, 2, flipped)
    assert np.array_equal(one.logits[1], two.logits[1], equal_nan=True)
    assert not np.array_equal(one.logits[0], two.logits[0], equal_nan=True)


def test_scale_is_the_natural_prevalence(bank: RecordingBank, truth: np.ndarray) -> None:
    result = fit_folds(bank, 1, truth)
    for k in range(K):
        inside = (FOLD >= 0) & (k != FOLD)
        assert result.shifts[k] == pytest.approx(log_odds(truth[inside]))
    assert (fit_folds(bank, 1, truth, "none").shifts == 0).all()


def test_a_single_class_is_not_fitted(bank: RecordingBank) -> None:
    result = fit_folds(bank, 2, np.ones(N))
    assert [(fit.history, fit.best_epoch) for fit in result.fits] == [([], -1)] * K
    assert result.constants == pytest.approx([log_odds(np.ones(60))] * K)
    scores = out_of_fold(result.logits, FOLD)
    assert (scores > 4).all()
    nothing = fit_folds(bank, 2, np.full(N, NAN))
    assert (out_of_fold(nothing.logits, FOLD) == 0).all()


@pytest.mark.parametrize("imbalance", ["oversample", "class_weight"])
def test_a_fold_with_a_single_class_leaves_the_others_alone(
    bank: RecordingBank, truth: np.ndarray, imbalance: str
) -> None:
    """All positives lie in fold 0: only its head is fitted without any."""
    labels = np.where((FOLD >= 0) & (FOLD != 0), 0.0, truth)
    result = fit_folds(bank, 3, labels, imbalance)
    assert [len(fit.history) > 0 for fit in result.fits] == [False, True, True]
    assert np.isnan(result.constants).tolist() == [False, True, True]
    unseen = ~np.isnan(result.logits[0])
    assert set(np.flatnonzero(unseen)) == set(np.flatnonzero((FOLD == 0) | (FOLD < 0)))
    assert result.logits[0, unseen] == pytest.approx(log_odds(np.zeros(60)))


def test_out_of_fold_by_hand() -> None:
    logits = np.array([[NAN, 1.0, 3.0], [2.0, NAN, 5.0]])
    assert out_of_fold(logits, np.array([1, 0, -1])).tolist() == [2.0, 1.0, 4.0]


def test_a_focal_imbalance_is_a_focal_loss_and_an_epoch_has_so_many_images() -> None:
    settings = settings_for(4, 100, 0.1, 2, "focal")
    assert (settings.objective.loss, settings.most_steps) == ("focal", 11)
    assert settings_for(4, 100, 0.1, 2, "oversample").objective.loss == "cross_entropy"


def test_an_attributes_seed_depends_on_its_name() -> None:
    assert attribute_seed(3, "hat") == attribute_seed(3, "hat")
    assert len({attribute_seed(3, "hat"), attribute_seed(3, "bag"), attribute_seed(4, "hat")}) == 3
