"""Logits into calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True)
class Platt:
    """probability = sigmoid(slope * logit + offset)."""

    slope: float
    offset: float

    def __call__(self, logits: np.ndarray) -> npt.NDArray[np.float64]:
        """Probabilities of the shape of ``logits``."""
        z = self.slope * np.asarray(logits, dtype=np.float64) + self.offset
        return np.asarray(expit(z))


def fit_platt(logits: np.ndarray, labels: np.ndarray) -> Platt:
    """Platt scaling with Platt's smoothed targets (Platt 1999, Advances in Large Margin
    Classifiers).

    The logits must come from models that have not seen the labels. A slope below zero, a score
    that points the wrong way, is noise by construction: the prevalence is returned for every logit.

    Parameters
    ----------
    logits : [n]; labels : [n], 0 and 1, none unknown. With one class only, or no label at all, the
        probability is the smoothed prevalence.
    """
    labels = np.asarray(labels)
    positive = int((labels == 1).sum())
    negative = len(labels) - positive
    prevalence = Platt(0.0, float(np.log((positive + 1) / (negative + 1))))
    if not positive or not negative:
        return prevalence
    target_of_positive = (positive + 1) / (positive + 2)
    target_of_negative = 1 / (negative + 2)
    soft = np.where(labels == 1, target_of_positive, target_of_negative)
    # A soft target is a pair of weighted hard ones.
    x = np.r_[logits, logits].reshape(-1, 1).astype(np.float64)
    scale = float(x.std()) or 1.0
    y = np.r_[np.ones(len(soft)), np.zeros(len(soft))]
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(x / scale, y, sample_weight=np.r_[soft, 1 - soft])
    slope = float(model.coef_[0, 0]) / scale
    return Platt(slope, float(model.intercept_[0])) if slope > 0 else prevalence


def cross_calibrate(
    logits: np.ndarray, labels: np.ndarray, fold: np.ndarray
) -> npt.NDArray[np.float64]:
    """Calibrated probabilities of known cells, each by a calibrator fitted without its fold.

    Parameters
    ----------
    logits, labels, fold : [n]; out-of-fold logits, 0/1 labels, fold numbers.
    """
    out = np.empty(len(logits), dtype=np.float64)
    for k in np.unique(fold):
        held_out = fold == k
        out[held_out] = fit_platt(logits[~held_out], labels[~held_out])(logits[held_out])
    return out


def log_loss(probability: np.ndarray, labels: np.ndarray) -> npt.NDArray[np.float64]:
    """Negative log-likelihood of each label, [n], probabilities kept 1e-12 away from 0 and 1."""
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return -np.log(np.where(labels == 1, p, 1 - p))
