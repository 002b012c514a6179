from __future__ import annotations

import numpy as np
import pytest

from pipeline import validation


def test_scores_by_hand() -> None:
    nan = float("nan")
    targets = np.array([[1, 0.75, nan], [0, 0.25, nan], [nan, 1, nan]])
    logits = np.array([[2.0, -1.0, 5.0], [-2.0, -3.0, 5.0], [9.0, 1.0, 5.0]])
    found = validation.scores(targets, logits)
    losses = np.log1p(np.exp([-2, -2, 1, -3, -1]))
    assert found["loss"] == pytest.approx(losses.mean())
    assert found["auc"] == 1
    assert found["binary_accuracy"] == pytest.approx(4 / 5)
    nothing = validation.scores(np.full((2, 1), nan), np.zeros((2, 1)))
    assert all(np.isnan(value) for value in nothing.values())


def test_rank_prefers_auc_then_a_small_loss_then_a_late_epoch() -> None:
    nan = float("nan")
    ranked = [
        validation.rank_of({"auc": nan, "loss": 0.5}, 9),
        validation.rank_of({"auc": nan, "loss": 0.4}, 0),
        validation.rank_of({"auc": 0.6, "loss": 2.0}, 1),
        validation.rank_of({"auc": 0.6, "loss": 1.0}, 0),
        validation.rank_of({"auc": 0.7, "loss": 9.0}, 0),
    ]
    assert ranked == sorted(ranked)
    late = [validation.rank_of({"auc": nan, "loss": nan}, epoch) for epoch in range(3)]
    assert late == sorted(late)
