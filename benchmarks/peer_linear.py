"""Peers with a logistic regression per attribute, from scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""C of the penalty on standardised features."""
ROUNDS = 3
CONFIDENCE = 0.95

Model = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Features [N, C] and one attribute's labels [N] -> probability [N]."""


def per_attribute(features: np.ndarray, labels: np.ndarray, model: Model) -> np.ndarray:
    """``model`` on every column of ``labels`` [N, A]; a column without both classes is constant."""
    probability = np.empty(labels.shape)
    for a in range(labels.shape[1]):
        y = labels[:, a]
        known = y[~np.isnan(y)]
        if len(np.unique(known)) < 2:
            probability[:, a] = known.mean() if len(known) else 0.5
        else:
            probability[:, a] = model(features, y)
    return probability


def regression(
    features: np.ndarray, labels: np.ndarray, strengths: Sequence[float], *, balanced: bool
) -> list[np.ndarray]:
    """A logistic regression on the known labels for each strength.

    Parameters
    ----------
    features : [N, C], standardised.
    labels : [N, A] of 1, 0 and NaN.
    balanced : weigh the classes so that both count the same.

    Returns
    -------
    Probability [N, A] per strength.
    """
    return [
        per_attribute(features, labels, partial(predicted, strength=c, balanced=balanced))
        for c in strengths
    ]


def predicted(features: np.ndarray, y: np.ndarray, strength: float, balanced: bool) -> np.ndarray:
    """Probability [N] of every image after a fit on those whose label ``y`` [N] is known."""
    rows = np.flatnonzero(~np.isnan(y))
    train, everything = _rotated(features, rows)
    model = classifier(strength, balanced).fit(train, y[rows])
    return np.asarray(model.predict_proba(everything)[:, 1])


def _rotated(features: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of ``rows`` and of all images, in fewer dimensions where few rows are known.

    Exact: the weights of a regression with an L2 penalty lie in the span of its samples, so that
    nothing is lost by writing all features in an orthonormal basis of it.
    """
    train = features[rows]
    if len(rows) >= features.shape[1] / 2:
        return train, features
    basis, _ = np.linalg.qr(train.T)
    return train @ basis, features @ basis


def classifier(strength: float, balanced: bool) -> LogisticRegression:
    """A regression that is not fitted yet."""
    weight = "balanced" if balanced else None
    return LogisticRegression(C=strength, class_weight=weight, solver="lbfgs", max_iter=1000)


def hard_self_training(
    features: np.ndarray, labels: np.ndarray, strengths: Sequence[float]
) -> list[np.ndarray]:
    """`regression`, balanced, then `ROUNDS` more fits with confident cells as if they were known.

    The pseudo-labels (probability of a class at least `CONFIDENCE`) are drawn anew every round,
    each from fresh weights (Lee 2013, ICML workshop; Scudder 1965).
    """
    found = []
    for strength in strengths:
        probability = regression(features, labels, [strength], balanced=True)[0]
        for _ in range(ROUNDS):
            sure = np.where(probability >= CONFIDENCE, 1.0, np.nan)
            sure = np.where(probability <= 1 - CONFIDENCE, 0.0, sure)
            completed = np.where(np.isnan(labels), sure, labels)
            probability = regression(features, completed, [strength], balanced=True)[0]
        found.append(probability)
    return found


def self_training(
    features: np.ndarray, labels: np.ndarray, settings: Sequence[tuple[float, float]]
) -> list[np.ndarray]:
    """scikit-learn's SelfTrainingClassifier (Yarowsky 1995) for each (C, threshold)."""

    def model(x: np.ndarray, y: np.ndarray, strength: float, threshold: float) -> np.ndarray:
        chain = SelfTrainingClassifier(classifier(strength, False), threshold=threshold)
        marked = np.where(np.isnan(y), -1, y).astype(int)  # its sign for unlabelled
        return np.asarray(chain.fit(x, marked).predict_proba(x)[:, 1])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="y contains no unlabeled samples")
        return [
            per_attribute(features, labels, partial(model, strength=strength, threshold=threshold))
            for strength, threshold in settings
        ]
