"""Logits into calibrated probabilities, by the method that held-out labels favour."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import expit, logsumexp
from sklearn.isotonic import IsotonicRegression

from pipeline.data.categories import binary_columns, truth
from pipeline.impute.cross_fitting import log_odds, logit
from pipeline.metrics.scores import log_loss

Floats = npt.NDArray[np.float64]
Calibrator = Callable[[np.ndarray], Floats]
"""Logits of any shape -> probabilities of the same shape."""
FEW = 1000
"""With fewer labels isotonic regression is no candidate: its steps follow single labels."""


def none(logits: np.ndarray, labels: np.ndarray) -> Calibrator:
    """The logits as they are."""
    return lambda z: np.asarray(expit(np.asarray(z, dtype=np.float64)))


def temperature(logits: np.ndarray, labels: np.ndarray) -> Calibrator:
    """sigmoid(slope * logit), Guo et al. 2017 (ICML, On calibration of modern neural networks)."""
    (slope,) = _logistic(np.asarray(logits)[None], labels, np.ones(1))
    return lambda z: np.asarray(expit(slope * np.asarray(z, dtype=np.float64)))


def platt(logits: np.ndarray, labels: np.ndarray) -> Calibrator:
    """sigmoid(slope * logit + offset), Platt 1999 (Advances in Large Margin Classifiers)."""
    x = np.stack([logits, np.ones(len(logits))])
    slope, offset = _logistic(x, labels, np.array([1.0, 0.0]), free=1)
    return lambda z: np.asarray(expit(slope * np.asarray(z, dtype=np.float64) + offset))


def beta(logits: np.ndarray, labels: np.ndarray) -> Calibrator:
    """sigmoid(a log p - b log(1 - p) + c), Kull et al. 2017 (AISTATS, Beta calibration)."""

    def inputs(z: np.ndarray) -> Floats:
        z = np.asarray(z, dtype=np.float64)
        return np.stack([-np.logaddexp(0, -z), np.logaddexp(0, z), np.ones(z.shape)])

    theta = _logistic(inputs(logits), labels, np.array([1.0, 1.0, 0.0]), free=1)
    return lambda z: np.asarray(expit(np.tensordot(theta, inputs(z), axes=1)))


def isotonic(logits: np.ndarray, labels: np.ndarray) -> Calibrator:
    """The best non-decreasing step function, Zadrozny and Elkan 2002 (KDD), one label of each class
    added at the ends so that no probability is 0 or 1."""
    z = np.r_[np.min(logits), logits, np.max(logits)]
    model = IsotonicRegression(out_of_bounds="clip").fit(z, np.r_[1, labels, 0])
    edge = 1 / (len(labels) + 2)

    def apply(new: np.ndarray) -> Floats:
        new = np.asarray(new, dtype=np.float64)
        return np.clip(model.predict(new.ravel()).reshape(new.shape), edge, 1 - edge)

    return apply


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], Calibrator]] = {
    "none": none,
    "temperature": temperature,
    "platt": platt,
    "beta": beta,
    "isotonic": isotonic,
}
"""From the simplest to the most flexible."""


def fit(method: str, logits: np.ndarray, labels: np.ndarray) -> Calibrator:
    """The calibrator of ``method``; with labels of one class only, their smoothed share.

    Parameters
    ----------
    logits, labels : [n], none unknown; the logits come from models that have not seen the labels.
    """
    if len(np.unique(labels)) < 2:
        constant = log_odds(labels)
        return lambda z: np.full(np.shape(z), expit(constant))
    if method == "isotonic" and len(labels) < FEW:
        method = "platt"
    return METHODS[method](np.asarray(logits, dtype=np.float64), np.asarray(labels))


def shared(
    logits: np.ndarray, labels: np.ndarray, softmax: Sequence[tuple[int, int]] = ()
) -> tuple[Floats, Floats]:
    """Slopes and offsets [A] that calibrate a classifier's logits, from few labels.

    One slope and one offset for all binary columns, one slope for all categorical attributes: the
    dozen labels that an attribute has for this would not bear more. Without labels, 1 and 0.

    Parameters
    ----------
    logits, labels : [n, A] of images that the classifier was not fitted on; NaN for unknown.
    softmax : (start, stop) of the columns of each categorical attribute.
    """
    slope, offset = np.ones(logits.shape[1]), np.zeros(logits.shape[1])
    binary = binary_columns(logits.shape[1], softmax)
    known = ~np.isnan(labels[:, binary])
    y = labels[:, binary][known]
    if len(np.unique(y)) == 2:
        z = np.asarray(logits[:, binary][known], dtype=np.float64)
        calibrator = platt(z, y)
        at_zero, at_one = logit(calibrator(np.array([0.0, 1.0])), bound=30.0)
        slope[binary], offset[binary] = at_one - at_zero, at_zero
    cells = [(logits[:, a:b], truth(labels[:, a:b])) for a, b in softmax]
    if any((value >= 0).any() for _, value in cells):
        factor = softmax_slope(cells)
        for a, b in softmax:
            slope[a:b] = factor
    return slope, offset


def of_classifier(
    logits: np.ndarray,
    labels: np.ndarray,
    fitted: np.ndarray,
    learnable: np.ndarray,
    softmax: Sequence[tuple[int, int]] = (),
    balance: np.ndarray | float = 0.0,
) -> tuple[Floats, Floats]:
    """Slopes and offsets [A] that make a classifier's logits its answer: `shared`, and the
    prevalence of attributes that are not learnable, whatever the picture.

    Parameters
    ----------
    logits, labels : see `shared`; fitted : [N, A] the labels that it was fitted on.
    learnable : bool [A], the same for all columns of an attribute.
    balance : one or [A], what the loss added to the logits by weighing one class more.
    """
    judged = np.where(learnable, labels, np.nan)
    slope, offset = shared(logits - balance, judged, softmax)
    offset -= slope * balance
    guess = ~np.asarray(learnable)
    slope[guess] = 0.0
    offset[guess] = prevalence_logits(fitted, softmax)[guess]
    return slope, offset


def prevalence_logits(labels: np.ndarray, softmax: Sequence[tuple[int, int]] = ()) -> Floats:
    """Logits [A] that say the prevalence among the known cells of [N, A], one cell added to each
    class or value."""
    out = np.array([log_odds(y[~np.isnan(y)]) for y in labels.T], dtype=np.float64)
    for start, stop in softmax:
        counts = np.nansum(labels[:, start:stop], axis=0) + 1
        out[start:stop] = np.log(counts / counts.sum())
    return out


def softmax_slope(cells: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """The factor of logits [n, V] of least log-loss on the values [n], -1 and -2 left out; within
    e^-3 and e^3, one cell's worth of penalty holding it near 1."""

    def loss(power: float) -> float:
        total = 0.5 * power**2
        for logits, value in cells:
            rows = np.flatnonzero(value >= 0)
            z = np.exp(power) * np.asarray(logits[rows], dtype=np.float64)
            total += float(np.sum(logsumexp(z, axis=1) - z[np.arange(len(rows)), value[rows]]))
        return total

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def cross_calibrate(
    logits: np.ndarray, labels: np.ndarray, fold: np.ndarray, method: str = "platt"
) -> Floats:
    """Calibrated probabilities [n] of known cells, each by a calibrator fitted without its fold."""
    out = np.empty(len(logits), dtype=np.float64)
    for k in np.unique(fold):
        held_out = fold == k
        out[held_out] = fit(method, logits[~held_out], labels[~held_out])(logits[held_out])
    return out


