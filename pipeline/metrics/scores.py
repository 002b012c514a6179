"""Scores of binary and multi-label probabilities against labels with unknown cells.

Everywhere a NaN label is unknown: the cell takes no part, whatever its probability. A score that
its data leave undefined is NaN, or is left out where the result goes into a JSON file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data import categories
from pipeline.metrics.intervals import auc_interval, wilson_interval
from pipeline.metrics.ranking import (
    auc,
    average_precision,
    known_cells,
    pr_curve_points,
    roc_curve_points,
)

__all__ = [
    "METRICS",
    "MULTILABEL_METRICS",
    "attribute_scores",
    "auc",
    "auc_interval",
    "average_precision",
    "calibration_bins",
    "expected_calibration_error",
    "log_loss",
    "mcc",
    "multilabel_scores",
    "pr_curve_points",
    "roc_curve_points",
    "wilson_interval",
]


def shown(score: float) -> str:
    """A score for a line of a log, with three decimals; in words where it is undefined."""
    return "undefined (one class only)" if np.isnan(score) else f"{score:.3f}"


@dataclass(frozen=True)
class Decisions:
    """How many known cells were decided right and wrong: true and false, positive and negative."""

    tp: int
    fp: int
    tn: int
    fn: int


@dataclass(frozen=True)
class Metric:
    """A score of one attribute's known cells.

    needs : what ``function`` takes: ``decisions``, see `Decisions`; ``probability``, the truth
        (bool) and probabilities [n]; or ``ranking``, the truth and scores [n] in any unit.
    meaning : for docs/outputs.md.
    interval : the value and the decisions -> ends of its 95 % interval; None has none.
    of_interval : the name before ``_low`` and ``_high``, where it is another one.
    """

    function: Callable[..., float]
    needs: Literal["decisions", "probability", "ranking"]
    meaning: str
    interval: Callable[[float, Decisions], tuple[float, float]] | None = None
    of_interval: str | None = None

    def columns(self, name: str) -> tuple[str, ...]:
        """Of a table: the metric, called ``name``, and the ends of its interval."""
        if self.interval is None:
            return (name,)
        of_interval = self.of_interval or name
        return name, f"{of_interval}_low", f"{of_interval}_high"


def _precision(d: Decisions) -> float:
    return _ratio(d.tp, d.tp + d.fp)


def _recall(d: Decisions) -> float:
    return _ratio(d.tp, d.tp + d.fn)


def _specificity(d: Decisions) -> float:
    return _ratio(d.tn, d.tn + d.fp)


def _balanced_accuracy(d: Decisions) -> float:
    return (_recall(d) + _specificity(d)) / 2


def _g_mean(d: Decisions) -> float:
    return float(np.sqrt(_recall(d) * _specificity(d)))


def _f1(d: Decisions) -> float:
    return _ratio(2 * d.tp, 2 * d.tp + d.fp + d.fn)


def _accuracy(d: Decisions) -> float:
    return _ratio(d.tp + d.tn, d.tp + d.fp + d.tn + d.fn)


def _accuracy_interval(_: float, d: Decisions) -> tuple[float, float]:
    return wilson_interval(d.tp + d.tn, d.tp + d.fp + d.tn + d.fn)


def _auc_interval(value: float, d: Decisions) -> tuple[float, float]:
    return auc_interval(value, d.tp + d.fn, d.tn + d.fp)


def _brier(truth: np.ndarray, probability: np.ndarray) -> float:
    return float(np.mean((probability - truth) ** 2)) if len(truth) else float("nan")


def expected_calibration_error(y: np.ndarray, p: np.ndarray, bins: int = 10) -> float:
    """Mean distance of probability and share of positives, over equal-width bins.

    Weighted by the bins' known cells (Naeini, Cooper and Hauskrecht 2015, AAAI); NaN if none is
    known. Arguments as `attribute_scores`.
    """
    table = calibration_bins(y, p, bins)
    if table.empty:
        return float("nan")
    gaps = (table["positive"] - table["cells"] * table["probability"]).abs()
    return float(gaps.sum() / table["cells"].sum())


METRICS: dict[str, Metric] = {
    "precision": Metric(_precision, "decisions", "share of the cells decided as 1 that are 1"),
    "recall": Metric(_recall, "decisions", "share of the cells that are 1 that are decided as 1"),
    "specificity": Metric(
        _specificity, "decisions", "share of the cells that are 0 that are decided as 0"
    ),
    "balanced_accuracy": Metric(_balanced_accuracy, "decisions", "mean of recall and specificity"),
    "g_mean": Metric(_g_mean, "decisions", "geometric mean of recall and specificity"),
    "f1": Metric(_f1, "decisions", "harmonic mean of precision and recall"),
    "binary_accuracy": Metric(
        *(_accuracy, "decisions", "share of the cells decided right"),
        *(_accuracy_interval, "accuracy"),
    ),
    "auc": Metric(auc, "ranking", "area under the ROC curve", _auc_interval),
    "average_precision": Metric(
        average_precision, "ranking", "mean of the precisions at each positive's score"
    ),
    "brier": Metric(_brier, "probability", "mean squared error of the probability"),
    "ece": Metric(
        expected_calibration_error,
        "probability",
        "expected calibration error: distance of probability and share of 1, over ten bins",
    ),
}
"""Scores of one attribute, in the order of the reports' columns."""


