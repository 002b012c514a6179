"""Scores of filled cells against the truth that a benchmark hid: one row per attribute."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.metrics.scores import auc, average_precision, expected_calibration_error, mcc

BINS = 15
POOLED = "(all)"
"""The attribute of the row whose scores take the hidden cells of all attributes as one."""


def score(
    attributes: list[str],
    truth: np.ndarray,
    hidden: np.ndarray,
    probability: np.ndarray,
    decided: np.ndarray,
) -> pd.DataFrame:
    """Scores on hidden cells only.

    Parameters
    ----------
    truth : [N, A] of 1, 0 and NaN; hidden cells are known in it.
    hidden : bool [N, A].
    probability : [N, A] of the positive class, 0 to 1.
    decided : bool [N, A], the method's own decisions.

    Returns
    -------
    A row per attribute and one named `POOLED`: attribute, cells, prevalence (share of 1), ap, auc,
    mcc, f1, brier, ece (`BINS` equal-width bins), prevalence_error (``|mean p - prevalence|``) and
    accuracy. An attribute without both classes among its hidden cells has no score, NaN; it takes
    no part in the pooled row either.
    """
    rows = []
    scored = np.zeros(truth.shape, dtype=bool)
    for a, name in enumerate(attributes):
        cells = np.flatnonzero(hidden[:, a])
        y = truth[cells, a]
        row = {"attribute": name, "cells": len(cells)}
        if y.any() and not y.all():
            row |= _scores(y, probability[cells, a], decided[cells, a])
            scored[cells, a] = True
        rows.append(row)
    pooled = {"attribute": POOLED, "cells": int(scored.sum())}
    if scored.any():
        pooled |= _scores(truth[scored], probability[scored], decided[scored])
    columns = ["attribute", "cells", "prevalence", "ap", "auc", "mcc", "f1", "brier", "ece"]
    return pd.DataFrame([*rows, pooled], columns=[*columns, "prevalence_error", "accuracy"])


def _scores(y: np.ndarray, p: np.ndarray, decided: np.ndarray) -> dict[str, float]:
    p = p.astype(np.float64)
    positive, negative = y == 1, y == 0
    tp, fp = int((decided & positive).sum()), int((decided & negative).sum())
    fn, tn = int(positive.sum()) - tp, int(negative.sum()) - fp
    return {
        "prevalence": float(y.mean()),
        "ap": average_precision(y, p),
        "auc": auc(y, p),
        "mcc": float(mcc(tp, fp, tn, fn)),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "brier": float(np.mean((p - y) ** 2)),
        "ece": expected_calibration_error(y, p, BINS),
        "prevalence_error": abs(float(p.mean() - y.mean())),
        "accuracy": float((decided == positive).mean()),
    }