def select(
    logits: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    methods: Sequence[str] = tuple(METHODS),
) -> tuple[str, dict[str, float]]:
    """The method for a table, and the mean held-out log-loss of each.

    The simplest method within one standard error of the best (Breiman et al. 1984): the differences
    are small and a flexible calibrator that wins by chance does harm elsewhere.

    Parameters
    ----------
    logits, labels : [N, A] out-of-fold logits and labels with NaN for unknown.
    fold : [N], -1 outside training.
    methods : those to choose from, the simplest first.
    """
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    losses: dict[str, Floats] = {}
    for method in methods:
        if method == "isotonic" and known.sum(axis=0).max(initial=0) < FEW:
            continue
        parts = []
        for a in np.flatnonzero(known.any(axis=0)):
            cells = known[:, a]
            y = labels[cells, a]
            parts.append(log_loss(cross_calibrate(logits[cells, a], y, fold[cells], method), y))
        losses[method] = np.concatenate(parts) if parts else np.zeros(0)
    means = {method: float(loss.mean()) if len(loss) else 0.0 for method, loss in losses.items()}
    best = min(means, key=means.__getitem__)
    for method, loss in losses.items():
        gap = loss - losses[best]
        if len(gap) < 2 or gap.mean() <= gap.std(ddof=1) / np.sqrt(len(gap)):
            return method, means
    return best, means


def shift_to(probability: np.ndarray, share: float) -> float:
    """How far probabilities [n] have to move on the log-odds scale for their mean to be ``share``.

    For a prevalence that the user knows (Saerens et al. 2002, Neural Computation 14:21).
    """
    z = logit(probability, bound=30.0)
    # A share of 0 or 1 is out of reach: as near as the bracket lets it come.
    least, most = expit(z - 60).mean(), expit(z + 59).mean()
    found = brentq(
        lambda shift: expit(z + shift).mean() - np.clip(share, least, most), -60, 60, xtol=1e-15
    )
    return float(found)


def shifted(probability: np.ndarray, shift: float) -> Floats:
    """Probabilities of any shape moved by ``shift`` on the log-odds scale."""
    return np.asarray(expit(logit(probability, bound=30.0) + shift))


def _logistic(x: np.ndarray, labels: np.ndarray, start: np.ndarray, free: int = 0) -> Floats:
    """Coefficients of a logistic regression on ``x`` [d, n]; all but the last ``free`` from 0 up.

    Against Platt's smoothed targets; a score that points the wrong way is noise by construction,
    so its slope stops at 0. A hair of penalty towards ``start`` keeps separable labels finite.
    """
    positive = float((labels == 1).sum())
    target = np.where(
        labels == 1, (positive + 1) / (positive + 2), 1 / (len(labels) - positive + 2)
    )

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        z = theta @ x
        residual = expit(z) - target
        away = theta - start
        value = np.sum(np.logaddexp(0, z) - target * z) + 0.05 * away @ away
        return float(value), x @ residual + 0.1 * away

    bounds = [(0.0, None)] * (len(start) - free) + [(None, None)] * free
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(result.x)
