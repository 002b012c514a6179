"""Which other attributes are read for each, in a table that has many.

A model that reads every other label of a row takes time in the square of the attributes, and with
as many coefficients as rows it learns noise. In a wide table a model of an attribute reads those
that go most with it, by the chi-squared statistic of their two labels (sure independence screening:
Fan and Lv 2008, J. R. Stat. Soc. B 70:849), chosen anew in every refit without its fold's labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.data.categories import Spans
from pipeline.impute.cross_fitting import fold_count, without_fold

MOST_READ = 40
"""Other attributes at most that are read for one."""
TARGETS = 256
"""Attributes whose statistics are in memory at a time."""


def most_related(
    labels: np.ndarray, fold: np.ndarray, spans: Spans = (), most: int | None = None
) -> npt.NDArray[np.intp]:
    """int [A, K + 1, w]: `strongest` of the training rows in every refit.

    Parameters
    ----------
    labels, fold : [N, A] of 1, 0, NaN, and [N], -1 outside training.
    spans, most : of `strongest`.
    """
    refits = range(fold_count(fold) + 1)
    found = [strongest(labels[without_fold(fold, k) >= 0], spans, most) for k in refits]
    return np.stack(found, axis=1)


def strongest(
    labels: np.ndarray, spans: Spans = (), most: int | None = None
) -> npt.NDArray[np.intp]:
    """int [A, w] in rising order: the columns that are read for each.

    None is of the column's own attribute, so that w may be less than ``most``.

    Parameters
    ----------
    labels : [n, A] of 1, 0 and NaN.
    spans : (start, stop) of categorical attributes, whose columns tell each other outright.
    most : `MOST_READ` where None.
    """
    count = labels.shape[1]
    widest = max([1, *(stop - start for start, stop in spans)])
    width = min(MOST_READ if most is None else most, count - widest)
    out = np.empty((count, width), dtype=np.intp)
    known, positive = (~np.isnan(labels)).astype(np.float32), (labels == 1).astype(np.float32)
    for begin in range(0, count, TARGETS):
        targets = np.arange(begin, min(begin + TARGETS, count))
        found = _chi_squared(known, positive, targets)
        found[np.arange(len(targets)), targets] = -1
        for start, stop in spans:
            found[(targets >= start) & (targets < stop), start:stop] = -1
        best = np.argsort(-found, axis=1, kind="stable")[:, :width]
        out[targets] = np.sort(best, axis=1)
    return out


def _chi_squared(
    known: np.ndarray, positive: np.ndarray, targets: np.ndarray
) -> npt.NDArray[np.float64]:
    """[T, A] statistics of the rows in which both labels are known; 0 where one never varies."""
    own_known, own_positive = known[:, targets].T, positive[:, targets].T
    # Counts are whole numbers, which single precision holds exactly up to 16 million.
    both, of_own, of_other, rows = (
        (left @ right).astype(np.float64)
        for left, right in (
            (own_positive, positive),
            (own_positive, known),
            (own_known, positive),
            (own_known, known),
        )
    )
    spread = of_own * (rows - of_own) * of_other * (rows - of_other)
    away = rows * both - of_own * of_other
    return np.where(spread > 0, rows * away**2 / np.maximum(spread, 1), 0.0)
