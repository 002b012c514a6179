"""Scores over several labels and their bootstrap over images, all draws at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from pipeline.metrics.scores import log_loss

SCORES = ("map", "auc", "brier")
CHUNK = 4_000_000  # weights held at a time: 16 MB per array

Floats = npt.NDArray[np.float64]


def both_classes(labels: np.ndarray) -> npt.NDArray[np.bool_]:
    """bool [A]: whether a label of [n, A] has known positives and known negatives."""
    return np.asarray((labels == 1).any(axis=0) & (labels == 0).any(axis=0))


def mean_average_precision(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean AP over the labels that have both classes; NaN if none has. Arguments [n, A]."""
    once = np.ones((1, len(labels)), np.float32)
    values = [
        float(_areas(labels[:, a], logits[:, a], once)[0][0])
        for a in np.flatnonzero(both_classes(labels))
    ]
    return float(np.mean(values)) if values else float("nan")


def mean_log_loss(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean negative log-likelihood in nats over the known cells of [n, A]; infinite if none is."""
    known = ~np.isnan(labels)
    probability = expit(logits[known].astype(np.float64))
    return float(log_loss(probability, labels[known]).mean()) if known.any() else np.inf


def weighted_scores(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray) -> Floats:
    """The means over labels of AP, AUC and Brier score, [draws, 3], under image weights.

    Only labels with both classes in ``labels`` take part, so that the three are of the same ones;
    in a draw that lacks a class of one of them, its AP and AUC are left out of the mean.

    Parameters
    ----------
    labels, logits : [n, A]; labels 1, 0 or NaN.
    weights : float32 [draws, n].
    """
    chosen = np.flatnonzero(both_classes(labels))
    if not len(chosen):
        return np.full((len(weights), 3), np.nan)
    step = max(1, CHUNK // weights.shape[1])
    parts = [
        _scores_of_part(labels, logits, weights[start : start + step], chosen)
        for start in range(0, len(weights), step)
    ]
    return np.concatenate(parts)


def scores(labels: np.ndarray, logits: np.ndarray) -> Floats:
    """[3]: as `weighted_scores`, of the images themselves."""
    return weighted_scores(labels, logits, np.ones((1, len(labels)), np.float32))[0]


def _scores_of_part(
    labels: np.ndarray, logits: np.ndarray, weights: np.ndarray, chosen: np.ndarray
) -> Floats:
    totals, counts = np.zeros((len(weights), 3)), np.zeros((len(weights), 3))
    for a in chosen:
        known = ~np.isnan(labels[:, a])
        y, z, w = labels[known, a], logits[known, a], weights[:, known]
        error = np.square(expit(z.astype(np.float64)) - y).astype(np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            brier = (w @ error) / w.sum(axis=1)
        values = np.stack([*_areas(y, z, w), brier], axis=1)
        defined = ~np.isnan(values)
        totals += np.where(defined, values, 0.0)
        counts += defined
    with np.errstate(invalid="ignore"):
        return np.asarray(totals / counts)


def _areas(y: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[Floats, Floats]:
    """AP and AUC of one label, [draws] each; cells with NaN in ``y`` take no part.

    Equal scores, and copies of one image, share a rank.
    """
    known = ~np.isnan(y)
    y, score, weights = y[known], score[known], weights[:, known]
    order = np.argsort(-score, kind="stable")
    truth, ranked, w = y[order] == 1, score[order], weights[:, order]
    first = np.r_[True, ranked[1:] != ranked[:-1]]
    group = np.cumsum(first) - 1
    start = np.flatnonzero(first)
    end = np.r_[start[1:], len(ranked)]
    places = group[truth]  # each positive's group of equal scores
    hits = np.cumsum(w * truth, axis=1, dtype=np.float32)
    misses = np.cumsum(w * ~truth, axis=1, dtype=np.float32)
    above = np.pad(misses, ((0, 0), (1, 0)))
    tp, fp = hits[:, end[places] - 1], misses[:, end[places] - 1]
    half = (fp + above[:, start[places]]) / 2
    own = w[:, truth]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(own > 0, tp / (tp + fp), 0.0)
        positive, negative = hits[:, -1].astype(np.float64), misses[:, -1].astype(np.float64)
        average = (own * precision).sum(axis=1, dtype=np.float64) / positive
        below = (own * (misses[:, -1:] - half)).sum(axis=1, dtype=np.float64)
        area = below / (positive * negative)
    lacking = (positive == 0) | (negative == 0)
    return np.where(lacking, np.nan, average), np.where(lacking, np.nan, area)
