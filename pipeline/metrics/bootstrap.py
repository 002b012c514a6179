"""Models on the same test cells: their scores and paired differences, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.metrics.ranking import known_cells

DRAWS = 1000
LEVEL = 0.95
SCORES = ("map", "auc", "brier")
Floats = npt.NDArray[np.float64]


def compare(
    labels: np.ndarray, models: Mapping[str, np.ndarray], against: str, seed: int
) -> pd.DataFrame:
    """One row per model: each score with its interval, and its difference to model ``against``.

    Percentile bootstrap over images, the same draws for all models, so that a difference is paired.
    A label without both classes among the scored cells is left out, in each draw anew.

    Parameters
    ----------
    labels : [n, A] of 1, 0 and NaN for unknown.
    models : name -> probabilities [n, A].

    Returns
    -------
    Columns model, cells, attributes, and for each of `SCORES` score, _low, _high, _gain, _gain_low,
    _gain_high; undefined ones NaN. A gain in the Brier score is a fall.
    """
    rng = np.random.default_rng([seed, len(labels)])
    scored = {name: _Scored(labels, probability) for name, probability in models.items()}
    drawn: dict[str, list[Floats]] = {name: [] for name in models}
    for draw in range(DRAWS + 1):
        # How often each image is drawn; first of all each one once.
        times = np.ones(len(labels), dtype=np.int32)
        if draw:
            chosen = rng.integers(len(labels), size=len(labels))
            times = np.bincount(chosen, minlength=len(labels)).astype(np.int32)
        for name, model in scored.items():
            drawn[name].append(model.scores(times))
    points = {name: np.stack(scores) for name, scores in drawn.items()}
    sign = np.array([1.0, 1.0, -1.0])
    known = ~np.isnan(labels)
    both = ((labels == 1).any(axis=0) & (labels == 0).any(axis=0)).sum()
    rows = []
    for name, of_draws in points.items():
        row: dict[str, object] = {"model": name, "cells": int(known.sum()), "attributes": int(both)}
        gains = (of_draws - points[against]) * sign
        for j, score in enumerate(SCORES):
            for suffix, values in (("", of_draws[:, j]), ("_gain", gains[:, j])):
                low, high = _ends(values[1:])
                row |= {
                    f"{score}{suffix}": values[0],
                    f"{score}{suffix}_low": low,
                    f"{score}{suffix}_high": high,
                }
        rows.append(row)
    return pd.DataFrame(rows).round(6)


class _Scored:
    """A model's cells, ranked once, to be scored in many draws of the images."""

    def __init__(self, labels: np.ndarray, probability: np.ndarray):
        known = ~np.isnan(labels)
        self._cells = known.sum(axis=1)
        self._error = np.where(known, np.square(probability - labels), 0.0).sum(axis=1)
        self._attributes = [
            _Ranked(np.flatnonzero(rows), *known_cells(y[rows], score[rows]))
            for rows, y, score in zip(known.T, labels.T, probability.T, strict=True)
        ]

    def scores(self, times: npt.NDArray[np.int32]) -> Floats:
        """`SCORES` float64 [3] where each image [n] counts so many times."""
        areas = np.array([attribute.areas(times) for attribute in self._attributes]).reshape(-1, 2)
        defined = areas[~np.isnan(areas[:, 0])]
        ranked = defined.mean(axis=0) if len(defined) else np.full(2, np.nan)
        cells = np.sum(times * self._cells)
        brier = np.sum(times * self._error) / cells if cells else np.nan
        return np.array([*ranked, brier])


class _Ranked:
    """One attribute's known cells by score. What a draw costs is few passes over them, most over
    the positives alone, which are the fewer."""

    def __init__(self, rows: np.ndarray, truth: np.ndarray, score: np.ndarray):
        order = np.argsort(-score, kind="stable")
        truth, falling = truth[order], -score[order]
        self._positive = rows[order][truth]
        self._negative = rows[order][~truth]
        # For each positive: how many negatives score higher, how many of each at least as high.
        positive, negative = falling[truth], falling[~truth]
        self._above = np.searchsorted(negative, positive, "left")
        self._level = np.searchsorted(negative, positive, "right")
        self._tied = np.searchsorted(positive, positive, "right")

    def areas(self, times: npt.NDArray[np.int32]) -> tuple[float, float]:
        """Average precision and area under the ROC curve; NaN unless both classes are drawn."""
        each = times[self._positive]
        tp = np.cumsum(each)
        fp = np.zeros(len(self._negative) + 1, dtype=np.int64)
        np.cumsum(times[self._negative], out=fp[1:])
        if not (len(tp) and tp[-1] and fp[-1]):
            return np.nan, np.nan
        right, wrong = tp[self._tied - 1], fp[self._level]
        # A positive that is not drawn may have nothing at its score or above; it counts for 0.
        # Sums, not dot products: for so little BLAS threads wait longer than they work.
        precision = np.sum(each * (right / np.maximum(right + wrong, 1))) / tp[-1]
        higher = np.sum(each * (fp[self._above] + wrong)) / 2  # of equal scores half
        return float(precision), float(1 - higher / tp[-1] / fp[-1])


def _ends(draws: np.ndarray) -> tuple[float, float]:
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
