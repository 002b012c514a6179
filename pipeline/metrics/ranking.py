"""Scores of a ranking: ROC and precision-recall curves and their areas, unknown labels masked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

CURVE_POINTS = 200

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def auc(y: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half.

    Exact in integers, so that no strictly increasing map of the scores changes a digit.

    Parameters
    ----------
    y : [n] of 1, 0 and NaN (unknown).
    score : [n], any real numbers; ignored where y is unknown.

    Returns
    -------
    0 to 1, or NaN unless both classes are known.

    Raises
    ------
    ValueError
        As `known_cells`.
    """
    tp, fp = _ranking(*known_cells(y, score))
    if not (tp[-1] and fp[-1]):
        return float("nan")
    twice = np.sum(np.diff(fp) * (tp[1:] + tp[:-1]), dtype=np.float64)
    return float(twice / (2.0 * float(tp[-1]) * float(fp[-1])))


def average_precision(y: np.ndarray, score: np.ndarray) -> float:
    """Mean of the precisions at each positive's score, as in scikit-learn; arguments as `auc`.

    NaN unless both classes are known: the ranking of a single class says nothing.
    """
    tp, fp = _ranking(*known_cells(y, score))
    if not (tp[-1] and fp[-1]):
        return float("nan")
    return float(np.sum(np.diff(tp) / tp[-1] * (tp[1:] / (tp[1:] + fp[1:]))))


def roc_curve_points(y: np.ndarray, score: np.ndarray) -> pd.DataFrame:
    """ROC curve from (0, 0) to (1, 1), thinned to `CURVE_POINTS`; arguments as `auc`.

    Returns
    -------
    Columns ``fpr`` and ``tpr``, neither ever falling; no rows unless both classes are known.
    """
    tp, fp = _ranking(*known_cells(y, score))
    if not (tp[-1] and fp[-1]):
        return pd.DataFrame({"fpr": [], "tpr": []}, dtype=np.float64)
    return _thinned(pd.DataFrame({"fpr": fp / fp[-1], "tpr": tp / tp[-1]}))


def pr_curve_points(y: np.ndarray, score: np.ndarray) -> pd.DataFrame:
    """Precision-recall curve, thinned to `CURVE_POINTS`; arguments as `auc`.

    It starts at recall 0 with the precision of the highest score, not with a made-up 1, and is a
    step curve: lines between its points would be too optimistic (Davis and Goadrich 2006, ICML).

    Returns
    -------
    Columns ``recall``, never falling, and ``precision``; no rows unless both classes are known.
    """
    tp, fp = _ranking(*known_cells(y, score))
    if not (tp[-1] and fp[-1]):
        return pd.DataFrame({"recall": [], "precision": []}, dtype=np.float64)
    recall, precision = tp[1:] / tp[-1], tp[1:] / (tp[1:] + fp[1:])
    start = {"recall": np.r_[0.0, recall], "precision": np.r_[precision[0], precision]}
    return _thinned(pd.DataFrame(start))


def known_cells(y: np.ndarray, score: np.ndarray) -> tuple[Bools, Floats]:
    """Labels (bool) and scores (float64) of the known cells, [known] each.

    Raises
    ------
    ValueError
        If a known label is neither 0 nor 1, a known cell's score is NaN, or shapes differ.
    """
    labels, scores = np.asarray(y), np.asarray(score)
    if labels.shape != scores.shape:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape}: shapes differ")
    mask = ~np.isnan(labels)
    known, chosen = labels[mask], scores[mask].astype(np.float64)
    if not np.isin(known, (0, 1)).all():
        raise ValueError("labels: a value that is neither 0, 1 nor NaN (unknown)")
    if np.isnan(chosen).any():
        raise ValueError("scores: NaN for a cell with a known label; the model's fit diverged")
    return known == 1, chosen


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """At most `CURVE_POINTS` rows, both ends among them, evenly spread along the curve."""
    if len(curve) <= CURVE_POINTS:
        return curve
    steps = np.abs(np.diff(curve.to_numpy(), axis=0)).sum(axis=1)
    along = np.r_[0.0, np.cumsum(steps)]
    chosen = np.searchsorted(along, np.linspace(0.0, along[-1], CURVE_POINTS))
    return curve.iloc[np.unique(chosen)].reset_index(drop=True)


def _ranking(truth: Bools, score: Floats) -> tuple[Counts, Counts]:
    """Positives and negatives at or above each distinct score, from the highest; 0 first."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], np.ones(min(len(ranked), 1), bool)])
    tp = np.cumsum(truth[order], dtype=np.int64)[last]
    return np.r_[0, tp], np.r_[0, last + 1 - tp]
