"""Regressions that learn shares: scikit-learn's where targets are 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from pipeline.impute import soft_regressions


def problem(n: int = 900) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, 12] and truth [n, 3]."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (n, 12)).astype(np.float32)
    true = rng.normal(0, 1, (12, 3)) / 2
    return x, (rng.random((n, 3)) < expit(x @ true - 1)).astype(np.float64)


def test_logistic_is_that_of_scikit_learn() -> None:
    x, truth = problem()
    theta = soft_regressions.logistic(x, truth, np.ones(truth.shape), 0.05)
    for a in range(truth.shape[1]):
        peer = LogisticRegression(C=0.05, tol=1e-8).fit(x, truth[:, a])
        np.testing.assert_allclose(theta[:-1, a], peer.coef_[0], atol=3e-3)
        assert theta[-1, a] == pytest.approx(peer.intercept_[0], abs=3e-3)


def test_a_soft_target_is_two_weighted_hard_ones() -> None:
    x, truth = problem(n=300)
    soft = np.clip(truth[:, :1], 0.2, 0.9)
    theta = soft_regressions.logistic(x, soft, np.full(soft.shape, 0.5), 0.1)
    both = np.vstack([x, x])
    y, w = np.r_[np.ones(300), np.zeros(300)], np.r_[soft[:, 0], 1 - soft[:, 0]] / 2
    peer = LogisticRegression(C=0.1, tol=1e-8).fit(both, y, w)
    np.testing.assert_allclose(theta[:-1, 0], peer.coef_[0], atol=3e-3)


def test_ridge_is_that_of_scikit_learn_in_log_odds() -> None:
    x, truth = problem()
    weights = np.random.default_rng(1).random(truth.shape)
    theta = soft_regressions.ridge(x, truth, weights, np.array([1.0, 100.0]))
    share = ((weights * truth).sum(axis=0) + 1) / (weights.sum(axis=0) + 2)
    for c, alpha in enumerate((1.0, 100.0)):
        peer = Ridge(alpha).fit(x, truth[:, 0], weights[:, 0])
        wanted = peer.coef_ / (share[0] * (1 - share[0]))
        np.testing.assert_allclose(theta[c, :-1, 0], wanted, atol=1e-4)
