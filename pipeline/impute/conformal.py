"""Which filled cells may be kept so that a chosen share of them at most is wrong.

Conformal selection (Jin and Candès 2023, J. Mach. Learn. Res. 24:244): each unknown cell gets a
p-value of "its value is wrong" from known cells that were decided without their label, and
Benjamini and Hochberg's rule (1995, J. R. Stat. Soc. B 57:289) picks cells. Where known and unknown
cells are exchangeable, the expected share of wrong ones among the picked is at most the level,
however few known cells there are and whatever the models are worth.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def p_values(
    confidence: np.ndarray,
    known_confidence: np.ndarray,
    wrong: np.ndarray,
    weight: np.ndarray | None = None,
    known_weight: np.ndarray | None = None,
) -> Floats:
    """Of each unknown cell [m]: how often a known cell that is at least as sure was wrong, itself
    counted as such.

    Parameters
    ----------
    confidence : [m] in the filled values; known_confidence : [n], made without the labels.
    wrong : bool [n], whether the decision on the known cell was wrong.
    weight, known_weight : [m] and [n], how many times likelier a cell like this is among the
        unknown cells than among the known ones, up to a constant (Jin and Candès 2023,
        arXiv:2307.09291); None = all alike.
    """
    known_weight = np.ones(len(known_confidence)) if known_weight is None else known_weight
    own = np.ones(len(confidence)) if weight is None else np.asarray(weight, dtype=np.float64)
    order = np.argsort(known_confidence[wrong], kind="stable")
    below = np.r_[0.0, np.cumsum(known_weight[wrong][order])]
    at = np.searchsorted(known_confidence[wrong][order], confidence, side="left")
    return np.asarray((own + below[-1] - below[at]) / (own + known_weight.sum()))


def q_values(p: np.ndarray) -> Floats:
    """Of each cell [m] the smallest level at which Benjamini and Hochberg's rule picks it."""
    order = np.argsort(p, kind="stable")
    ranked = p[order] * len(p) / np.arange(1, len(p) + 1)
    out = np.empty(len(p), dtype=np.float64)
    out[order] = np.minimum(1.0, np.minimum.accumulate(ranked[::-1])[::-1])
    return out


def least_known(max_wrong: float) -> int:
    """Known cells without which no p-value can be as small as ``max_wrong``."""
    return math.ceil(1 / max_wrong - 1e-9) - 1
