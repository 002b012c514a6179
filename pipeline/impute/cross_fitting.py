"""Cross-fitting on two levels: no model scores a cell whose label it has seen, not even by way of
another model's score.

Images are divided into K folds. Refit k has seen no label of fold k's images; the last, number K,
has seen all training labels. What a model of the second level reads of fold k must come from refit
k throughout: an image score of another refit may have seen fold k's labels, and a model fitted on
such scores learns from them. (Measured on permuted labels: AUC .52 instead of .50.)

By hand, since scikit-learn's `cross_val_predict` leaves no place for the refit whose scores a
second-level model has to read, nor for cells that are unknown.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]
MOST_FITTED = 10_000
"""Rows at most that a model of a few hundred coefficients is fitted on, see `some`."""
FitAndScore = Callable[[int, Rows, Rows], np.ndarray]
"""(refit, rows to fit on, rows to score) -> logits of the second."""


def log_odds(labels: np.ndarray) -> float:
    """Log-odds of the positive class among ``labels`` (0, 1), one count added to each class."""
    positive = float(np.sum(labels == 1))
    return float(np.log((positive + 1) / (len(labels) - positive + 1)))


def logit(probability: np.ndarray, bound: float = 12.0) -> npt.NDArray[np.float64]:
    """Log-odds, within plus and minus ``bound``."""
    edge = 1 / (1 + np.exp(bound))
    p = np.clip(np.asarray(probability, dtype=np.float64), edge, 1 - edge)
    return np.asarray(np.log(p / (1 - p)))


def some(rows: Rows, labels: np.ndarray, most: int | None = None) -> Rows:
    """At most ``most`` (`MOST_FITTED`) of ``rows``: of the rarer class as many as fit into a half,
    and a seeded draw of the other.

    Parameters
    ----------
    labels : [len(rows)] of 1 and 0.
    """
    most = MOST_FITTED if most is None else most
    if len(rows) <= most:
        return rows
    rng = np.random.default_rng(len(rows))
    positive = labels == 1
    rare = rows[positive] if 2 * positive.sum() <= len(rows) else rows[~positive]
    common = np.setdiff1d(rows, rare)
    rare = rng.choice(rare, min(len(rare), most // 2), replace=False)
    return np.sort(np.r_[rare, rng.choice(common, most - len(rare), replace=False)])


def fold_count(fold: np.ndarray) -> int:
    """K, the number of folds."""
    return int(fold.max(initial=-1)) + 1


def without_fold(fold: np.ndarray, refit: int) -> npt.NDArray[np.int64]:
    """``fold`` with the images of fold ``refit`` outside training; as it is for the last refit."""
    return np.where(fold == refit, -1, fold).astype(np.int64)


def cross_fit(
    labels: np.ndarray, fold: np.ndarray, fit_and_score: FitAndScore
) -> npt.NDArray[np.float64]:
    """Logits float64 [N]: known training cells by the model without their fold, all other cells by
    the model of all known training cells, which has no label of theirs to have seen.

    Parameters
    ----------
    labels : [N] of 1, 0 and NaN.
    fold : [N], -1 outside training.
    fit_and_score
        Called with rows of both classes only; where training rows have one class or none, its
        smoothed log-odds are the score.
    """
    training = np.flatnonzero(~np.isnan(labels) & (fold >= 0))
    rest = np.ones(len(labels), dtype=bool)
    rest[training] = False
    out = np.empty(len(labels), dtype=np.float64)

    def score(refit: int, fitted: Rows, scored: Rows) -> None:
        if not len(scored):
            return
        y = labels[fitted]
        if len(np.unique(y)) < 2:
            out[scored] = log_odds(y)
        else:
            chosen = some(fitted, y)
            shift = log_odds(y) - log_odds(labels[chosen])
            out[scored] = fit_and_score(refit, chosen, scored) + shift

    for k in range(fold_count(fold)):
        inside = fold[training] == k
        score(k, training[~inside], training[inside])
    score(fold_count(fold), training, np.flatnonzero(rest))
    return out
