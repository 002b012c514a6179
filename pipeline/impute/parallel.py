"""The attributes or the refits of a table side by side on all processors."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from pipeline import progress

T = TypeVar("T")
SMALL = 5e6
"""Below this many numbers to work through, starting processes costs more than they save."""


def each(
    function: Callable[..., T],
    arguments: Iterable[tuple[Any, ...]],
    work: float,
    name: str = "models",
    unit: str = "attribute",
) -> list[T]:
    """``function(*a)`` for each of ``arguments``, in order.

    The matrices are small: linear algebra on several threads is slower here than on one, so that
    processes share the calls out instead. The result does not depend on their number.

    Parameters
    ----------
    work : roughly how many numbers all calls together read.
    name, unit : of what is computed, and what a call is for, see `pipeline.progress`.
    """
    calls = list(arguments)
    processors = min(len(os.sched_getaffinity(0)), len(calls))
    if work < SMALL or processors < 2:
        return [_alone(function, one) for one in progress.track(calls, name, unit)]
    with Parallel(n_jobs=processors, backend="loky", return_as="generator") as pool:
        results = pool(delayed(_alone)(function, one) for one in calls)
        return list(progress.track(results, name, unit, len(calls)))


def _alone(function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    with threadpool_limits(1), warnings.catch_warnings():
        # A penalised fit that stops short of its optimum scores held-out cells no worse, and what
        # it is worth is measured on them.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*arguments)