def attribute_scores(
    y: np.ndarray,
    probability: np.ndarray,
    threshold: float,
    values: np.ndarray | None = None,
    ranking: np.ndarray | None = None,
) -> dict[str, int | float]:
    """Every score of one attribute, in the order of the reports' columns; undefined ones NaN.

    Parameters
    ----------
    y : [n] of 1, 0 and NaN (unknown).
    probability : [n], 0 to 1, of the positive class; ignored where y is unknown.
    threshold : a probability from here on is decided as positive.
    values : [n] of 1 and 0, decisions made elsewhere, to be counted instead; None cuts.
    ranking : [n] scores for the metrics that need a ranking; None ranks by probability.

    Returns
    -------
    Counts known, positive, negative, unknown, tp, fp, tn, fn; then `METRICS` with their intervals;
    then threshold.

    Raises
    ------
    ValueError
        As `auc`, and if a known cell's probability is outside [0, 1].
    """
    truth, p = _known_probabilities(y, probability)
    ranked = p if ranking is None else known_cells(y, ranking)[1]
    n, positive = len(truth), int(truth.sum())
    decided = p >= threshold if values is None else values[~np.isnan(y)] == 1
    tp, fp = int((decided & truth).sum()), int((decided & ~truth).sum())
    decisions = Decisions(tp, fp, tn=n - positive - fp, fn=positive - tp)
    given = {"decisions": (decisions,), "probability": (truth, p), "ranking": (truth, ranked)}
    scores: dict[str, int | float] = {
        **{"known": n, "positive": positive, "negative": n - positive, "unknown": len(y) - n},
        **asdict(decisions),
    }
    for name, metric in METRICS.items():
        value = metric.function(*given[metric.needs])
        ends = () if metric.interval is None else metric.interval(value, decisions)
        scores |= zip(metric.columns(name), (value, *ends), strict=True)
    return {**scores, "threshold": float(threshold)}


@dataclass(frozen=True, eq=False)
class Cells:
    """A table's cells, [N, A] each: labels of 1, 0 and NaN (unknown), probabilities, and of the
    known cells which are positive and which were decided so."""

    labels: np.ndarray
    probability: np.ndarray
    known: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.bool_]
    decided: npt.NDArray[np.bool_]

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        """Known cells that were decided wrong."""
        return np.asarray(self.truth ^ self.decided)

    @cached_property
    def areas(self) -> list[float]:
        """`auc` of each attribute."""
        return [auc(*one) for one in zip(self.labels.T, self.probability.T, strict=True)]

    def of_images(self, values: np.ndarray) -> float:
        """Mean of ``values`` [N] over the images with a known cell."""
        rows = self.known.any(axis=1)
        return _ratio(float(values[rows].sum()), int(rows.sum()))


