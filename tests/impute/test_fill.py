from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.impute.calibration import fit_platt
from pipeline.impute.fill import CONFIDENT, EVIDENCE, ONE_CLASS, PRIOR, THRESHOLD, fill

NAN = float("nan")


def world(seed: int, n: int = 300, unknown: float = 0.3, signal: float = 4.0) -> tuple:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    truth = (x + rng.normal(0, 0.5, n) > 0.5).astype(float)
    labels = np.where(rng.random(n) < unknown, NAN, truth)
    fold = np.where(np.arange(n) % 5 == 0, -1, np.arange(n) % 4)
    noise = rng.normal(size=n)
    return labels, fold, heads((signal * x if signal else 0.0) + 2 * noise), truth


def heads(logits: np.ndarray) -> np.ndarray:
    """The same logits from each of four heads, [4, N]."""
    return np.tile(logits, (4, 1))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0, 0.95), st.sampled_from([0.0, 4.0]))
def test_invariants(seed: int, unknown: float, signal: float) -> None:
    labels, fold, logits, _ = world(seed, unknown=unknown, signal=signal)
    filled = fill(labels, fold, [logits], "prevalence", 0.9, learnable=signal > 0)
    known = ~np.isnan(labels)
    assert np.isin(filled.values, (0, 1)).all()
    assert (filled.values[known] == labels[known]).all()
    assert np.isnan(filled.probability[known]).all()
    assert ((filled.probability[~known] > 0) & (filled.probability[~known] < 1)).all()
    assert (filled.round[known] == 0).all()
    assert (filled.round[~known] >= 1).all()
    assert (filled.evidence[known] == "").all()
    assert np.isin(filled.evidence[~known], EVIDENCE).all()
    sure = filled.evidence == CONFIDENT
    p = filled.probability[sure]
    assert (np.maximum(p, 1 - p) >= 0.9).all()
    assert (filled.values[sure] == (p > 0.5)).all()
    if filled.learnable:
        assert (np.isnan(filled.held_out) == ~(known & (fold >= 0))).all()


def test_a_cell_takes_its_first_confident_round() -> None:
    labels, fold, logits, truth = world(0)
    filled = fill(labels, fold, [logits, 3 * logits], "accuracy", 0.95, learnable=True)
    assert set(filled.round[np.isnan(labels)]) == {1, 2}
    first = fill(labels, fold, [logits], "accuracy", 0.95, learnable=True)
    early = (first.evidence == CONFIDENT) & np.isnan(labels)
    assert (filled.round[early] == 1).all()
    assert (filled.probability[early] == first.probability[early]).all()
    unknown = np.isnan(labels)
    assert (filled.values == truth)[unknown].mean() > 0.8


def test_threshold_decides_the_rest() -> None:
    labels, fold, logits, _ = world(1)
    for cut in (0.3, 0.7):
        filled = fill(labels, fold, [logits], cut, 0.95, learnable=True)
        rest = np.isnan(labels)
        assert (filled.values[rest] == (filled.probability[rest] >= cut)).all()
        assert filled.threshold == cut
        assert (filled.evidence[rest] == THRESHOLD).any()


def test_a_number_is_obeyed_and_a_rule_never_contradicts_a_confident_cell() -> None:
    labels, fold, logits, _ = world(1)
    unknown = np.isnan(labels)
    strict = fill(labels, fold, [logits], 0.999, 0.9, learnable=True)
    assert (strict.values[unknown] == (strict.probability[unknown] >= 0.999)).all()
    chosen = fill(labels, fold, [logits], "f1", 0.6, learnable=True)
    assert 0.4 <= chosen.threshold <= 0.6
    assert (chosen.values[unknown] == (chosen.probability[unknown] >= chosen.threshold)).all()


def test_outside_training_the_heads_probabilities_are_averaged() -> None:
    labels, fold, logits, _ = world(1)
    apart = logits.copy()
    apart[:2, fold < 0] += 3
    apart[2:, fold < 0] -= 3
    filled = fill(labels, fold, [apart], "f1", 0.9, learnable=True)
    cells = ~np.isnan(labels) & (fold >= 0)
    platt = fit_platt(logits[0, cells], labels[cells])
    outside = np.isnan(labels) & (fold < 0)
    expected = (platt(logits[0] + 3) + platt(logits[0] - 3)) / 2
    assert filled.probability[outside] == pytest.approx(expected[outside])


def test_unlearnable_takes_the_prevalence() -> None:
    labels, fold, logits, _ = world(2, signal=0.0)
    filled = fill(labels, fold, [logits], "prevalence", 0.9, learnable=False)
    assert not filled.learnable
    unknown = np.isnan(labels)
    assert set(filled.evidence[unknown]) == {PRIOR}
    train = ~unknown & (fold >= 0)
    expected = (labels[train].sum() + 1) / (train.sum() + 2)
    assert filled.probability[unknown] == pytest.approx(expected)
    assert (filled.values[unknown] == (expected >= 0.5)).all()


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_is_filled_in_and_flagged(only: int) -> None:
    labels = np.where(np.arange(40) % 4 == 0, NAN, float(only))
    fold = np.arange(40) % 4
    filled = fill(labels, fold, [heads(np.zeros(40))], "f1", 0.9, learnable=True)
    assert (filled.values == only).all()
    assert set(filled.evidence[np.isnan(labels)]) == {ONE_CLASS}
    assert not filled.learnable
    p = filled.probability[np.isnan(labels)]
    assert ((p > 0.9) if only else (p < 0.1)).all()
    assert ((p > 0) & (p < 1)).all()


def test_labels_outside_training_decide_nothing() -> None:
    labels, fold, logits, _ = world(3)
    one = fill(labels, fold, [logits], "f1", 0.9, learnable=True)
    flipped = np.where(fold < 0, 1 - labels, labels)
    two = fill(flipped, fold, [logits], "f1", 0.9, learnable=True)
    unknown = np.isnan(labels)
    assert (one.probability[unknown] == two.probability[unknown]).all()
    assert (one.values[unknown] == two.values[unknown]).all()


def test_no_training_label_at_all() -> None:
    labels = np.array([1.0, 0.0, NAN, NAN])
    fold = np.array([-1, -1, 0, 1])
    filled = fill(labels, fold, [heads(np.array([1.0, -1, 2, -2]))], "f1", 0.9, learnable=False)
    assert filled.evidence.tolist() == ["", "", PRIOR, PRIOR]
    assert filled.probability[2:].tolist() == [0.5, 0.5]
