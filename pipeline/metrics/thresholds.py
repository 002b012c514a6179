"""From which probability on a cell becomes 1."""

from __future__ import annotations

import numpy as np

FEW = 5
"""With fewer labels of either class than this, a threshold fitted to them is noise: 0.5 is used."""


def choose(
    rule: str | float,
    probability: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """A threshold t; a cell is positive when its probability is at least t.

    Parameters
    ----------
    rule
        ``prevalence``: as many positives as the probabilities lead one to expect, their sum (the
        class-aware rule of Xie et al. 2023, CAP, arXiv:2305.02795);
        ``balanced``, ``f1``, ``accuracy``: the maximum of that score; or the threshold itself.
    probability, labels : [n] held-out probabilities and the known labels, 0 and 1.
    weights : [n], how often each label counts for ``f1`` and ``accuracy``; None = once.
    """
    if not isinstance(rule, str):
        return float(rule)
    positives = int((labels == 1).sum())
    if min(positives, len(labels) - positives) < FEW:
        return 0.5
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order].astype(np.float64)
    # Cut c predicts the first c as positive; only between different probabilities can one cut.
    cuts = np.flatnonzero(np.r_[True, ranked[1:] < ranked[:-1], True])
    if rule == "prevalence":
        best = _nearest(cuts, ranked.sum())
    else:
        mass = np.ones(len(labels)) if weights is None else weights[order]
        hit = labels[order] == 1
        hits = np.r_[0, np.cumsum(mass * hit)][cuts]
        false_alarms = np.r_[0, np.cumsum(mass * ~hit)][cuts]
        in_all, out_of_all = mass[hit].sum(), mass[~hit].sum()
        if rule == "f1":
            score = 2 * hits / (hits + false_alarms + in_all)
        elif rule == "accuracy":
            score = hits - false_alarms
        elif rule == "balanced":
            score = hits / in_all - false_alarms / out_of_all
        else:
            raise ValueError(f"unknown rule {rule!r}")
        best = cuts[np.argmax(score)]
    return _between(ranked, int(best))


def choose_all(rule: str | float, probability: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """The threshold of each column [n, A], by its known labels (not NaN)."""
    known = ~np.isnan(labels)
    return tuple(choose(rule, probability[own, a], labels[own, a]) for a, own in enumerate(known.T))


def expected(probability: np.ndarray) -> float:
    """The threshold that leaves as many positives as the probabilities [n] lead one to expect."""
    ranked = -np.sort(-probability.astype(np.float64))
    cuts = np.flatnonzero(np.r_[True, ranked[1:] < ranked[:-1], True])
    return _between(ranked, _nearest(cuts, ranked.sum()))


def _nearest(cuts: np.ndarray, positives: float) -> int:
    return int(cuts[np.argmin(np.abs(cuts - positives))])


def _between(ranked: np.ndarray, cut: int) -> float:
    above = ranked[cut - 1] if cut else 1.0
    below = ranked[cut] if cut < len(ranked) else 0.0
    return float((above + below) / 2)