def _binary_accuracy(c: Cells) -> float:
    known = int(c.known.sum())
    return _ratio(known - int(c.wrong.sum()), known)


def _auc_micro(c: Cells) -> float:
    return auc(c.labels.ravel(), c.probability.ravel())


def _map(c: Cells) -> float:
    columns = zip(c.labels.T, c.probability.T, strict=True)
    return _defined_mean([average_precision(*one) for one in columns])


def _f1_macro(c: Cells) -> float:
    return _defined_mean([_overlap(*one) for one in zip(c.truth.T, c.decided.T, strict=True)])


def _f1_micro(c: Cells) -> float:
    return _overlap(c.truth, c.decided)


def _f1_samples(c: Cells) -> float:
    both = c.truth.sum(axis=1) + c.decided.sum(axis=1)
    hit = (c.truth & c.decided).sum(axis=1)
    return c.of_images(np.where(both > 0, 2 * hit / np.maximum(both, 1), 1.0))


def _accuracy_macro(c: Cells) -> float:
    known = c.known.sum(axis=0)
    right = (c.known & ~c.wrong).sum(axis=0) / np.maximum(known, 1)
    return _defined_mean(right[known > 0].tolist())


def _cosine_similarity(c: Cells) -> float:
    rows = c.truth.any(axis=1)
    y, p = c.truth[rows].astype(np.float64), np.where(c.known, c.probability, 0.0)[rows]
    length = np.sqrt(y.sum(axis=1) * np.square(p).sum(axis=1))
    cosines = np.divide((y * p).sum(axis=1), length, out=np.zeros(len(y)), where=length > 0)
    # Rounding may carry a perfect match beyond 1.
    return float(np.minimum(cosines, 1.0).mean()) if len(cosines) else float("nan")


def _hamming_loss(c: Cells) -> float:
    return _ratio(int(c.wrong.sum()), int(c.known.sum()))


def _jaccard(c: Cells) -> float:
    either = (c.truth | c.decided).sum(axis=1)
    hit = (c.truth & c.decided).sum(axis=1)
    return c.of_images(np.where(either > 0, hit / np.maximum(either, 1), 1.0))


def _subset_accuracy(c: Cells) -> float:
    return c.of_images(np.asarray(~c.wrong.any(axis=1)))


MULTILABEL_METRICS: dict[str, tuple[Callable[[Cells], float], str]] = {
    "binary_accuracy": (_binary_accuracy, "share of the known cells decided right"),
    "auc_macro": (lambda c: _defined_mean(c.areas), "mean AUC of the attributes with both classes"),
    "auc_micro": (_auc_micro, "AUC of all known cells as one"),
    "map": (_map, "mean average precision of the attributes with both classes"),
    "f1_macro": (_f1_macro, "mean F1 of the attributes with a known or a decided positive"),
    "f1_micro": (_f1_micro, "F1 of all known cells as one"),
    "f1_samples": (
        _f1_samples,
        "mean over images of 2 |true and decided| / (|true| + |decided|), 1 where both are empty",
    ),
    "accuracy_macro": (_accuracy_macro, "mean accuracy of the attributes with a known cell"),
    "cosine_similarity": (
        _cosine_similarity,
        "mean over images with a known positive, of labels and probabilities",
    ),
    "hamming_loss": (_hamming_loss, "share of the known cells decided wrong"),
    "jaccard": (
        _jaccard,
        "mean over images of |true and decided| / |true or decided|, 1 where both are empty",
    ),
    "subset_accuracy": (
        _subset_accuracy,
        "share of the images of which every known cell is decided right",
    ),
}
"""Scores of all attributes together: function and, for docs/outputs.md, meaning."""


