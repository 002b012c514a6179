from __future__ import annotations

import pytest

from pipeline.training.schedules import DECAY, SCHEDULES, WAIT

BEST, WORSE = [True], [False]


def test_constant_and_exponential() -> None:
    assert [SCHEDULES["constant"](epoch, 9, []) for epoch in (0, 5)] == [1, 1]
    falling = SCHEDULES["exponential"]
    assert falling(0, 9, []) == 1
    assert falling(3, 9, []) == pytest.approx(DECAY**3)


def test_cosine_ends_near_zero() -> None:
    wave = SCHEDULES["cosine"]
    assert wave(0, 10, []) == 1
    assert wave(5, 10, []) == pytest.approx(0.5)
    assert 0 < wave(9, 10, []) < 0.05


def test_plateau_halves_after_each_wait() -> None:
    plateau = SCHEDULES["plateau"]
    first = BEST + WORSE * (WAIT - 1)
    assert plateau(3, 99, first) == 1
    assert plateau(4, 99, first + WORSE) == 0.5
    assert plateau(9, 99, first + WORSE + BEST + WORSE * (2 * WAIT)) == pytest.approx(1 / 8)


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"plateau"}))
def test_others_stay_where_they_are_whatever_came_before(name: str) -> None:
    assert SCHEDULES[name](20, 99, WORSE * 20) == SCHEDULES[name](20, 99, BEST * 20)
