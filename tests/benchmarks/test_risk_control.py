from __future__ import annotations

import numpy as np
import pytest

from benchmarks.risk_control import kept, out_of_fold, score
from pipeline.metrics.scores import auc


def test_scores_by_hand() -> None:
    decided, labels = np.array([True, True, True, False]), np.array([1, 0, 1, 1])
    assert score("recall", decided, labels) == pytest.approx(2 / 3)
    assert score("precision", decided, labels) == pytest.approx(2 / 3)
    assert score("precision", ~decided & (labels == 0), labels) == 1
    assert score("recall", decided, 0 * labels) == 1


def test_perfect_scores_keep_every_promise_and_few_cells_none() -> None:
    labels = np.tile([0, 1], 200)
    for target in ({"recall": 0.9}, {"precision": 0.9}):
        found = kept(target, 1.0 * labels, labels, draws=20, seed=0)
        assert found["promised"] == 1
        assert found["broken"] == found["broken_unseen"] == 0
        assert found["score"] == found["beside"] == 1
        none = kept(target, 1.0 * labels[:50], labels[:50], draws=20, seed=0)
        assert none["promised"] == none["broken"] == 0


def test_scores_are_out_of_fold() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 40)).astype(np.float32)
    seen = (features[:, 0] + rng.normal(size=300) > 0).astype(np.float32)
    coin = rng.integers(0, 2, 300).astype(np.float32)
    found = out_of_fold(features, np.stack([seen, coin], axis=1), seed=0)
    assert auc(seen, found[:, 0]) > 0.7
    assert abs(auc(coin, found[:, 1]) - 0.5) < 0.15
