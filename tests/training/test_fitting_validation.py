from __future__ import annotations

import numpy as np
import pytest

from pipeline.data import categories
from pipeline.training import fitting
from pipeline.training.losses import Objective


def test_scores_by_hand() -> None:
    nan = float("nan")
    targets = np.array([[1, 0.75, nan], [0, 0.25, nan], [nan, 1, nan]])
    logits = np.array([[2.0, -1.0, 5.0], [-2.0, -3.0, 5.0], [9.0, 1.0, 5.0]])
    found = fitting.scores(targets, logits)
    losses = np.log1p(np.exp([-2, -2, 1, -3, -1]))
    assert found["loss"] == pytest.approx(losses.mean())
    assert found["auc"] == 1
    assert found["binary_accuracy"] == pytest.approx(4 / 5)
    nothing = fitting.scores(np.full((2, 1), nan), np.zeros((2, 1)))
    assert all(np.isnan(value) for value in nothing.values())


def test_rank_prefers_auc_then_a_small_loss_then_a_late_epoch() -> None:
    nan = float("nan")
    ranked = [
        fitting.rank_of({"auc": nan, "loss": 0.5}, 9),
        fitting.rank_of({"auc": nan, "loss": 0.4}, 0),
        fitting.rank_of({"auc": 0.6, "loss": 2.0}, 1),
        fitting.rank_of({"auc": 0.6, "loss": 1.0}, 0),
        fitting.rank_of({"auc": 0.7, "loss": 9.0}, 0),
    ]
    assert ranked == sorted(ranked)
    late = [fitting.rank_of({"auc": nan, "loss": nan}, epoch) for epoch in range(3)]
    assert late == sorted(late)


NAN = float("nan")
TARGETS = np.array([[1, 0], [0, NAN], [1, 1]], dtype="float32")
LOGITS = np.array([[2.0, -1.0], [-2.0, 5.0], [0.5, 1.0]])


def test_the_objective_without_extras_is_the_loss() -> None:
    found = fitting.objective_loss(TARGETS, LOGITS, Objective())
    assert found == pytest.approx(fitting.scores(TARGETS, LOGITS)["loss"], rel=1e-6)
    assert np.isnan(fitting.objective_loss(np.full((2, 1), NAN), np.zeros((2, 1)), Objective()))


def test_the_objective_weighted_and_focal_by_hand() -> None:
    cells = np.log1p(np.exp([-2.0, -1.0, -2.0, -0.5, -1.0]))
    weighted = fitting.objective_loss(TARGETS, LOGITS, Objective(positive_weight=(3.0, 0.5)))
    assert weighted == pytest.approx((cells * [3, 1, 1, 3, 0.5]).mean(), rel=1e-6)
    focal = fitting.objective_loss(TARGETS, LOGITS, Objective(gamma=2.0))
    assert focal == pytest.approx((cells * (1 - np.exp(-cells)) ** 2).mean(), rel=1e-6)


def test_the_objective_of_categories_is_that_of_their_softmax() -> None:
    """An even guess at four values costs log 4, not a binary column's log 2."""
    softmax = ((0, 4),)
    targets = np.eye(4, dtype="float32")
    even = categories.log_odds(np.zeros((4, 4)), softmax)
    objective = Objective(softmax=softmax)
    assert fitting.objective_loss(targets, even, objective) == pytest.approx(np.log(4), rel=1e-6)
    logits = np.random.default_rng(0).normal(size=(4, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    odds = categories.log_odds(logits, softmax)
    expected = -np.log(np.diag(shares)).mean()
    assert fitting.objective_loss(targets, odds, objective) == pytest.approx(expected, rel=1e-6)
