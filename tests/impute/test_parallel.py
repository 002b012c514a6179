"""Calls side by side: in order, and the same in processes as in a row."""

from __future__ import annotations

import os
import warnings

import pytest
from sklearn.exceptions import ConvergenceWarning

from pipeline.impute import parallel
from pipeline.impute.parallel import SMALL, each


def power(base: int, exponent: int) -> tuple[int, int]:
    return base**exponent, os.getpid()


CALLS = [(base, 3) for base in range(7)]
CUBES = [0, 1, 8, 27, 64, 125, 216]


def test_little_work_stays_in_this_process() -> None:
    results = each(power, CALLS, work=SMALL / 2)
    assert results == [(cube, os.getpid()) for cube in CUBES]
    assert each(power, [], work=10 * SMALL) == []


def test_much_work_goes_to_processes_and_comes_back_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda _: {0, 1})
    results = each(power, CALLS, work=2 * SMALL)
    assert [value for value, _ in results] == CUBES
    assert os.getpid() not in {process for _, process in results}


def test_one_processor_starts_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda _: {0})
    assert each(power, iter(CALLS), work=2 * SMALL) == [(cube, os.getpid()) for cube in CUBES]


def test_an_error_of_a_call_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        each(power, [(0, -1)], work=0)


def short_of_its_optimum(_: int) -> float:
    warnings.warn("failed to converge", ConvergenceWarning, stacklevel=2)
    return 1.0


@pytest.mark.parametrize("work", [SMALL / 2, 2 * SMALL])
def test_a_fit_that_stops_early_is_not_the_users_concern(
    work: float, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        assert each(short_of_its_optimum, [(0,), (1,)], work=work) == [1.0, 1.0]
    assert "converge" not in capfd.readouterr().err