def multilabel_scores(
    labels: np.ndarray,
    probability: np.ndarray,
    thresholds: np.ndarray,
    softmax: Sequence[tuple[int, int]] = (),
) -> dict[str, int | float]:
    """`MULTILABEL_METRICS` over all attributes; undefined ones are left out, never NaN.

    Parameters
    ----------
    labels : [N, A] of 1, 0 and NaN (unknown).
    probability : [N, A], 0 to 1, ignored where the label is unknown.
    thresholds : [A]; a probability from its attribute's threshold on is decided as positive.
    softmax : (start, stop) of categorical attributes: of their columns the most probable is.

    Returns
    -------
    The metrics; then n_images, n_cells, the images with a known cell and the known cells; then
    n_scored_attributes, those that have both classes known.

    Raises
    ------
    ValueError
        If the shapes do not agree, and as `attribute_scores`.
    """
    if labels.ndim != 2 or np.shape(thresholds) != labels.shape[1:]:
        raise ValueError(
            f"labels {labels.shape} and thresholds {np.shape(thresholds)}; expected [N, A] and [A]"
        )
    _known_probabilities(labels, probability)
    known = ~np.isnan(labels)
    decided = known & categories.decide(probability, thresholds, softmax)
    cells = Cells(labels, probability, known, known & (labels == 1), decided)
    scores = {name: function(cells) for name, (function, _) in MULTILABEL_METRICS.items()}
    return {name: value for name, value in scores.items() if not np.isnan(value)} | {
        "n_images": int(known.any(axis=1).sum()),
        "n_cells": int(known.sum()),
        "n_scored_attributes": int((~np.isnan(cells.areas)).sum()),
    }


def log_loss(probability: np.ndarray, labels: np.ndarray) -> npt.NDArray[np.float64]:
    """Negative log-likelihood of each label, in nats, probabilities kept 1e-12 away from 0 and 1.

    Parameters
    ----------
    probability, labels : [n], of 1 and of 1 and 0.
    """
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return -np.log(np.where(labels == 1, p, 1 - p))


def mcc(
    tp: npt.ArrayLike, fp: npt.ArrayLike, tn: npt.ArrayLike, fn: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Matthews's correlation of decision and truth (1975, Biochim. Biophys. Acta 405:442).

    From counts of any one shape, which may be fractions, in the shape; 0 where a margin is empty,
    as in scikit-learn, whose function takes the cells themselves, one set at a time.
    """
    tp, fp, tn, fn = (np.asarray(count, dtype=np.float64) for count in (tp, fp, tn, fn))
    scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.divide(tp * tn - fp * fn, scale, out=np.zeros_like(scale), where=scale > 0)


def calibration_bins(y: np.ndarray, p: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Known cells in equal-width bins of probability; empty bins are left out.

    Returns
    -------
    A row per bin: ``cells`` and ``positive`` (counts), ``probability`` (their mean).
    """
    truth, probability = _known_probabilities(y, p)
    number = np.minimum((probability * bins).astype(np.int64), bins - 1)
    cells = np.bincount(number, minlength=bins)
    positive = np.bincount(number[truth], minlength=bins)
    total = np.bincount(number, weights=probability, minlength=bins)
    used = cells > 0
    return pd.DataFrame(
        {
            "cells": cells[used],
            "positive": positive[used],
            "probability": total[used] / cells[used],
        }
    )


def _known_probabilities(
    y: np.ndarray, probability: np.ndarray
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    truth, p = known_cells(y, probability)
    if len(p) and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"probabilities: {p.min():g} to {p.max():g}; expected 0 to 1")
    return truth, p


def _overlap(truth: np.ndarray, decided: np.ndarray) -> float:
    """F1 of boolean arrays of one shape."""
    return _ratio(2 * int((truth & decided).sum()), int(truth.sum()) + int(decided.sum()))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _defined_mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
