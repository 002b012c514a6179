"""The losses for missing labels against hand-computed values, and the head that is trained."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from benchmarks.adam import Adam
from benchmarks.linear_head import Grid, fit, standardised
from benchmarks.own_labels import own_probabilities
from benchmarks.partial_losses import (
    Asymmetric,
    CrossEntropy,
    LargeLossRejection,
    Loss,
    SelfPacedCorrection,
    cross_entropy,
    focused,
)
from benchmarks.role import JointTable, expected_positives

NAN = np.nan
LABELS = np.array([[1.0, 0.0, NAN], [NAN, 1.0, 0.0]])
ROWS = np.arange(2)


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (2, 4, 3))  # [B, G, A]


def assumed_negative(logits: np.ndarray) -> np.ndarray:
    return cross_entropy(logits, np.nan_to_num(LABELS)[:, None])[0]


def slope(loss, logits: np.ndarray, step: float = 1e-6) -> np.ndarray:
    return (loss(logits + step) - loss(logits - step)) / (2 * step)


def test_cross_entropy_by_hand() -> None:
    loss, gradient = cross_entropy(logit(np.array([0.8, 0.8, 0.8])), np.array([1.0, 0.0, 0.25]))
    np.testing.assert_allclose(
        loss, [-np.log(0.8), -np.log(0.2), -0.25 * np.log(0.8) - 0.75 * np.log(0.2)]
    )
    np.testing.assert_allclose(gradient, [-0.2, 0.8, 0.55])


def test_masked_and_weighted_cells(logits: np.ndarray) -> None:
    weight = np.array([[1.0, 0.5, 1.0], [1.0, 0.0, 1.0]])
    cells = CrossEntropy(weight)(logits, LABELS, 0, ROWS)
    assert (cells.gradient[0, :, 2] == 0).all() and (cells.gradient[1, :, :2] == 0).all()
    np.testing.assert_array_equal(cells.mass[:, 0], [[1, 0.5, 0], [0, 0, 1]])
    np.testing.assert_allclose(cells.gradient[0, :, 1], 0.5 * expit(logits[0, :, 1]))
    swapped = CrossEntropy(weight)(logits[::-1], LABELS[::-1], 0, ROWS[::-1])
    np.testing.assert_array_equal(swapped.gradient, cells.gradient[::-1])


@pytest.mark.parametrize("loss", [CrossEntropy(), Asymmetric(1.0, masked=True)])
def test_unknown_cells_have_exactly_no_gradient(loss: Loss, logits: np.ndarray) -> None:
    cells = loss(logits, LABELS, 3, ROWS)
    unknown = np.broadcast_to(np.isnan(LABELS)[:, None], logits.shape)
    for part in cells:
        assert (part[unknown] == 0).all() and np.isfinite(part).all()
    assert (cells.gradient[~unknown] != 0).any()


def test_asl_without_focus_and_margin_is_cross_entropy(logits: np.ndarray) -> None:
    cells = Asymmetric(0.0, 0.0, 0.0)(logits, LABELS, 0, ROWS)
    expected = cross_entropy(logits, np.nan_to_num(LABELS)[:, None])
    np.testing.assert_allclose(cells.loss, expected[0])
    np.testing.assert_allclose(cells.gradient, expected[1], atol=1e-12)


def test_asl_by_hand() -> None:
    p = np.array([0.7, 0.7, 0.04])
    positive = np.array([True, False, False])
    loss, gradient = focused(logit(p), positive, 1.0, 4.0, 0.05)
    np.testing.assert_allclose(loss, [-0.3 * np.log(0.7), -(0.65**4) * np.log(0.35), 0.0])
    assert gradient[2] == 0.0


@pytest.mark.parametrize("margin", [0.0, 0.05])
@pytest.mark.parametrize(("gamma_pos", "gamma_neg"), [(0, 4), (1, 4), (2, 2), (0, 0), (1, 1)])
def test_focused_gradient(gamma_pos: float, gamma_neg: float, margin: float) -> None:
    z = np.linspace(-6, 6, 41)  # none at the margin's kink, p = .05
    for positive in (True, False):
        which = np.full(z.shape, positive)
        settings = (which, float(gamma_pos), float(gamma_neg), margin)
        _, gradient = focused(z, *settings)
        numeric = slope(lambda v, s=settings: focused(v, *s)[0], z)
        np.testing.assert_allclose(gradient, numeric, atol=1e-7)


def test_focused_is_finite_far_out() -> None:
    z = np.array([-800.0, 800.0])
    for positive in (True, False):
        for margin in (0.0, 0.05):
            parts = focused(z, np.full(2, positive), 0.0, 4.0, margin)
            assert all(np.isfinite(part).all() for part in parts)


def test_no_rejection_is_assumed_negative(logits: np.ndarray) -> None:
    for loss, epoch in ((LargeLossRejection(0.0), 50), (LargeLossRejection(0.3), 0)):
        cells = loss(logits, LABELS, epoch, ROWS)
        np.testing.assert_allclose(cells.loss, assumed_negative(logits))
        assert (cells.mass == 1).all()


def test_largest_losses_of_unknown_cells_are_rejected() -> None:
    labels = np.array([[NAN, NAN, 0.0, 1.0], [NAN, NAN, NAN, 0.0]])
    z = np.array([[[3.0, -1.0, 9.0, -9.0]], [[0.0, 2.0, 1.0, 9.0]]])
    rejection = LargeLossRejection(0.2)
    for epoch, gone in ((1, 1), (2, 2), (5, 5), (9, 5)):
        cells = rejection(z, labels, epoch, ROWS)
        zero = cells.gradient[:, 0] == 0
        assert not zero[~np.isnan(labels)].any()
        ranked = np.argsort(-z[:, 0][np.isnan(labels)])
        assert set(np.flatnonzero(zero[np.isnan(labels)])) == set(ranked[:gone])
        assert (cells.loss[:, 0][zero] == 0).all()
        assert cells.mass.sum() == labels.size


def test_rejection_is_by_head(logits: np.ndarray) -> None:
    rejection = LargeLossRejection(0.5)
    together = rejection(logits, LABELS, 1, ROWS)
    for head in range(logits.shape[1]):
        alone = rejection(logits[:, [head]], LABELS, 1, ROWS)
        np.testing.assert_array_equal(alone.gradient[:, 0], together.gradient[:, head])


def test_splc_that_never_corrects_is_its_base(logits: np.ndarray) -> None:
    base = SelfPacedCorrection()(logits, LABELS, 0, ROWS)
    for loss in (SelfPacedCorrection(tau=1.0), SelfPacedCorrection(change=10)):
        later = loss(logits, LABELS, 5, ROWS)
        np.testing.assert_array_equal(later.loss, base.loss)
        np.testing.assert_array_equal(later.gradient, base.gradient)


def test_splc_by_hand() -> None:
    labels = np.array([[1.0, 0.0, NAN, NAN]])
    z = logit(np.array([[[0.7, 0.9, 0.7, 0.5]]]))
    p = expit(logit(0.7) - 1)
    row = np.zeros(1, int)
    first = SelfPacedCorrection()(z, labels, 0, row).loss[0, 0]
    later = SelfPacedCorrection()(z, labels, 1, row).loss[0, 0]
    same = [-((1 - p) ** 2) * np.log(p), -(0.9**2) * np.log(0.1)]
    np.testing.assert_allclose(first[:2], same)
    np.testing.assert_allclose(later[:2], same)
    np.testing.assert_allclose(first[2:], [-(0.7**2) * np.log(0.3), -0.25 * np.log(0.5)])
    np.testing.assert_allclose(later[2:], [-(0.3**2) * np.log(0.7), -0.25 * np.log(0.5)])


def test_regulariser_is_nothing_at_the_expected_count() -> None:
    z = logit(np.array([[[0.5, 0.25, 0.75]], [[0.25, 0.5, 0.25]]]))  # 1.5 and 1 per image
    penalty, gradient = expected_positives(z, 1.25)
    np.testing.assert_allclose(penalty, 0, atol=1e-30)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
    np.testing.assert_allclose(expected_positives(z, 0.5)[0], (0.75 / 3) ** 2)


def test_regulariser_gradient(logits: np.ndarray) -> None:
    _, gradient = expected_positives(logits, 0.4)
    for place in np.ndindex(logits.shape):
        step = np.zeros(logits.shape)
        step[place] = 1e-6
        change = (
            expected_positives(logits + step, 0.4)[0] - expected_positives(logits - step, 0.4)[0]
        )
        assert change.sum() / 2e-6 == pytest.approx(gradient[place], abs=1e-8)


def test_role_gradient_and_table(logits: np.ndarray) -> None:
    loss = JointTable(rate=0.1)
    loss.reset(LABELS, 4, np.random.default_rng(3))
    # Prevalences 1, .5 and 0 of the known cells.
    assert loss.expected == pytest.approx(1.5)
    start = loss.table.copy()
    sure = expit(start[:, 0][~np.isnan(LABELS)])
    np.testing.assert_allclose(np.abs(sure - 0.5), 0.495)
    assert (np.abs(expit(start[:, 0][np.isnan(LABELS)]) - 0.5) <= 0.1).all()

    def mean(z: np.ndarray, other: np.ndarray) -> np.ndarray:
        known = ~np.isnan(LABELS)[:, None]
        fact = cross_entropy(z, np.nan_to_num(LABELS)[:, None])[0] * known
        agree = cross_entropy(z, expit(other))[0]
        total = (fact + agree).sum(axis=(0, 2)) / LABELS.size
        return 0.5 * (total + expected_positives(z, 1.5)[0])

    cells = loss(logits, LABELS, 0, ROWS)
    np.testing.assert_allclose(cells.loss.sum(axis=(0, 2)) / LABELS.size, mean(logits, start))
    numeric = np.zeros(logits.shape)
    back = np.zeros(logits.shape)
    for place in np.ndindex(logits.shape):
        step = np.zeros(logits.shape)
        step[place] = 1e-6
        up, down = mean(logits + step, start), mean(logits - step, start)
        numeric[place] = (up - down).sum() / 2e-6
        up, down = mean(start + step, logits), mean(start - step, logits)
        back[place] = (up - down).sum() / 2e-6
    np.testing.assert_allclose(cells.gradient / LABELS.size, numeric, atol=1e-8)
    # Adam's first step is the learning rate in the direction of descent.
    np.testing.assert_allclose(loss.table - start, -0.1 * np.sign(back), atol=1e-4)


def test_adam_of_rows_is_adam() -> None:
    rng = np.random.default_rng(1)
    whole, rows = np.zeros((5, 2)), np.zeros((5, 2))
    first, second = Adam(whole.shape, 0.01), Adam(rows.shape, 0.01)
    for _ in range(5):
        gradient = rng.normal(size=(5, 2))
        first.step(whole, gradient.copy())
        second.step_rows(rows, np.arange(5), gradient)
    np.testing.assert_allclose(whole, rows)
    assert (whole != 0).all()


@pytest.fixture
def task() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 12)).astype(np.float32)
    chance = expit(x @ rng.normal(0, 2, (12, 3)))
    labels = (rng.random((300, 3)) < chance).astype(float)
    labels[rng.random(labels.shape) < 0.4] = NAN
    return x, labels


def test_fit_is_reproducible_and_seeded(task: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = task
    grid = Grid(strengths=(1e-3, 1e-2), epochs=(3, 6), batch=32)
    for loss in (CrossEntropy(), JointTable(), LargeLossRejection(0.05), SelfPacedCorrection()):
        parts = (x[:200], labels[:200], loss, x[200:], labels[200:], grid)
        first, again, other = fit(*parts, 7), fit(*parts, 7), fit(*parts, 8)
        np.testing.assert_array_equal(first.weights, again.weights)
        assert first.rank == again.rank
        assert not np.array_equal(first.weights, other.weights)


def test_strengths_side_by_side_are_as_alone(task: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = task
    parts = (x[:200], labels[:200], CrossEntropy(), x[200:], labels[200:])
    alone = [fit(*parts, Grid((s,), (5,)), 0) for s in (1e-4, 1e-1)]
    both = fit(*parts, Grid((1e-4, 1e-1), (5,)), 0)
    best = max(alone, key=lambda head: head.rank)
    assert both.strength == best.strength
    np.testing.assert_allclose(both.weights, best.weights, atol=1e-6)


def test_fit_reaches_the_minimum(task: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = task
    grid = Grid((1e-2,), (400, 600), rate=1e-2, batch=300)
    head = fit(x, labels, CrossEntropy(), x, labels, grid, 0)
    assert head.epochs == 600
    known = ~np.isnan(labels)
    for a in range(3):
        rows = known[:, a]
        # The mean is over the cells of all labels, scikit-learn's sum over those of one.
        model = LogisticRegression(C=1 / (2 * 1e-2 * known.sum()), tol=1e-8)
        model.fit(x[rows], labels[rows, a])
        np.testing.assert_allclose(head.weights[:, a], model.coef_[0], atol=1e-2)
        assert head.bias[a] == pytest.approx(model.intercept_[0], abs=1e-2)


def test_standardised_by_training_rows_only() -> None:
    features = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    features[:, 3] = 1.5
    ready = standardised(features, np.arange(30))
    np.testing.assert_allclose(ready[:30].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(ready[:30, :3].std(axis=0), 1, atol=1e-5)
    assert (ready[:, 3] == 0).all()
    features[30:, :3] += 100
    np.testing.assert_array_equal(standardised(features, np.arange(30))[:30], ready[:30])


def test_own_probabilities(task: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = task
    labels = np.c_[labels, np.where(np.arange(300) < 9, 0.0, NAN)]
    labels = np.c_[labels, np.where(np.arange(300) == 0, 1.0, labels[:, 3])]
    own = own_probabilities(x, labels, np.arange(300), 0)
    known = ~np.isnan(labels[:, 0])
    assert (own.decided[known, 0] == labels[known, 0]).mean() > 0.8
    assert own.calibrated[known, 0].mean() == pytest.approx(labels[known, 0].mean(), abs=0.05)
    assert np.isnan(own.decided[:, 3]).all() and np.isnan(own.calibrated[:, 3]).all()
    np.testing.assert_allclose(own.calibrated[:, 4], 1 / 9)
