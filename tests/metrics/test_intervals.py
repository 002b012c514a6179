"""Intervals of shares and of areas under the ROC curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.metrics import intervals, ranking


def test_wilson_interval_known_values():
    # Newcombe 1998 (Stat. Med. 17:857), table I, method 3.
    assert intervals.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert intervals.wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert intervals.wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert intervals.wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert all(math.isnan(end) for end in intervals.wilson_interval(0, 0))


def test_auc_interval_of_one_sample_per_class_is_wilsons():
    # The variance is then area * (1 - area), that of a single trial.
    assert intervals.auc_interval(1.0, 1, 1) == pytest.approx(intervals.wilson_interval(1, 1))
    assert intervals.auc_interval(0.0, 1, 1) == pytest.approx(intervals.wilson_interval(0, 1))


@pytest.mark.parametrize(("area", "m", "n"), [(0.5, 10, 10), (0.8, 30, 300), (1.0, 5, 8)])
def test_auc_interval_ends_solve_the_score_equation(area, m, n):
    for end in intervals.auc_interval(area, m, n):
        if end == 1.0:
            continue
        mean = (m + n) / 2 - 1
        spread = 1 + mean * (1 - end) / (2 - end) + mean * end / (1 + end)
        error = math.sqrt(end * (1 - end) * spread / (m * n))
        assert abs(area - end) / error == pytest.approx(1.959964, abs=1e-5)


@given(st.floats(0, 1), st.integers(1, 500), st.integers(1, 500), st.floats(0.5, 0.999))
def test_auc_interval_contains_the_estimate_and_shrinks_with_samples(area, m, n, level):
    low, high = intervals.auc_interval(area, m, n, level)
    assert 0 <= low <= area <= high <= 1
    low_more, high_more = intervals.auc_interval(area, 4 * m, 4 * n, level)
    assert high_more - low_more < high - low
    mirrored = intervals.auc_interval(1 - area, m, n, level)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)
    wider = intervals.auc_interval(area, m, n, (1 + level) / 2)
    assert wider[0] <= low and high <= wider[1]


@given(st.integers(0, 300), st.integers(0, 300))
def test_wilson_interval_contains_the_estimate_and_shrinks_with_samples(successes, failures):
    n = successes + failures + 1
    low, high = intervals.wilson_interval(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    low_more, high_more = intervals.wilson_interval(4 * successes, 4 * n)
    assert high_more - low_more < high - low


@pytest.mark.parametrize(("shift", "m", "n"), [(0.0, 30, 60), (1.2, 25, 75), (2.3, 20, 40)])
def test_auc_interval_covers_the_truth_about_as_often_as_it_says(shift, m, n):
    rng = np.random.default_rng(20)
    truth = 0.5 * (1 + math.erf(shift / 2))  # of two normals of variance 1, shift apart
    y = np.r_[np.ones(m), np.zeros(n)]
    covered = 0
    for _ in range(1500):
        low, high = intervals.auc_interval(ranking.auc(y, rng.normal(size=m + n) + shift * y), m, n)
        covered += low <= truth <= high
    assert 0.93 <= covered / 1500 <= 0.98


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intervals.wilson_interval(3, 2), "0 <= successes <= n"),
        (lambda: intervals.wilson_interval(1, 2, level=1.0), "level: 1.0"),
        (lambda: intervals.auc_interval(1.1, 2, 2), "auc: 1.1"),
        (lambda: intervals.auc_interval(0.5, -1, 2), "class sizes"),
    ],
)
def test_impossible_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
