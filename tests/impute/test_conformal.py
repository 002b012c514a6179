"""Conformal selection: figures by hand, and the share of wrong cells that it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.impute.conformal import least_known, p_values, q_values


def test_p_values_by_hand() -> None:
    known = np.array([0.9, 0.8, 0.7, 0.6])
    wrong = np.array([False, True, False, True])
    # As sure as a wrong one counts it; less sure than all wrong ones counts both.
    out = p_values(np.array([0.95, 0.8, 0.65, 0.5]), known, wrong)
    assert out == pytest.approx([1 / 5, 2 / 5, 2 / 5, 3 / 5])
    assert p_values(np.array([0.3]), np.zeros(0), np.zeros(0, dtype=bool)).tolist() == [1]


def test_weights_count_cells_as_so_many() -> None:
    known, wrong = np.array([0.9, 0.8, 0.7, 0.6]), np.array([False, True, False, True])
    cells, times = np.array([0.95, 0.65, 0.5]), np.array([3, 2, 1, 4])
    weighed = p_values(cells, known, wrong, np.ones(3), times.astype(float))
    copied = p_values(cells, np.repeat(known, times), np.repeat(wrong, times))
    assert weighed == pytest.approx(copied)
    # Only the ratios count.
    again = p_values(cells, known, wrong, np.full(3, 5.0), 5.0 * times)
    assert again == pytest.approx(weighed)


def test_q_values_by_hand() -> None:
    out = q_values(np.array([0.04, 0.01, 0.5, 0.02]))
    assert out == pytest.approx([0.16 / 3, 0.04, 0.5, 0.04])
    assert len(q_values(np.zeros(0))) == 0


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=30), st.floats(0.01, 1))
def test_q_values_pick_what_the_rule_picks(p: list[float], level: float) -> None:
    ranked = np.sort(p)
    passing = np.flatnonzero(ranked * len(p) / np.arange(1, len(p) + 1) <= level)
    picked = 0 if not len(passing) else int(passing[-1]) + 1
    found = q_values(np.array(p))
    assert (found <= level).sum() >= picked
    assert (np.sort(found)[:picked] <= level).all()
    assert (np.diff(found[np.argsort(p)]) >= 0).all()


@pytest.mark.parametrize(("level", "least"), [(0.05, 19), (0.1, 9), (0.02, 49), (0.3, 3), (0.5, 1)])
def test_the_number_needed_is_the_first_that_can_reach_the_level(level: float, least: int) -> None:
    assert least_known(level) == least
    sure, right = np.array([1.0]), np.zeros(least, dtype=bool)
    assert p_values(sure, np.ones(least), right)[0] <= level + 1e-12
    assert p_values(sure, np.ones(least - 1), right[1:])[0] > level


@pytest.mark.parametrize("known", [25, 200])
def test_the_expected_share_of_wrong_ones_is_kept(known: int) -> None:
    """Whatever the confidences are worth: here they are no probabilities at all."""
    rng = np.random.default_rng(known)
    shares = []
    for _ in range(1500):
        x = rng.random(known + 60)
        wrong = rng.random(known + 60) < 0.4 * (1 - x) ** 2
        q = q_values(p_values(x[known:], x[:known], wrong[:known]))
        picked = q <= 0.1
        shares.append(wrong[known:][picked].mean() if picked.any() else 0.0)
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= 0.1 + 3 * error
    assert np.mean(shares) > 0.03, "a rule that picks next to nothing would pass, too"
