from __future__ import annotations

import pytest

from pipeline.training.schedules import DECAY, WAIT, Schedule


def test_constant_and_exponential() -> None:
    assert [Schedule("constant", 0.1, 9).rate(epoch) for epoch in (0, 5)] == [0.1, 0.1]
    falling = Schedule("exponential", 0.1, 9)
    assert falling.rate(0) == 0.1
    assert falling.rate(3) == pytest.approx(0.1 * DECAY**3)


def test_cosine_ends_near_zero() -> None:
    wave = Schedule("cosine", 0.2, 10)
    assert wave.rate(0) == 0.2
    assert wave.rate(5) == pytest.approx(0.1)
    assert 0 < wave.rate(9) < 0.01


def test_plateau_halves_after_each_wait() -> None:
    plateau = Schedule("plateau", 0.8, 99)
    plateau.observe(better=True)
    for _ in range(WAIT - 1):
        plateau.observe(better=False)
    assert plateau.rate(3) == 0.8
    plateau.observe(better=False)
    assert plateau.rate(4) == 0.4
    plateau.observe(better=True)
    for _ in range(2 * WAIT):
        plateau.observe(better=False)
    assert plateau.rate(9) == pytest.approx(0.1)


def test_others_stay_where_they_are_whatever_is_observed() -> None:
    constant = Schedule("constant", 0.8, 99)
    for _ in range(20):
        constant.observe(better=False)
    assert constant.rate(20) == 0.8


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="linear"):
        Schedule("linear", 0.1, 3)
