"""Models on the same test cells: their scores and paired differences, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.ranking import area, known_cells, precision_of

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
        times = np.ones(len(labels), dtype=np.int64)
        if draw:
            times = np.bincount(rng.integers(len(labels), size=len(labels)), minlength=len(labels))
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
    """A model's cells, sorted once, to be scored in many draws of the images."""

    def __init__(self, labels: np.ndarray, probability: np.ndarray):
        known = ~np.isnan(labels)
        self._row = np.nonzero(known)[0]
        self._error = np.square(probability - labels)[known]
        self._ranked = []
        for a, rows in enumerate(known.T):
            truth, score = known_cells(labels[rows, a], probability[rows, a])
            order = np.argsort(-score, kind="stable")
            # The last cell of each score: cells of one score are ranked as one.
            last = np.flatnonzero(np.diff(score[order], append=np.nan) != 0)
            self._ranked.append((np.flatnonzero(rows)[order], truth[order], last))

    def scores(self, times: npt.NDArray[np.int64]) -> Floats:
        """`SCORES` float64 [3] where each image [n] counts so many times."""
        precisions, areas = [], []
        for row, truth, last in self._ranked:
            each = times[row]
            tp, above = np.cumsum(each * truth)[last], np.cumsum(each)[last]
            tp, fp = np.r_[0, tp], np.r_[0, above - tp]
            if tp[-1] and fp[-1]:
                areas.append(area(tp, fp))
                precisions.append(precision_of(tp, fp))
        each = times[self._row]
        brier = float(each @ self._error / each.sum()) if each.any() else np.nan
        if not areas:
            return np.array([np.nan, np.nan, brier])
        return np.array([np.mean(precisions), np.mean(areas), brier])


def _ends(draws: np.ndarray) -> tuple[float, float]:
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
