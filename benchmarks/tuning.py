"""Choosing a peer's setting by hiding some of the known cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from pipeline.metrics.scores import average_precision

S = TypeVar("S")
SHARE = 0.2
"""Share of the known cells that a split hides."""
FEW = 400
"""Known cells per attribute below which three splits are made instead of one."""

Fit = Callable[[np.ndarray, Sequence[S]], Sequence[np.ndarray]]
"""Labels [N, A] and settings -> a probability [N, A] per setting."""


def best(fit: Fit[S], labels: np.ndarray, settings: Sequence[S], seed: int) -> S:
    """The setting with the best mean average precision on known cells that it was not shown.

    ``fit`` gets all settings at once, so that they can share what is costly.
    """
    if len(settings) == 1:
        return settings[0]
    rng = np.random.default_rng([seed, 20])
    known = ~np.isnan(labels)
    splits = 3 if np.median(known.sum(axis=0)) < FEW else 1
    scores = np.zeros(len(settings))
    for _ in range(splits):
        hidden = known & (rng.random(labels.shape) < SHARE)
        shown = np.where(hidden, np.nan, labels)
        truth = np.where(hidden, labels, np.nan)
        for number, probability in enumerate(fit(shown, settings)):
            scores[number] += _mean_precision(truth, probability)
    return settings[int(np.argmax(scores))]


def _mean_precision(truth: np.ndarray, probability: np.ndarray) -> float:
    values = [average_precision(truth[:, a], probability[:, a]) for a in range(truth.shape[1])]
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else 0.0
