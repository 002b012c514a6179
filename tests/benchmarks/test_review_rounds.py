"""Rounds of review: their sums, by hand, and draws that go on where they stopped."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks import draws, review_rounds


def test_what_is_left_is_compared_with_what_is_expected_of_it() -> None:
    truth = np.array([[1, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    filled: Any = SimpleNamespace(values=np.array([[1, 0], [0, 0], [1, 0], [1, 1]]))
    hidden = np.array([[True, True], [True, True], [True, True], [True, False]])
    looked = np.zeros(hidden.shape, dtype=bool)
    looked[3, 0] = True
    # Left of the first attribute are two right cells and a wrong one, of the second the same.
    figures = pd.DataFrame(
        {"accuracy": [0.9, 0.5], "accuracy_low": [0.8, 0.4], "accuracy_high": [1.0, 0.7]}
    )
    found = review_rounds.expected_of(filled, figures, truth, hidden, looked)
    assert found["covered"] == 0.5
    assert found["true below"] == 0.5
    assert found["true above"] == 0
    assert found["expected"] == pytest.approx(0.7)
    assert found["true"] == pytest.approx(2 / 3)
    assert found["table expected"] == pytest.approx((1 + 3 * 0.9 + 3 * 0.5) / 7)
    assert found["table true"] == pytest.approx(5 / 7)


def test_a_draw_that_is_there_is_not_drawn_again(tmp_path: Path) -> None:
    path = tmp_path / "below" / "draw.csv"
    frame = pd.DataFrame({"order": ["list"], "accuracy": [0.5]})
    draws.kept(path, lambda: frame)

    def again() -> pd.DataFrame:
        raise AssertionError("drawn again")

    pd.testing.assert_frame_equal(draws.kept(path, again), frame)


def test_means_are_over_draws() -> None:
    frame = pd.DataFrame({"order": ["a", "a", "b"], "accuracy": [0.5, 0.7, 0.9]})
    found = draws.means(frame, ["order"], ["accuracy"])
    assert found["draws"].tolist() == [2, 1]
    assert found["accuracy"].tolist() == [0.6, 0.9]
    assert found["accuracy error"][0] == pytest.approx(0.1)
