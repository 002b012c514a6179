"""Cuts that keep a recall or a precision with confidence, by held-out cells.

Learn then test (Angelopoulos et al. 2021, arXiv:2110.01052): every cut is a hypothesis, "here the
score is below the wish", which a lower confidence bound rejects. Cuts are tested in an order that
does not look at the labels, until the first that is not rejected (fixed sequence testing): the
chance that any cut is kept by mistake is at most 1 - `CONFIDENCE`. The bound is the exact binomial
one of Clopper and Pearson (1934, Biometrika 26:404).

Recall falls from cut to cut, so that one sequence at the full level loses nothing. Precision may
fail at its first cut, of a few dozen cells, by a single wrong one, where hundreds would pass: it
has several starts that share the level, and a sequence that reaches the next start brings its
share along (the fallback procedure of Wiens 2003, Pharmaceutical Statistics 2:211).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

CONFIDENCE = 0.95
"""Of each promise, for each attribute by itself."""
RECALL, PRECISION = "recall", "precision"
APART = 4
"""A start decides so many times as many cells as 1 as the start before."""
Target = Mapping[str, float]
"""``{"recall": 0.95}`` or ``{"precision": 0.9}``: the score, and the least that it is to be."""


class UnkeptError(ValueError):
    """There are too few labels for a promise; the message says how many it would take."""


def is_target(setting: Any) -> TypeGuard[Target]:
    """Whether ``setting`` is a `Target` and no mapping of attributes."""
    return (
        isinstance(setting, Mapping)
        and len(setting) == 1
        and all(
            key in (RECALL, PRECISION) and isinstance(value, int | float)
            for key, value in setting.items()
        )
    )


def lower_bound(
    successes: np.ndarray, trials: np.ndarray, error: float = 1 - CONFIDENCE
) -> npt.NDArray[np.float64]:
    """What a proportion is at least, but for a chance of ``error``; 0 without a success.

    Parameters
    ----------
    successes, trials : of one shape; not necessarily whole numbers.
    """
    hits, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    some = hits > 0
    # A quantile of the beta distribution; scipy.stats takes as long to import as a table to read.
    shape = np.where(some, hits, 1.0), np.where(some, n - hits, 0.0) + 1
    bound = betaincinv(*shape, error)
    return np.where(some, bound, 0.0)


def fewest(wanted: float, error: float = 1 - CONFIDENCE) -> int:
    """How many cells, all of them right, bear out a score of ``wanted``, above 0 and below 1."""
    return math.ceil(math.log(error) / math.log(wanted) - 1e-9)


def keep(target: Target, hits: np.ndarray, decided: np.ndarray) -> int:
    """The cut to take: its place [0, C) among cuts from the highest threshold to the lowest.

    Of recall the highest threshold that passes; of precision the lowest, as far as all from the
    first that could pass do.

    Parameters
    ----------
    hits, decided : [C] positives among, and number of, the cells that each cut decides as 1, of
        held-out cells with known labels; the last cut decides all cells as 1.

    Raises
    ------
    UnkeptError
        If no cut keeps the promise; the message says how many labels that would take.
    """
    ((score, wanted),) = target.items()
    if score == RECALL:
        # From the lowest threshold up; recall falls, so those that pass are all at the low end.
        passing = lower_bound(hits, np.full(len(hits), hits[-1])) >= wanted
        if not passing[-1]:
            raise UnkeptError(
                f"{hits[-1]:.0f} held-out positives, {fewest(wanted)} needed at the least"
            )
        return int(np.argmax(passing))
    starts, share = _starts(wanted, decided)
    best, level = -1, 0.0
    for start, end in pairwise([*starts, len(hits)]):
        level += share
        passing = lower_bound(hits[start:end], decided[start:end], level) >= wanted
        if passing.all():
            best = end - 1
            continue
        failed = int(np.argmin(passing))
        best, level = start + failed - 1 if failed else best, 0.0
    if best < 0:
        raise UnkeptError(_lacking(wanted, hits, decided, starts, share))
    return best


def _starts(wanted: float, decided: np.ndarray) -> tuple[list[int], float]:
    """The first cut of each sequence, and the chance of error that each has.

    A cut of fewer cells than the first could not pass, whatever their labels.
    """
    cells = float(decided[-1])
    number = 1 + int(math.log(max(cells / fewest(wanted), 1)) / math.log(APART) + 1e-9)
    share = (1 - CONFIDENCE) / number
    sizes = [fewest(wanted, share) * APART**k for k in range(number)]
    # Less a hair: counts may be fractions.
    starts = {int(np.searchsorted(decided, size - 1e-9)) for size in sizes if size <= cells}
    return sorted(starts), share


def _lacking(
    wanted: float, hits: np.ndarray, decided: np.ndarray, starts: list[int], share: float
) -> str:
    """Why no cut keeps a precision of ``wanted``."""
    if not starts or hits[-1] < fewest(wanted, share):
        return f"{hits[-1]:.0f} held-out positives, {fewest(wanted, share)} needed at the least"
    labels = int(decided[-1])
    every = np.unique([*starts, *np.linspace(starts[0], len(hits) - 1, 100).astype(int)])
    rate = hits / np.maximum(decided, 1e-9)
    if not (rate[every] > wanted).any():
        return f"{rate[every].max():.2f} at most on {labels} held-out labels, more would not help"
    # If the shares of hits and of cells decided as 1 stay what they are; at a start, if one can.
    good = [cut for cut in starts if rate[cut] > wanted] or every[rate[every] > wanted]
    takes = [_trials(wanted, rate[cut], share) * labels / decided[cut] for cut in good]
    needed = math.ceil(min(takes))
    # Between two starts a cut may pass, after one that failed.
    return f"{labels} held-out labels, {f'about {needed}' if needed > labels else 'more'} needed"


def _trials(wanted: float, share: float, error: float = 1 - CONFIDENCE) -> int:
    """Trials from which on a ``share`` of successes bears out ``wanted``, which is less."""
    low, high = 1, fewest(wanted, error)
    while lower_bound(np.array(share * high), np.array(high), error) < wanted:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if lower_bound(np.array(share * middle), np.array(middle), error) >= wanted:
            high = middle
        else:
            low = middle + 1
    return high
