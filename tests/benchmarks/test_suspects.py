"""Figures of a ranking of labels, by hand."""

import numpy as np
import pytest

from benchmarks.suspects import figures


def test_a_ranking_by_hand() -> None:
    flipped = np.array([[True, False], [False, True]])
    found = figures(flipped, np.array([[0.9, 0.8], [0.1, 0.7]]), 1.6)
    assert found["wrong"] == 2
    assert found["average precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["precision at the count"] == 0.5


def test_equal_cells_count_as_in_random_order() -> None:
    rng = np.random.default_rng(0)
    flipped = rng.random((4000, 1)) < 0.02
    # Nothing is known of them, and so as much is found as by chance, whatever comes first.
    tied = figures(flipped, np.zeros(flipped.shape), np.nan)["average precision"]
    drawn = figures(flipped, rng.random(flipped.shape), np.nan)["average precision"]
    assert tied == pytest.approx(0.02, abs=0.01)
    assert drawn == pytest.approx(tied, abs=0.01)
    # Behind cells that are certain, they begin at the precision of those.
    flipped[:40] = True
    doubt = np.r_[np.ones(40), np.zeros(3960)][:, None]
    rest = flipped[40:].sum()
    least = (40 + rest * flipped.mean()) / flipped.sum()
    assert figures(flipped, doubt, np.nan)["average precision"] > least


def test_without_a_wrong_label_nothing_is_found() -> None:
    found = figures(np.zeros((3, 1), dtype=bool), np.array([[0.1], [0.2], [0.3]]), 2.0)
    assert np.isnan(found["average precision"])
    assert "precision at the count" not in found
