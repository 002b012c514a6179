"""How many labels are wrong, and which: known noise is found, honest doubt is not called noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score

from pipeline.impute.label_noise import (
    Doubted,
    doubted,
    doubts,
    evidence,
    pairs,
    plausible,
    weights,
)


def judged(
    slope: float, false_one: float, false_zero: float, n: int = 1500, seed: int = 0
) -> tuple[Doubted, np.ndarray, np.ndarray]:
    """What is said of n labels, which of them are wrong, and the chance of each without noise."""
    rng = np.random.default_rng(seed)
    z = slope * rng.normal(size=n)
    truth = rng.random(n) < expit(z)
    wrong = rng.random(n) < np.where(truth, false_zero, false_one)
    labels = (truth ^ wrong).astype(float)
    found = evidence(z, labels)
    chance = np.where(labels == 1, expit(z), expit(-z))
    fine = plausible(z, labels, found)
    return doubted(z, labels, found, weights([found])[0], fine), wrong, chance


@pytest.mark.parametrize(("false_one", "false_zero"), [(0.05, 0.05), (0.0, 0.15), (0.1, 0.02)])
def test_noise_is_counted_and_found(false_one: float, false_zero: float) -> None:
    found, wrong, chance = judged(8.0, false_one, false_zero)
    assert found.low <= wrong.sum() <= found.high
    assert found.high < 1.6 * wrong.sum()
    assert found.low < found.number < found.high
    precision = average_precision_score(wrong, found.wrong)
    assert precision > 0.75
    assert precision >= average_precision_score(wrong, 1 - chance) - 0.01


def test_clean_labels_are_not_called_wrong() -> None:
    for slope in (8.0, 2.0, 1.0):
        found, wrong, _ = judged(slope, 0.0, 0.0)
        assert not wrong.any()
        assert found.low < 5, slope
        assert found.wrong.mean() < 0.03


def test_probabilities_are_those_of_bayes_where_the_noise_is_certain() -> None:
    one, zero = pairs()
    z, labels = np.array([0.0, 0.0, 3.0]), np.array([1.0, 0.0, 0.0])
    found = evidence(np.r_[-9.0, 9.0, z], np.r_[0.0, 1.0, labels])
    pair = int(np.flatnonzero((one == 0.02) & (zero == 0.17))[0])
    certain = np.zeros(len(one))
    certain[pair] = 1.0
    out = doubted(z, labels, found, certain, found)
    true = expit(found.slope[pair] * z + found.offset[pair])
    by_hand = [
        0.02 * (1 - true[0]) / (0.02 * (1 - true[0]) + 0.83 * true[0]),
        0.17 * true[1] / (0.17 * true[1] + 0.98 * (1 - true[1])),
        0.17 * true[2] / (0.17 * true[2] + 0.98 * (1 - true[2])),
    ]
    assert out.wrong == pytest.approx(by_hand)
    assert out.number == pytest.approx(sum(by_hand))


@pytest.mark.parametrize(("slope", "noise"), [(1.0, 0.2), (6.0, 0.1)])
def test_intervals_hold_the_number_of_wrong_labels(slope: float, noise: float) -> None:
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(20):
        table = []
        for _ in range(3):
            z = slope * rng.normal(size=500)
            wrong = rng.random(500) < noise
            table.append((z, ((rng.random(500) < expit(z)) ^ wrong).astype(float), wrong.sum()))
        found = [evidence(z, y) for z, y, _ in table]
        for (z, y, wrong), own, weight in zip(table, found, weights(found), strict=True):
            said = doubted(z, y, own, weight, plausible(z, y, own))
            inside.append(said.low <= wrong <= said.high)
    assert np.mean(inside) >= 0.95


def test_weak_attributes_borrow_from_those_that_tell() -> None:
    rng = np.random.default_rng(0)

    def labels(z: np.ndarray) -> np.ndarray:
        truth = rng.random(len(z)) < expit(z)
        return (truth ^ (rng.random(len(z)) < 0.15)).astype(float)

    weak = rng.normal(size=400)
    own = evidence(weak, labels(weak))
    strong = [9 * rng.normal(size=1200) for _ in range(4)]
    others = [evidence(z, labels(z)) for z in strong]
    one, _ = pairs()
    alone, together = weights([own])[0] @ one, weights([own, *others])[0] @ one
    assert alone < together
    assert together == pytest.approx(0.15, abs=0.06)
    assert weights([]) == []


def test_labels_of_a_table_are_ranked_as_well_as_their_noise_is_known() -> None:
    rng = np.random.default_rng(3)
    scores, labels, wrong = [], [], []
    for prevalence, slope in ((-3.0, 0.7), (-1.5, 1.0), (0.0, 4.0), (-4.0, 0.5)):
        z = slope * rng.normal(size=800) + prevalence
        truth = rng.random(800) < expit(z)
        turned = rng.random(800) < 0.1
        scores.append(z)
        labels.append((truth ^ turned).astype(float))
        wrong.append(turned)
    found = doubts(scores, labels)
    assert all((part >= 0).all() and (part <= 1).all() for part in found)
    # The share that the scores were made with, and their own curves.
    best = []
    for z, y in zip(scores, labels, strict=True):
        against = np.where(y == 1, expit(-z), expit(z))
        best.append(0.1 * against / (0.1 * against + 0.9 * (1 - against)))
    ours, ideal = (
        average_precision_score(np.concatenate(wrong), np.concatenate(part))
        for part in (found, best)
    )
    assert ideal - 0.02 < ours
    own = [evidence(z, y) for z, y in zip(scores, labels, strict=True)]
    parts = zip(scores, labels, own, weights(own), own, strict=True)
    apart = np.concatenate([doubted(*part).wrong for part in parts])
    assert ours > average_precision_score(np.concatenate(wrong), apart)
