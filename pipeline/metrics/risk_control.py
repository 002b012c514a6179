"""Cuts that keep a recall or a precision with confidence, by held-out cells.

Learn then test (Angelopoulos et al. 2021, arXiv:2110.01052): every cut is a hypothesis, "here the
score is below the wish", which a lower confidence bound rejects. Cuts are tested in an order that
does not look at the labels, each at the full level, until the first that is not rejected (fixed
sequence testing): the chance that any cut is kept by mistake is at most 1 - `CONFIDENCE`. The bound
is the exact binomial one of Clopper and Pearson (1934, Biometrika 26:404).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

CONFIDENCE = 0.95
"""Of each promise, for each attribute by itself."""
RECALL, PRECISION = "recall", "precision"
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


def lower_bound(successes: np.ndarray, trials: np.ndarray) -> npt.NDArray[np.float64]:
    """What a proportion is at least, with `CONFIDENCE`; 0 without a success.

    Parameters
    ----------
    successes, trials : of one shape; not necessarily whole numbers.
    """
    hits, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    some = hits > 0
    # A quantile of the beta distribution; scipy.stats takes as long to import as a table to read.
    shape = np.where(some, hits, 1.0), np.where(some, n - hits, 0.0) + 1
    bound = betaincinv(*shape, 1 - CONFIDENCE)
    return np.where(some, bound, 0.0)


def fewest(wanted: float) -> int:
    """How many cells, all of them right, bear out a score of ``wanted``, above 0 and below 1."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(wanted) - 1e-9)


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
    passing = lower_bound(hits, decided) >= wanted
    # Fewer cells could not pass, whatever their labels. (Less a hair: counts may be fractions.)
    start = int(np.searchsorted(decided, fewest(wanted) - 1e-9))
    failed = np.flatnonzero(~passing[start:])
    passed = int(failed[0]) if len(failed) else len(passing) - start
    if not passed:
        raise UnkeptError(_lacking(wanted, hits, decided, start))
    return start + passed - 1


def _lacking(wanted: float, hits: np.ndarray, decided: np.ndarray, start: int) -> str:
    """Why no cut from ``start`` on keeps a precision of ``wanted``."""
    if hits[-1] < fewest(wanted):
        return f"{hits[-1]:.0f} held-out positives, {fewest(wanted)} needed at the least"
    some = np.unique(np.linspace(start, len(hits) - 1, 100).astype(int))
    share, labels = hits[some] / decided[some], int(decided[-1])
    good = share > wanted
    if not good.any():
        return f"{share.max():.2f} at most on {labels} held-out labels, more would not help"
    # If the share of hits and that of cells decided as 1 stay what they are.
    takes = [
        _trials(wanted, rate) * labels / cells
        for rate, cells in zip(share[good], decided[some][good], strict=True)
    ]
    needed = math.ceil(min(takes))
    # A later cut may pass where an earlier one, by bad luck, ended the sequence.
    return f"{labels} held-out labels, {f'about {needed}' if needed > labels else 'more'} needed"


def _trials(wanted: float, share: float) -> int:
    """Trials from which on a ``share`` of successes bears out ``wanted``, which is less."""
    low, high = 1, fewest(wanted)
    while lower_bound(np.array(share * high), np.array(high)) < wanted:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if lower_bound(np.array(share * middle), np.array(middle)) >= wanted:
            high = middle
        else:
            low = middle + 1
    return high
