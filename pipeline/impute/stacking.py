"""Combining candidate scores: non-negative weights learned on cells whose labels none had seen.

Wolpert 1992 (Neural Networks 5:241); Breiman 1996 (Machine Learning 24:49) on why the weights are
not negative. Each attribute's weights are shrunk towards weights shared by all attributes, which
many labels support where the attribute has few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from pipeline.impute.cross_fitting import log_odds, some

MOST_CELLS = 20_000
"""Cells of an attribute at most that its weights are learned from: they are a dozen numbers."""
SHRINKAGE = 5.0
"""Penalty on an attribute's distance from the shared weights, in units of log-likelihood."""
TOWARDS_EQUAL = 20.0
"""The same for the shared weights' distance from equal ones: weights are learned from scores whose
models have seen each other's labels, and a few dozen labels would be enough to overfit them."""
OFFSET = 0.05
"""The same for the offset: hardly any."""
BOUND = 12.0
"""Candidate logits are kept within this."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stack:
    """Weights float64 [A, M] of the candidates and offsets [A]; ``shared`` [M + 1] behind them."""

    weights: Floats
    offsets: Floats
    shared: Floats

    def __call__(self, candidates: np.ndarray) -> Floats:
        """Logits [N, A] of candidates [M, N, A]."""
        z = np.clip(candidates, -BOUND, BOUND)
        return np.einsum("mna,am->na", z, self.weights) + self.offsets


@dataclass(frozen=True)
class Stacked:
    """Combined logits [N, A]; name of each candidate -> its weights [A], and the weight that all
    attributes together give it."""

    logits: Floats
    weights: dict[str, Floats]
    shared: dict[str, float]


def alone(name: str, logits: np.ndarray) -> Stacked:
    """A single candidate as it is."""
    return Stacked(logits, {name: np.ones(logits.shape[1])}, {name: 1.0})


def fit_stack(
    candidates: np.ndarray,
    labels: np.ndarray,
    scored: np.ndarray,
    shrinkage: float = SHRINKAGE,
    towards_equal: float = TOWARDS_EQUAL,
    offset: float = OFFSET,
) -> Stack:
    """Weights by penalised logistic regression on the cells ``scored``.

    Parameters
    ----------
    candidates : [M, N, A] logits, made without the label of their cell.
    labels : [N, A]; known where ``scored``, bool [N, A], holds.
    shrinkage, towards_equal, offset : see `SHRINKAGE`, `TOWARDS_EQUAL` and `OFFSET`.
    """
    count, _, attributes = candidates.shape
    start = np.r_[np.full(count, 1 / count), 0.0]
    learned, shift = _some(scored, labels)
    shifts = np.broadcast_to(shift, labels.shape)[learned]
    shared = _fit(candidates[:, learned], labels[learned], shifts, start, towards_equal, OFFSET)
    weights, offsets = np.empty((attributes, count)), np.empty(attributes)
    for a in range(attributes):
        rows = learned[:, a]
        z, y = candidates[:, rows, a], labels[rows, a]
        own = _fit(z, y, np.full(len(y), shift[a]), shared, shrinkage, offset)
        weights[a], offsets[a] = own[:-1], own[-1]
    return Stack(weights, offsets, shared)


def _some(scored: np.ndarray, labels: np.ndarray) -> tuple[npt.NDArray[np.bool_], Floats]:
    """bool [N, A], at most `MOST_CELLS` of each column's cells ``scored``, see
    `pipeline.impute.cross_fitting.some`; and by how much the log-odds of these, [A], are higher."""
    learned, shift = np.array(scored), np.zeros(scored.shape[1])
    for a in np.flatnonzero(scored.sum(axis=0) > MOST_CELLS):
        rows = np.flatnonzero(scored[:, a])
        chosen = some(rows, labels[rows, a], MOST_CELLS)
        learned[:, a] = False
        learned[chosen, a] = True
        shift[a] = log_odds(labels[chosen, a]) - log_odds(labels[rows, a])
    return learned, shift


def cross_stack(
    candidates: Mapping[str, np.ndarray], labels: np.ndarray, fold: np.ndarray
) -> Stacked:
    """Known training cells by weights learned without their fold, every other cell by the weights
    of all folds, which are those returned.

    Parameters
    ----------
    candidates : name -> [N, A] logits, made without the label of their cell.
    labels, fold : [N, A] of 1, 0, NaN, and [N], -1 outside training.
    """
    stack = np.stack(list(candidates.values()))
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    whole = fit_stack(stack, labels, known)
    out = whole(stack)
    for k in np.unique(fold[fold >= 0]):
        inside = fold == k
        part = fit_stack(stack, labels, known & ~inside[:, None])
        own = known & inside[:, None]
        out[own] = part(stack[:, inside])[own[inside]]
    shared = whole.shared[:-1].round(4).tolist()
    weights = dict(zip(candidates, whole.weights.T, strict=True))
    return Stacked(out, weights, dict(zip(candidates, shared, strict=True)))


def worth_it(stacked: np.ndarray, simple: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> bool:
    """Whether the stack beats simpler scores by more than a standard error, over all known training
    cells of the table together, in held-out log-loss or in Brier score.

    Either will do: log-loss sees gains among doubtful cells best, but a few cells on which a score
    was sure and wrong make its standard error large.

    Parameters
    ----------
    stacked, simple : [N, A] logits that have not seen the label of their cell.
    """
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    y = labels[known]
    sign = np.where(y == 1, -1.0, 1.0)
    gains = (
        np.logaddexp(0, sign * simple[known]) - np.logaddexp(0, sign * stacked[known]),
        np.square(expit(simple[known]) - y) - np.square(expit(stacked[known]) - y),
    )
    return any(
        len(gain) > 1 and bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))
        for gain in gains
    )


def _fit(
    candidates: np.ndarray,
    y: np.ndarray,
    shift: np.ndarray,
    centre: np.ndarray,
    penalty: float,
    offset: float,
) -> Floats:
    """Weights [M] and offset minimising the log-loss plus half ``penalty`` times the squared
    distance of the weights from ``centre``, and half ``offset`` times that of the offset.

    Parameters
    ----------
    candidates, y, shift : [M, n], [n] and [n], what is added to a cell's score.
    """
    # In double precision once, and not in every step.
    z = np.clip(candidates, -BOUND, BOUND).astype(np.float64)
    strength = np.r_[np.full(len(z), penalty), offset]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        score = theta[:-1] @ z + theta[-1] + shift
        residual = expit(score) - y
        away = theta - centre
        value = np.sum(np.logaddexp(0, score) - y * score) + 0.5 * np.sum(strength * away**2)
        return float(value), np.r_[z @ residual, residual.sum()] + strength * away

    bounds = [(0.0, None)] * len(z) + [(None, None)]
    result = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(result.x)
