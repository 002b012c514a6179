"""Logistic and ridge regressions that learn shares: a target may be any number from 0 to 1, and
each has a weight.

All attributes at once, since what they have in common is the cost; scikit-learn's learn one
attribute, and the logistic one only 0 and 1 (see `pipeline.impute.linear_models`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from pipeline.impute.components import BLOCK

Floats = npt.NDArray[np.float64]
STEPS = 60
"""Of the optimiser of a logistic regression, at most."""


def logistic(
    x: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    inverse_penalty: float,
    start: np.ndarray | None = None,
) -> Floats:
    """Weights and, last, offsets float64 [d + 1, A] of logistic regressions with soft targets.

    All attributes at once, by L-BFGS in units in which every coefficient has about the same
    curvature: components are uncorrelated, so that this is nearly Newton's method.

    Parameters
    ----------
    x : [n, d]; targets, weights : [n, A], from 0 to 1.
    inverse_penalty : C of scikit-learn's `LogisticRegression`.
    start : [d + 1, A] to begin from, or None.
    """
    x, t, w = (np.asarray(part, dtype=np.float32) for part in (x, targets, weights))
    share, mass = _shares(t, w)
    bend = share * (1 - share) * mass + 1e-6
    # By blocks, since all squares at once would take twice what x does.
    blocks = (x[start : start + BLOCK] for start in range(0, len(x), BLOCK))
    size = sum(np.square(part, dtype=np.float64).sum(axis=0) for part in blocks)[:, None] / len(x)
    unit = np.vstack([1 / np.sqrt(size * bend + 1 / inverse_penalty), 1 / np.sqrt(bend)])
    if start is None:
        start = np.zeros(unit.shape)
        start[-1] = np.log(share) - np.log1p(-share)

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        theta = point.reshape(unit.shape) * unit
        z = x @ theta[:-1].astype(np.float32) + theta[-1].astype(np.float32)
        value = np.sum(w * (np.logaddexp(0, z) - t * z), dtype=np.float64)
        residual = w * (expit(z) - t)
        slope = np.vstack([x.T @ residual, residual.sum(axis=0)]).astype(np.float64)
        slope[:-1] += theta[:-1] / inverse_penalty
        value += 0.5 / inverse_penalty * np.square(theta[:-1]).sum()
        return float(value), (slope * unit).ravel()

    options = {"maxiter": STEPS, "ftol": 1e-7, "gtol": 1e-2}
    found = minimize(loss, (start / unit).ravel(), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x.reshape(unit.shape) * unit)


def ridge(x: np.ndarray, targets: np.ndarray, weights: np.ndarray, alphas: np.ndarray) -> Floats:
    """Weights and, last, offsets float64 [C, d + 1, A] of ridge regressions on a scale of log-odds.

    A regression on shares is a linear discriminant: its distance from the mean share p, divided by
    p (1 - p), is one in log-odds.

    Parameters
    ----------
    x, targets, weights : as of `logistic`; alphas : [C] penalties.
    """
    share, _ = _shares(targets, weights)
    out = np.zeros((len(alphas), x.shape[1] + 1, len(share)))
    out[:, -1] = np.log(share) - np.log1p(-share)
    for a, p in enumerate(share):
        rows = np.flatnonzero(weights[:, a] > 0)
        if not len(rows):
            continue
        w = weights[rows, a].astype(np.float32)
        mean = w @ x[rows] / w.sum()
        centred = x[rows] - mean
        weighted = centred * w[:, None]
        values, axes = np.linalg.eigh((weighted.T @ centred).astype(np.float64))
        along = axes.T @ (weighted.T @ (targets[rows, a] - p)).astype(np.float64)
        for c, alpha in enumerate(alphas):
            slope = axes @ (along / (np.maximum(values, 0) + alpha)) / (p * (1 - p))
            out[c, :-1, a] = slope
            out[c, -1, a] -= mean @ slope
    return out


def _shares(targets: np.ndarray, weights: np.ndarray) -> tuple[Floats, Floats]:
    """Share of positives among the targets of each attribute, one added to each class; its mass."""
    mass = weights.sum(axis=0, dtype=np.float64)
    return ((weights * targets).sum(axis=0, dtype=np.float64) + 1) / (mass + 2), mass
