"""Scores of binary and multi-label probabilities against labels with unknown cells.

Everywhere a NaN label is unknown: the cell takes no part, whatever its probability. A score that
its data leave undefined is NaN, or is left out where the result goes into a JSON file.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    "attribute_scores",
    "auc",
    "auc_interval",
    "average_precision",
    "calibration_bins",
    "expected_calibration_error",
    "multilabel_scores",
    "pr_curve_points",
    "roc_curve_points",
    "wilson_interval",
]


def attribute_scores(
    y: np.ndarray, probability: np.ndarray, threshold: float, values: np.ndarray | None = None
) -> dict[str, int | float]:
    """Every score of one attribute, in the order of the reports' columns; undefined ones NaN.

    Parameters
    ----------
    y : [n] of 1, 0 and NaN (unknown).
    probability : [n], 0 to 1, of the positive class; ignored where y is unknown.
    threshold : a probability from here on is decided as positive.
    values : [n] of 1 and 0, decisions made elsewhere, to be counted instead; None cuts.

    Returns
    -------
    Counts known, positive, negative, unknown, tp, fp, tn, fn; then precision, recall, specificity,
    balanced_accuracy, g_mean, f1, binary_accuracy, accuracy_low, accuracy_high (95 %, Wilson),
    auc, auc_low, auc_high (95 %, Newcombe), average_precision, brier, ece; then threshold.

    Raises
    ------
    ValueError
        As `auc`, and if a known cell's probability is outside [0, 1].
    """
    truth, p = _known_probabilities(y, probability)
    n = len(truth)
    positive = int(truth.sum())
    decided = p >= threshold if values is None else values[~np.isnan(y)] == 1
    tp, fp = int((decided & truth).sum()), int((decided & ~truth).sum())
    tn, fn = n - positive - fp, positive - tp
    recall, specificity = _ratio(tp, positive), _ratio(tn, n - positive)
    accuracy_low, accuracy_high = wilson_interval(tp + tn, n)
    area = auc(truth, p)
    auc_low, auc_high = auc_interval(area, positive, n - positive)
    return {
        **{"known": n, "positive": positive, "negative": n - positive, "unknown": len(y) - n},
        **{"tp": tp, "fp": fp, "tn": tn, "fn": fn},
        "precision": _ratio(tp, tp + fp),
        "recall": recall,
        "specificity": specificity,
        "balanced_accuracy": (recall + specificity) / 2,
        "g_mean": float(np.sqrt(recall * specificity)),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "binary_accuracy": _ratio(tp + tn, n),
        **{"accuracy_low": accuracy_low, "accuracy_high": accuracy_high},
        **{"auc": area, "auc_low": auc_low, "auc_high": auc_high},
        "average_precision": average_precision(truth, p),
        "brier": float(np.mean((p - truth) ** 2)) if n else float("nan"),
        "ece": expected_calibration_error(truth, p),
        "threshold": float(threshold),
    }


def multilabel_scores(
    labels: np.ndarray,
    probability: np.ndarray,
    thresholds: np.ndarray,
    softmax: Sequence[tuple[int, int]] = (),
) -> dict[str, int | float]:
    """Scores over all attributes together; undefined ones are left out, never NaN.

    Parameters
    ----------
    labels : [N, A] of 1, 0 and NaN (unknown).
    probability : [N, A], 0 to 1, ignored where the label is unknown.
    thresholds : [A]; a probability from its attribute's threshold on is decided as positive.
    softmax : (start, stop) of categorical attributes: of their columns the most probable is.

    Returns
    -------
    binary_accuracy, f1_micro, auc_micro, hamming_loss : over all known cells as one.
    auc_macro, map : means over the ``n_scored_attributes`` that have both classes known.
    accuracy_macro : mean over the attributes with a known cell.
    f1_macro : mean over the attributes with a known or a decided positive.
    jaccard, f1_samples : means over images of |true and decided| / |true or decided| and of
        2 |true and decided| / (|true| + |decided|), 1 where both are empty.
    cosine_similarity : mean over images with a known positive, of labels and probabilities.
    subset_accuracy : share of the images of which every known cell is decided right.
    n_images, n_cells : images with a known cell, and known cells.

    Raises
    ------
    ValueError
        If the shapes do not agree, and as `attribute_scores`.
    """
    if labels.ndim != 2 or np.shape(thresholds) != labels.shape[1:]:
        raise ValueError(
            f"labels {labels.shape} and thresholds {np.shape(thresholds)}; expected [N, A] and [A]"
        )
    truth_cells, p_cells = _known_probabilities(labels, probability)
    known = ~np.isnan(labels)
    truth = known & (labels == 1)
    decided = known & categories.decide(probability, thresholds, softmax)
    hit, either, wrong = truth & decided, truth | decided, truth ^ decided
    rows = known.any(axis=1)
    n_cells, n_images = int(known.sum()), int(rows.sum())
    columns = [(labels[:, a], probability[:, a]) for a in range(labels.shape[1])]
    areas = [auc(y, p) for y, p in columns]
    overlap = hit.sum(axis=1) / np.maximum(either.sum(axis=1), 1)
    jaccard = np.where(either.any(axis=1), overlap, 1.0)
    both = truth.sum(axis=1) + decided.sum(axis=1)
    f1_samples = np.where(both > 0, 2 * hit.sum(axis=1) / np.maximum(both, 1), 1.0)
    right_of_known = (known & ~wrong).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    right = _ratio(n_cells - int(wrong.sum()), n_cells)
    scores: dict[str, float] = {
        "binary_accuracy": right,
        "auc_macro": _defined_mean(areas),
        "auc_micro": auc(truth_cells, p_cells),
        "map": _defined_mean([average_precision(y, p) for y, p in columns]),
        "f1_macro": _defined_mean([_f1(truth[:, a], decided[:, a]) for a in range(len(columns))]),
        "f1_micro": _f1(truth, decided),
        "f1_samples": _ratio(float(f1_samples[rows].sum()), n_images),
        "accuracy_macro": _defined_mean(right_of_known[known.any(axis=0)].tolist()),
        "cosine_similarity": _cosine_similarity(truth, np.where(known, probability, 0.0)),
        "hamming_loss": _ratio(int(wrong.sum()), n_cells),
        "jaccard": _ratio(float(jaccard[rows].sum()), n_images),
        "subset_accuracy": _ratio(int((rows & ~wrong.any(axis=1)).sum()), n_images),
    }
    return {name: value for name, value in scores.items() if not np.isnan(value)} | {
        "n_images": n_images,
        "n_cells": n_cells,
        "n_scored_attributes": int((~np.isnan(areas)).sum()),
    }


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


def _known_probabilities(
    y: np.ndarray, probability: np.ndarray
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    truth, p = known_cells(y, probability)
    if len(p) and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"probabilities: {p.min():g} to {p.max():g}; expected 0 to 1")
    return truth, p


def _cosine_similarity(truth: np.ndarray, probability: np.ndarray) -> float:
    rows = truth.any(axis=1)
    y, p = truth[rows].astype(np.float64), probability[rows]
    length = np.sqrt(y.sum(axis=1) * np.square(p).sum(axis=1))
    cosines = np.divide((y * p).sum(axis=1), length, out=np.zeros(len(y)), where=length > 0)
    # Rounding may carry a perfect match beyond 1.
    return float(np.minimum(cosines, 1.0).mean()) if len(cosines) else float("nan")


def _f1(truth: np.ndarray, decided: np.ndarray) -> float:
    return _ratio(2 * int((truth & decided).sum()), int(truth.sum()) + int(decided.sum()))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _defined_mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
