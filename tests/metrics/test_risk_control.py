"""Promises of recall and precision: by hand, against the binomial distribution, and kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binom

from pipeline.metrics.risk_control import UnkeptError, fewest, is_target, keep, lower_bound
from pipeline.metrics.thresholds import choose


def cut(target: dict[str, float], right: np.ndarray) -> int:
    """The cut for cells without ties, the likeliest first: how many are decided as 1."""
    return keep(target, np.r_[0, np.cumsum(right)], np.arange(len(right) + 1))


@pytest.mark.parametrize(
    ("wanted", "cells"), [(0.95, 59), (0.9, 29), (0.99, 299), (0.5, 5), (0.05, 1)]
)
def test_the_fewest_cells_are_those_whose_success_would_be_too_lucky(
    wanted: float, cells: int
) -> None:
    assert fewest(wanted) == cells
    assert wanted**cells <= 0.05 < wanted ** (cells - 1)


@given(st.integers(1, 200), st.data())
def test_the_bound_is_what_the_successes_would_just_be_lucky_for(
    n: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, n))
    bound = float(lower_bound(np.array(hits), np.array(n)))
    assert 0 <= bound < 1
    assert (bound == 0) == (hits == 0)
    if hits:
        assert binom.sf(hits - 1, n, bound) == pytest.approx(0.05)
        assert lower_bound(np.array(hits - 1), np.array(n)) < bound


def test_recall_by_hand() -> None:
    # Of 59 positives none may be missed, of 93 one: the next, of which two may, is 124.
    for positives, missed in ((59, 0), (92, 0), (93, 1), (123, 1), (124, 2)):
        right = np.tile([True, False], positives)
        decided = cut({"recall": 0.95}, right)
        assert right[:decided].sum() == positives - missed
        assert right[decided - 1], "no higher threshold keeps as many"
    with pytest.raises(UnkeptError, match="58 held-out positives, 59 needed at the least"):
        cut({"recall": 0.95}, np.ones(58))
    with pytest.raises(UnkeptError, match="0 held-out positives, 59 needed"):
        cut({"recall": 0.95}, np.zeros(0))


def test_precision_by_hand() -> None:
    # 29 right ones pass, one wrong among 46 does; the second wrong one at 35 is too many.
    right = np.r_[np.ones(29), 0, np.ones(20), np.zeros(40)]
    assert cut({"precision": 0.9}, right) == 29
    assert cut({"precision": 0.9}, np.r_[np.ones(45), 0, np.zeros(40)]) == 46
    assert cut({"precision": 0.9}, np.ones(40)) == 40
    with pytest.raises(UnkeptError, match="28 held-out positives, 29 needed at the least"):
        cut({"precision": 0.9}, np.r_[np.ones(28), np.zeros(70)])
    for few in (0, 1, 28):
        with pytest.raises(UnkeptError, match=f"{few} held-out positives, 29 needed at the least"):
            cut({"precision": 0.9}, np.ones(few))
    with pytest.raises(UnkeptError, match=r"0.50 at most on 200 held-out labels, more would not"):
        cut({"precision": 0.9}, np.tile([0.0, 1.0], 100))


def test_starts_share_the_level_and_carry_it_along() -> None:
    # Up to 115 cells one start at 5 %; from 116 on two, of which the first needs 36 right ones.
    assert 0.9**36 <= 0.025 < 0.9**35
    assert cut({"precision": 0.9}, np.r_[np.ones(29), np.zeros(86)]) == 29
    with pytest.raises(UnkeptError, match="35 held-out positives, 36 needed at the least"):
        cut({"precision": 0.9}, np.r_[np.ones(35), np.zeros(85)])
    assert cut({"precision": 0.9}, np.r_[np.ones(36), np.zeros(84)]) == 36
    # All up to the second start, at 144 cells, pass, and the next ones at the full level.
    for wrong, level in ((8, 0.05), (9, 0.05)):
        passes = lower_bound(np.array(144.0), np.array(144.0 + wrong), level) >= 0.9
        right = np.r_[np.ones(144), np.zeros(wrong)]
        assert (cut({"precision": 0.9}, right) == 144 + wrong) == passes
    assert lower_bound(np.array(144.0), np.array(152.0), 0.025) < 0.9 <= 144 / 152


def test_a_wrong_cell_at_the_top_ends_the_first_sequence_and_not_all() -> None:
    # An error among the first 36: the next start, of 144 cells, is asked with half of the level.
    right = np.r_[np.ones(10), 0, np.ones(300)]
    assert cut({"precision": 0.9}, right) == 311
    # With six errors before it, it is not.
    right[30:37] = 0
    with pytest.raises(UnkeptError, match=r"311 held-out labels, about \d+ needed") as caught:
        cut({"precision": 0.9}, right)
    assert int(str(caught.value).split("about ")[1].split()[0]) > 311


def test_how_many_labels_a_precision_takes() -> None:
    # Two probabilities only: half of 114 cells are decided as 1, 95 % of them rightly.
    with pytest.raises(UnkeptError, match="114 held-out labels, about") as caught:
        keep({"precision": 0.9}, np.array([0, 54.15, 54.15]), np.array([0, 57, 114]))
    labels = int(str(caught.value).split("about ")[1].split()[0])
    assert labels > 114
    assert lower_bound(np.array(0.95 * labels / 2), np.array(labels / 2)) >= 0.9
    assert lower_bound(np.array(0.95 * (labels / 2 - 1)), np.array(labels / 2 - 1)) < 0.9


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_ties_are_decided_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 20, 600) / 20
    y = (rng.random(600) < p).astype(int)
    recall = choose({"recall": 0.8}, p, y)
    hits, positives = ((p >= recall) & (y == 1)).sum(), (y == 1).sum()
    assert lower_bound(hits, positives) >= 0.8
    above = p[p >= recall].min() + 0.05
    assert lower_bound(((p >= above - 1e-9) & (y == 1)).sum(), positives) < 0.8
    try:
        precise = choose({"precision": 0.7}, p, y)
    except UnkeptError:
        return
    decided = p >= precise
    assert lower_bound(y[decided].sum(), decided.sum()) >= 0.7


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.1, 3))
def test_only_the_order_of_the_probabilities_counts(seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 4, 300)
    y = (rng.random(300) < expit(z)).astype(int)
    for target in ({"recall": 0.9}, {"precision": 0.5}):
        decided = [p >= choose(target, p, y) for p in (expit(z), expit(power * z - 1))]
        assert (decided[0] == decided[1]).all()


@pytest.mark.parametrize("target", [{"recall": 0.9}, {"precision": 0.8}])
def test_the_promise_is_broken_as_rarely_as_said(target: dict[str, float]) -> None:
    rng = np.random.default_rng(5)
    z = rng.normal(0, 3, 100_000)
    everybody, truth = expit(z), rng.random(len(z)) < expit(z)
    broken, draws = 0, 400
    for _ in range(draws):
        rows = rng.integers(0, len(z), 300)
        try:
            decided = everybody >= choose(target, everybody[rows], truth[rows].astype(int))
        except UnkeptError:
            continue
        whole = truth if "recall" in target else decided
        broken += (decided & truth).sum() < next(iter(target.values())) * whole.sum()
    # No more than 5 % but for the luck of so many draws, and not for never taking a risk.
    assert 1 <= broken <= binom.ppf(0.999, draws, 0.05)


def test_what_a_target_is() -> None:
    assert is_target({"recall": 0.9})
    assert is_target({"precision": 0.9})
    for other in ("f1", 0.5, {}, {"recall": "f1"}, {"hat": 0.9}, {"recall": {"precision": 0.9}}):
        assert not is_target(other)
    assert not is_target({"recall": 0.9, "precision": 0.9})
