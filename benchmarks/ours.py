"""The project's own imputation as a benchmark calls it, and what it promises against the truth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

NAME = "ours"
CONFIDENCES = (0.9, 0.95, 0.99)
"""Values of min_confidence: cells promised less stay empty."""
AUDITED = ("accuracy", "accuracy_low", "accuracy_high", "auc", "mcc", "brier")


def impute(features: np.ndarray, labels: np.ndarray, seed: int, **further: Any) -> Any:
    """`pipeline.impute.imputer.Imputer`; its warnings go to standard error. ``further`` is of its
    `Table`."""
    from pipeline.impute.imputer import Imputer, Settings, Table

    imputation = Imputer(Settings(seed=seed)).fill(Table(features, labels, **further))
    for warning in imputation.warnings:
        print(f"  {NAME}: {warning}", file=sys.stderr)
    return imputation


def promises(
    attributes: Sequence[str], truth: np.ndarray, hidden: np.ndarray, imputation: Any
) -> pd.DataFrame:
    """What is promised per attribute, and what became of it on hidden cells.

    Parameters
    ----------
    truth : [N, A] of 1, 0 and NaN; hidden cells are known in it.
    hidden : bool [N, A].

    Returns
    -------
    A row per attribute: attribute, learnable (1 or 0), ``audit_*`` for each of `AUDITED`, and for
    each c of `CONFIDENCES` kept_c (hidden cells whose promised probability of being right is at
    least c), right_c (those that are), promised_c (the sum of their promises).
    """
    frame = pd.DataFrame({"attribute": list(attributes)})
    frame["learnable"] = np.asarray(imputation.learnable).astype(int)
    for column in AUDITED:
        frame[f"audit_{column}"] = imputation.audit[column].to_numpy(dtype=np.float64)
    right = hidden & (np.asarray(imputation.values) == truth)
    promise = np.asarray(imputation.correctness, dtype=np.float64)
    for c in CONFIDENCES:
        kept = hidden & (promise >= c)
        frame[f"kept_{c}"] = kept.sum(axis=0)
        frame[f"right_{c}"] = (kept & right).sum(axis=0)
        frame[f"promised_{c}"] = np.where(kept, promise, 0.0).sum(axis=0)
    return frame


def learnable_without_signal(
    features: np.ndarray, labels: np.ndarray, attributes: Sequence[str], seed: int, fraction: float
) -> pd.DataFrame:
    """Which attributes are called learnable once neither pictures nor other labels tell them.

    Every column of ``labels`` [N, A] is permuted over its known cells, each on its own: permuted
    together, the labels would still tell one another.

    Returns
    -------
    A row per attribute: attribute, learnable (1 or 0).
    """
    rng = np.random.default_rng([seed, 30])
    permuted = labels.copy()
    for a in range(labels.shape[1]):
        rows = np.flatnonzero(~np.isnan(labels[:, a]))
        permuted[rows, a] = labels[rng.permutation(rows), a]
    permuted[rng.random(labels.shape) < fraction] = np.nan
    imputation = impute(features, permuted, seed)
    flags = np.asarray(imputation.learnable).astype(int)
    return pd.DataFrame({"attribute": list(attributes), "learnable": flags})
