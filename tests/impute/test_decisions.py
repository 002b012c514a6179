from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.categories import Attribute
from pipeline.impute import decisions
from pipeline.impute.decisions import Decisions

HAT = Attribute("hat", (), 0)
COLOUR = Attribute("colour", ("red", "blue"), 0)


def of(probability: list[float], labels: list[float], threshold: float = 0.5) -> Decisions:
    return Decisions(
        np.array([threshold]),
        np.array(probability, np.float32)[:, None],
        np.array(labels, np.float32)[:, None],
    )


def test_by_hand() -> None:
    by_hand = of([0.95, 0.9, 0.8, 0.3, 0.2, 0.1, 0.5], [1, 1, 0, 0, 0, 0, np.nan], 0.6)
    new = np.array([[0.99], [0.7], [0.55], [0.01]])
    values, correctness = by_hand(new, [HAT], ["yes"])
    assert values[:, 0].tolist() == [True, True, False, False]
    # Of the ones 2 of 2, then 2 of 3 held out were right, smoothed; of the zeros 3 of 3.
    assert correctness[:, 0] == pytest.approx([3 / 4, 3 / 5, 0.45, 4 / 5])
    _, guessed = by_hand(new, [HAT], ["no"])
    assert guessed[:, 0] == pytest.approx([0.99, 0.7, 0.45, 0.99])
    _, untested = by_hand(new, [HAT], ["too few labels"])
    assert untested[:, 0] == pytest.approx([0.5, 0.5, 0.45, 0.5])


def test_of_several_values_the_most_probable_counts() -> None:
    rng = np.random.default_rng(0)
    labels = np.eye(2)[rng.integers(0, 2, 200)].astype(np.float32)
    held_out = np.where(labels == 1, 0.7, 0.3).astype(np.float32)
    judge = Decisions(np.array([0.9, 0.9]), held_out, labels)
    values, correctness = judge(np.array([[0.6, 0.4], [0.1, 0.9]]), [COLOUR], ["yes"] * 2)
    assert values.tolist() == [[True, False], [False, True]]
    assert (correctness[:, 0] == correctness[:, 1]).all()
    assert correctness[0, 0] == pytest.approx(0.6)
    assert 0.85 < correctness[1, 0] <= 0.9


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_never_more_than_the_probability_nor_than_so_few_cells_bear_out(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    held_out, labels = rng.random(n), rng.integers(0, 2, n).astype(float)
    labels[rng.random(n) < 0.2] = np.nan
    new = rng.random((30, 1))
    values, correctness = of(held_out.tolist(), labels.tolist())(new, [HAT], ["yes"])
    assert (values == (new >= 0.5)).all()
    assert (correctness <= np.where(values, new, 1 - new)).all()
    assert (correctness <= (n + 1) / (n + 2)).all()
    assert (correctness > 0).all()


def test_judged_by_what_is_known_of_some_images() -> None:
    probability = np.array([[0.1, np.nan], [0.2, 0.3], [np.nan, np.nan], [0.4, 0.5]])
    labels = np.array([[1, 1], [0, np.nan], [1, 0], [np.nan, np.nan]])
    found = Decisions.judged_by([0.5, 0.6], probability, labels)
    np.testing.assert_allclose(found.probability, probability[:2])
    np.testing.assert_array_equal(found.labels, [[1, np.nan], [0, np.nan]])
    many = np.full((decisions.MOST + 10, 1), 0.5)
    drawn = Decisions.judged_by([0.5], many, np.arange(len(many))[:, None] % 2)
    assert len(drawn.labels) == decisions.MOST
    assert drawn.labels.mean() == pytest.approx(0.5, abs=0.01)
