"""Confidence intervals that stay inside [0, 1] and hold for few samples."""

from __future__ import annotations

import math
from functools import partial
from statistics import NormalDist

from scipy.optimize import brentq
from scipy.stats import binomtest

BESIDE = 1e-15


def wilson_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22:209).

    Parameters
    ----------
    successes, n : how many of how many; NaN, NaN is returned for n = 0.
    level : confidence, above 0 and below 1.

    Raises
    ------
    ValueError
        If not 0 <= successes <= n, or if the level is out of range.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: {level}; expected above 0 and below 1")
    if not 0 <= successes <= n:
        raise ValueError(f"successes: {successes} of n = {n}; expected 0 <= successes <= n")
    if n == 0:
        return math.nan, math.nan
    ends = binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(ends.low), float(ends.high)


def auc_interval(
    auc: float, positives: int, negatives: int, level: float = 0.95
) -> tuple[float, float]:
    """Score-like interval of an area under the ROC curve, from the area and the class sizes.

    Method 5 of Newcombe (2006, Stat. Med. 25:559): the ends solve
    ``|auc - area| = z * sqrt(variance(area))`` with the variance of Hanley and McNeil (1982), in
    which both class sizes are replaced by their mean. Unlike the usual interval around the
    estimate it has a width at an AUC of 1, and ends within [0, 1].

    Parameters
    ----------
    auc : the estimate, 0 to 1; NaN, NaN is returned for NaN, or if a class is empty.
    positives, negatives : samples of each class.
    level : confidence, above 0 and below 1.

    Raises
    ------
    ValueError
        If the AUC or the level is out of range, or if a class size is negative.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: {level}; expected above 0 and below 1")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    if positives < 0 or negatives < 0:
        raise ValueError(f"class sizes: {positives} and {negatives}; expected 0 or more")
    if math.isnan(auc) or positives == 0 or negatives == 0:
        return math.nan, math.nan
    if not 0 <= auc <= 1:
        raise ValueError(f"auc: {auc}; expected 0 to 1")
    others = (positives + negatives) / 2 - 1

    def excess(area: float) -> float:
        spread = 1 + others * ((1 - area) / (2 - area) + area / (1 + area))
        variance = area * (1 - area) * spread / (positives * negatives)
        return (auc - area) ** 2 - z**2 * variance

    # Above 0 at the far end, below 0 at the estimate; at 0 and 1, where the variance vanishes, just
    # beside it.
    find = partial(brentq, excess, xtol=BESIDE)
    low = 0.0 if auc == 0 else float(find(0.0, min(auc, 1 - BESIDE)))
    high = 1.0 if auc == 1 else float(find(max(auc, BESIDE), 1.0))
    return low, high
