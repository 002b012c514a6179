from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.impute.calibration import Platt, cross_calibrate, fit_platt, log_loss


def sample(n: int, slope: float, offset: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, n)
    y = (rng.random(n) < Platt(slope, offset)(logits)).astype(float)
    return logits, y


def test_recovers_the_true_map() -> None:
    logits, y = sample(20_000, slope=0.5, offset=-1.0)
    fitted = fit_platt(logits, y)
    assert fitted.slope == pytest.approx(0.5, abs=0.03)
    assert fitted.offset == pytest.approx(-1.0, abs=0.05)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(4, 60))
def test_probabilities_keep_the_order_of_logits(seed: int, n: int) -> None:
    logits, y = sample(n, 1.0, 0.0, seed)
    p = fit_platt(logits, y)(np.sort(logits))
    assert ((p > 0) & (p < 1)).all()
    assert (np.diff(p) >= 0).all()


def test_mean_probability_is_the_prevalence() -> None:
    logits, y = sample(5_000, 1.5, -2.0)
    assert fit_platt(logits, y)(logits).mean() == pytest.approx(y.mean(), abs=0.002)


def test_separable_labels_stay_short_of_certainty() -> None:
    logits = np.array([-3.0, -2.0, 2.0, 3.0])
    p = fit_platt(logits, np.array([0, 0, 1, 1]))(logits)
    assert 0.6 < p[2] < 0.999
    assert p[0] == pytest.approx(1 - p[3], abs=1e-3)


def test_a_score_that_points_the_wrong_way_says_nothing() -> None:
    logits, y = sample(500, -1.0, 0.0)
    p = fit_platt(logits, y)(logits)
    assert np.ptp(p) == 0
    assert p[0] == pytest.approx(y.mean(), abs=0.01)


@pytest.mark.parametrize(("labels", "expected"), [([1, 1, 1], 0.8), ([0], 1 / 3), ([], 0.5)])
def test_one_class_or_none(labels: list[int], expected: float) -> None:
    p = fit_platt(np.zeros(len(labels)), np.array(labels))(np.array([-5.0, 5.0]))
    assert p == pytest.approx([expected, expected])


def test_calibration_of_a_fold_never_sees_its_labels() -> None:
    logits, y = sample(200, 1.0, 0.0)
    fold = np.arange(200) % 4
    before = cross_calibrate(logits, y, fold)
    flipped = np.where(fold == 2, 1 - y, y)
    after = cross_calibrate(logits, flipped, fold)
    assert (before[fold == 2] == after[fold == 2]).all()
    assert (before[fold != 2] != after[fold != 2]).all()


def test_log_loss_by_hand() -> None:
    loss = log_loss(np.array([0.8, 0.8, 0.0]), np.array([1, 0, 0]))
    assert loss == pytest.approx([0.223144, 1.609438, 0.0], abs=1e-6)
    assert np.isfinite(log_loss(np.array([0.0]), np.array([1]))).all()
