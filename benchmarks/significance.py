"""Whether one method is better than another: paired bootstrap over images, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from pipeline.metrics.scores import mcc

METRICS = ("ap", "mcc", "brier")
LOWER_IS_BETTER = frozenset({"brier"})
DRAWS = 1000
LEVEL = 0.05


def image_weights(images: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """float32 [draws, images]: how often each image is in each bootstrap sample.

    The same for the same arguments, so that the draws of two methods, or of two masks over the
    same images, are paired.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=draws).astype(np.float32)


def draw_scores(
    truth: np.ndarray,
    hidden: np.ndarray,
    probability: np.ndarray,
    decided: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """Means over attributes of `METRICS` on hidden cells: float32 [draws, metrics].

    Parameters
    ----------
    truth, hidden, probability, decided : as of `scoring.score`.
    weights : [draws, N] of `image_weights`.

    Returns
    -------
    NaN where no attribute has both classes among its hidden cells in that draw.
    """
    total = np.zeros((len(weights), len(METRICS)))
    used = np.zeros((len(weights), 1))
    for a in range(truth.shape[1]):
        cells = np.flatnonzero(hidden[:, a])
        y = truth[cells, a] == 1
        if y.all() or not y.any():
            continue
        scores = _weighted(y, probability[cells, a], decided[cells, a], weights[:, cells])
        defined = ~np.isnan(scores).any(axis=1, keepdims=True)
        total += np.where(defined, scores, 0.0)
        used += defined
    return np.divide(total, used, out=np.full_like(total, np.nan), where=used > 0)


def _weighted(y: np.ndarray, p: np.ndarray, decided: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AP, MCC and Brier of weighted cells, [draws, 3]; NaN without weight on both classes."""
    order = np.argsort(-p, kind="stable")
    ranked = p[order]
    ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])
    # Counts are whole numbers far below 2**24, so single precision is exact.
    above = np.cumsum(weights[:, order], axis=1)[:, ends]
    hits = np.cumsum(weights[:, order] * y[order], axis=1)[:, ends]
    positives, everything = hits[:, -1], above[:, -1]
    steps = np.diff(hits, axis=1, prepend=0)
    precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
    kinds = np.stack([decided & y, decided & ~y, ~decided & ~y, ~decided & y], axis=1)
    counts = (weights @ kinds.astype(np.float32)).astype(np.float64)
    squares = weights @ ((p - y) ** 2).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        average = (steps * precision).sum(axis=1, dtype=np.float64) / positives
        scores = np.stack([average, mcc(*counts.T), squares / everything], axis=1)
    scores[(positives == 0) | (positives == everything)] = np.nan
    return scores


def p_value(estimate: float, differences: np.ndarray) -> float:
    """Two-sided p of no difference, from an estimate and its bootstrap draws [draws].

    Normal with the bootstrap's standard error: counting draws ends at 2 / draws, which Holm's
    correction over hundreds of comparisons would turn into 1.
    """
    spread = float(np.nanstd(differences, ddof=1))
    if not np.isfinite(spread) or spread == 0:
        return 1.0 if estimate == 0 or not np.isfinite(spread) else 0.0
    return float(2 * norm.sf(abs(estimate) / spread))


def holm(p: Sequence[float]) -> np.ndarray:
    """Adjusted p-values [n] in the given order (Holm 1979, Scand. J. Stat. 6:65)."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    factors = len(values) - np.arange(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return adjusted


def verdict(metric: str, difference: float, adjusted: float) -> str:
    """``win``, ``tie`` or ``loss`` of the first of two methods, by first minus second."""
    if not adjusted < LEVEL or difference == 0:
        return "tie"
    return "win" if (difference < 0) == (metric in LOWER_IS_BETTER) else "loss"
