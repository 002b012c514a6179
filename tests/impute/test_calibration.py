"""Calibration: each method finds its own family, and labels choose among them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipeline.impute import calibration
from pipeline.impute.calibration import (
    METHODS,
    cross_calibrate,
    fit,
    select,
    shift_to,
    shifted,
)
from pipeline.metrics.scores import log_loss

NAN = float("nan")
GRID = np.linspace(-4, 4, 33)


def sample(
    n: int, truth: Callable[[np.ndarray], np.ndarray], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, n)
    return logits, (rng.random(n) < truth(logits)).astype(float)


def bent(z: np.ndarray) -> np.ndarray:
    """A member of the beta family that no logistic curve comes near."""
    return np.asarray(expit(3 * -np.logaddexp(0, -z) + 0.1 * np.logaddexp(0, z) + 1.5))


def step(z: np.ndarray) -> np.ndarray:
    return np.where(z < -1, 0.1, np.where(z < 1, 0.4, 0.9))


FAMILIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda z: expit(z),
    "temperature": lambda z: expit(0.4 * z),
    "platt": lambda z: expit(0.5 * z - 1.5),
    "beta": bent,
    "isotonic": step,
}


@pytest.mark.parametrize("method", list(METHODS))
def test_each_method_recovers_its_own_family(method: str) -> None:
    truth = FAMILIES[method]
    fitted = fit(method, *sample(20_000, truth))
    away = GRID[np.abs(np.abs(GRID) - 1) > 0.2]  # a step function's corners are fuzzy
    np.testing.assert_allclose(fitted(away), truth(away), atol=0.03)


def test_platts_coefficients_are_recovered() -> None:
    fitted = fit("platt", *sample(20_000, FAMILIES["platt"]))
    at = np.log(fitted(np.array([0.0, 1.0])) / (1 - fitted(np.array([0.0, 1.0]))))
    assert at[0] == pytest.approx(-1.5, abs=0.05)
    assert at[1] - at[0] == pytest.approx(0.5, abs=0.03)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(4, 60), st.sampled_from(list(METHODS)))
def test_probabilities_keep_the_order_of_logits(seed: int, n: int, method: str) -> None:
    logits, y = sample(n, FAMILIES["none"], seed)
    p = fit(method, logits, y)(np.sort(logits))
    assert ((p > 0) & (p < 1)).all()
    assert (np.diff(p) >= -1e-12).all()


@pytest.mark.parametrize("method", list(METHODS))
def test_any_shape_is_calibrated_cell_by_cell(method: str) -> None:
    fitted = fit(method, *sample(60, FAMILIES["platt"]))
    z = np.random.default_rng(0).normal(size=(3, 4))
    assert fitted(z).shape == (3, 4)
    assert fitted(z)[1, 2] == pytest.approx(fitted(z[1, 2]))


@pytest.mark.parametrize("method", ["platt", "beta", "isotonic"])
def test_mean_probability_is_the_prevalence(method: str) -> None:
    logits, y = sample(5000, lambda z: expit(1.5 * z - 2))
    assert fit(method, logits, y)(logits).mean() == pytest.approx(y.mean(), abs=0.003)


@pytest.mark.parametrize("method", ["temperature", "platt", "beta", "isotonic"])
def test_separable_labels_stay_short_of_certainty(method: str) -> None:
    logits = np.array([-3.0, -2.0, 2.0, 3.0])
    p = fit(method, logits, np.array([0, 0, 1, 1]))(logits)
    assert 0.6 < p[2] < 0.999
    assert p[0] == pytest.approx(1 - p[3], abs=1e-3)


@pytest.mark.parametrize("method", ["temperature", "platt", "beta", "isotonic"])
def test_a_score_that_points_the_wrong_way_says_nothing(method: str) -> None:
    logits, y = sample(500, lambda z: expit(-z))
    p = fit(method, logits, y)(np.sort(logits)[1:-1])
    assert np.ptp(p) <= (0.01 if method == "isotonic" else 1e-12)
    share = 0.5 if method == "temperature" else y.mean()
    assert p == pytest.approx(np.full(len(p), share), abs=0.01)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize(("labels", "expected"), [([1, 1, 1], 0.8), ([0], 1 / 3), ([], 0.5)])
def test_one_class_or_none(method: str, labels: list[int], expected: float) -> None:
    p = fit(method, np.zeros(len(labels)), np.array(labels))(np.array([-5.0, 5.0]))
    assert p == pytest.approx([expected, expected])


@pytest.mark.parametrize("method", ["temperature", "platt", "beta", "isotonic"])
def test_calibration_of_a_fold_never_sees_its_labels(method: str) -> None:
    logits, y = sample(200, FAMILIES["none"])
    fold = np.arange(200) % 4
    before = cross_calibrate(logits, y, fold, method)
    after = cross_calibrate(logits, np.where(fold == 2, 1 - y, y), fold, method)
    assert (before[fold == 2] == after[fold == 2]).all()
    assert (before[fold != 2] != after[fold != 2]).mean() > 0.9


def table(n: int, truth: Callable[[np.ndarray], np.ndarray], seed: int = 0) -> tuple:
    """Two attributes [n, 2], five folds."""
    logits, y = sample(2 * n, truth, seed)
    return logits.reshape(n, 2), y.reshape(n, 2), np.arange(n) % 5


@pytest.mark.parametrize(
    ("truth", "n", "chosen"),
    [
        ("none", 300, "none"),
        ("temperature", 800, "temperature"),
        ("platt", 300, "platt"),
        ("beta", 900, "beta"),
        ("isotonic", 2500, "isotonic"),
    ],
)
def test_labels_choose_the_family_they_come_from(truth: str, n: int, chosen: str) -> None:
    method, losses = select(*table(n, FAMILIES[truth]))
    assert method == chosen
    assert losses[chosen] <= min(losses.values()) + 0.01


def test_the_simplest_within_a_standard_error_is_preferred() -> None:
    logits, y, fold = table(300, FAMILIES["none"])
    method, losses = select(logits, y, fold)
    best = min(losses, key=losses.__getitem__)
    assert method == "none" != best, "the best one wins by chance only"
    cells = [
        log_loss(cross_calibrate(logits[:, a], y[:, a], fold, name), y[:, a])
        for name in ("none", best)
        for a in range(2)
    ]
    gap = np.concatenate(cells[:2]) - np.concatenate(cells[2:])
    assert 0 < gap.mean() <= gap.std(ddof=1) / np.sqrt(len(gap))
    assert losses["none"] - losses[best] == pytest.approx(gap.mean())


@pytest.mark.parametrize("known", [999, 1000])
def test_isotonic_is_a_candidate_from_1000_labels_on(known: int) -> None:
    logits, y, fold = table(1100, FAMILIES["isotonic"])
    y[known:] = NAN
    _, losses = select(logits, y, fold)
    assert ("isotonic" in losses) == (known >= calibration.FEW)
    # Labels outside training do not count.
    _, losses = select(logits, y, np.where(np.arange(1100) < 5, -1, fold))
    assert "isotonic" not in losses


@pytest.mark.parametrize(("known", "stand_in"), [(999, "platt"), (1000, "isotonic")])
def test_an_attribute_with_few_labels_takes_platt_for_isotonic(known: int, stand_in: str) -> None:
    logits, y = sample(known, FAMILIES["isotonic"])
    fitted, expected = fit("isotonic", logits, y), METHODS[stand_in](logits, y)
    assert (fitted(GRID) == expected(GRID)).all()
    assert (METHODS["platt"](logits, y)(GRID) != METHODS["isotonic"](logits, y)(GRID)).any()


def test_only_known_training_cells_choose() -> None:
    logits, y, fold = table(200, FAMILIES["platt"])
    fold = np.where(np.arange(200) % 10 == 0, -1, fold)
    y[::7] = NAN
    before = select(logits, y, fold)
    unseen = np.isnan(y) | (fold < 0)[:, None]
    after = select(np.where(unseen, 99.0, logits), np.where(fold[:, None] < 0, 1 - y, y), fold)
    assert before == after


def test_a_table_without_labels_needs_no_calibration() -> None:
    method, losses = select(np.zeros((4, 2)), np.full((4, 2), NAN), np.arange(4) % 2)
    assert method == "none"
    assert set(losses.values()) == {0.0}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.001, 0.999))
def test_shifting_hits_the_share_by_one_step_in_log_odds(seed: int, share: float) -> None:
    p = np.random.default_rng(seed).uniform(0.001, 0.999, 30)
    shift = shift_to(p, share)
    moved = shifted(p, shift)
    assert moved.mean() == pytest.approx(share, abs=1e-6)
    steps = np.log(moved / (1 - moved)) - np.log(p / (1 - p))
    np.testing.assert_allclose(steps, shift, atol=1e-6)


def test_shifting_to_the_present_share_changes_nothing_and_certainty_moves_along() -> None:
    p = np.array([0.1, 0.4, 0.7])
    assert shift_to(p, 0.4) == pytest.approx(0, abs=1e-9)
    assert shifted(p, 0.0) == pytest.approx(p)
    assert shifted(p.reshape(3, 1), 1.0).shape == (3, 1)
    certain = np.array([0.0, 1.0, 0.5])
    moved = shifted(certain, shift_to(certain, 0.2))
    assert np.isfinite(moved).all()
    assert moved.mean() == pytest.approx(0.2, abs=1e-6)


def test_a_classifier_is_calibrated_by_all_attributes_together() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(-1, 2, (3000, 3))
    labels = (rng.random(true.shape) < expit(true)).astype(float)
    labels[rng.random(labels.shape) < 0.4] = NAN
    logits = true / 3 + 2
    slope, offset = calibration.shared(logits, labels)
    np.testing.assert_allclose(slope, 3, atol=0.2)
    np.testing.assert_allclose(offset, -6, atol=0.4)
    assert len(set(slope)) == len(set(offset)) == 1


def test_a_softmax_is_calibrated_by_its_slope_alone() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1.5, (4000, 3))
    value = np.argmax(true + rng.gumbel(size=true.shape), axis=1)
    labels = np.eye(3)[value]
    labels[:500] = NAN
    slope, offset = calibration.shared(true * 4, labels, ((0, 3),))
    np.testing.assert_allclose(slope, 0.25, atol=0.02)
    assert not offset.any()


@pytest.mark.parametrize("labels", [np.full((4, 2), NAN), np.ones((4, 2))])
def test_without_labels_of_both_classes_logits_stay(labels: np.ndarray) -> None:
    slope, offset = calibration.shared(np.zeros((4, 2)), labels)
    assert (slope == 1).all() and not offset.any()


def test_what_is_not_learnable_answers_with_its_prevalence() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((300, 5)) < 0.25).astype(float)
    labels[:, 2:] = np.eye(3)[rng.integers(0, 3, 300)]
    learnable = np.array([True, False, False, False, False])
    logits = rng.normal(0, 1, labels.shape)
    slope, offset = calibration.of_classifier(logits, labels, labels, learnable, ((2, 5),), 1.0)
    assert slope[0] > 0 and not slope[1:].any()
    y = labels[:, 1]
    np.testing.assert_allclose(expit(offset[1]), (y.sum() + 1) / (len(y) + 2))
    shares = labels[:, 2:].sum(axis=0) + 1
    np.testing.assert_allclose(np.exp(offset[2:]), shares / shares.sum())


def test_what_a_loss_added_is_taken_back_first() -> None:
    """By weights that differ between attributes, as no shared offset can."""
    rng = np.random.default_rng(0)
    true, added = rng.normal(-1, 2, (3000, 2)), np.array([2.0, 0.5])
    labels = (rng.random(true.shape) < expit(true)).astype(float)
    everywhere = np.ones(2, dtype=bool)
    slope, offset = calibration.of_classifier(
        true + added, labels, labels, everywhere, balance=added
    )
    np.testing.assert_allclose(slope * (true + added) + offset, true, atol=0.6)
