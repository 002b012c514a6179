from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.losses import LOSSES
from pipeline.training.resample import IMBALANCE, balanced_weights, occurrence, oversample

two_classes = st.lists(st.integers(0, 1), min_size=2, max_size=200).filter(
    lambda labels: 0 < sum(labels) < len(labels)
)


@given(two_classes, st.integers(0, 2**31 - 1))
def test_both_classes_are_as_many_and_nobody_is_lost(labels: list[int], seed: int) -> None:
    y = np.array(labels)
    chosen = oversample(y, seed)
    assert (y[chosen] == 1).sum() == (y[chosen] == 0).sum() == max(sum(y), len(y) - sum(y))
    assert set(chosen) == set(range(len(y)))
    majority = int(y.sum() * 2 >= len(y))
    if y.sum() * 2 != len(y):
        assert (np.bincount(chosen)[y == majority] == 1).all()


def test_exact_draw_of_a_seed() -> None:
    chosen = oversample(np.array([0, 0, 0, 0, 1, 1]), seed=7)
    assert chosen.tolist() == [0, 1, 2, 3, 4, 5, 5, 4]
    assert oversample(np.array([0, 0, 0, 0, 1, 1]), seed=7).tolist() == chosen.tolist()


def test_refuses_one_class_and_unknown() -> None:
    with pytest.raises(ValueError, match="class"):
        oversample(np.ones(4), seed=0)
    with pytest.raises(ValueError, match="none unknown"):
        oversample(np.array([1.0, 0.0, np.nan]), seed=0)


@given(two_classes)
def test_weights_give_both_classes_the_same_mass(labels: list[int]) -> None:
    y = np.array(labels)
    weights = balanced_weights(y)
    assert weights[y == 1].sum() == pytest.approx(weights[y == 0].sum(), rel=1e-4)
    assert weights.mean() == pytest.approx(1, rel=1e-4)


def test_occurrence_counts_earlier_copies() -> None:
    assert occurrence(np.array([5, 2, 5, 5, 2, 9])).tolist() == [0, 0, 1, 2, 1, 0]
    assert occurrence(np.array([], dtype=int)).tolist() == []


@pytest.mark.parametrize("name", sorted(IMBALANCE))
def test_what_gives_both_classes_the_same_mass_is_known_to_shift_their_prevalence(
    name: str,
) -> None:
    balancing, y = IMBALANCE[name], np.array([0.0, 0, 0, 1])
    rows = balancing.rows(y, 1) if balancing.rows else np.arange(4)
    weights = balancing.weights(y[rows]) if balancing.weights else np.ones(len(rows))
    mass = weights[y[rows] == 1].sum() / weights.sum()
    assert mass == pytest.approx(0.5 if balancing.shifts_prevalence else 0.25)
    assert balancing.loss in LOSSES
