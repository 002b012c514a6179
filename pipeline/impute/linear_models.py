"""Scores of each attribute from the picture alone, by models linear in its components.

Logistic regression, and ridge regression, which ranks better where a class has a dozen labels; each
at several strengths of its penalty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression, Ridge

from pipeline.impute.components import Matrix, in_blocks
from pipeline.impute.cross_fitting import MOST_FITTED, fold_count, log_odds, some

PENALTIES = {
    "logistic": (3e-4, 3e-3, 3e-2, 3e-1),
    "ridge": (1e5, 1e4, 1e3, 1e2),
}
"""From strong to weak: inverse strengths C of the logistic regression's penalty on its weights, and
the alpha of the ridge regression's."""
Logits = npt.NDArray[np.float64]


def path(
    model: str, components: Matrix, labels: np.ndarray, fold: np.ndarray
) -> npt.NDArray[np.float32]:
    """Logits [C, K + 1, N] of one attribute at each of the model's `PENALTIES`: of the fit without
    fold k for k below K, then of the fit to all known training labels, as they are.

    Parameters
    ----------
    model : of `PENALTIES`.
    components : [N, d], see `pipeline.impute.components`.
    labels, fold : [N], as in `pipeline.impute.cross_fitting.cross_fit`.
    """
    left_out = [*((k,) for k in range(fold_count(fold))), ()]
    scores = [_score(model, components, labels, fold, one, PENALTIES[model]) for one in left_out]
    return np.stack(scores, axis=1)


def refits(
    model: str,
    components: Matrix,
    labels: np.ndarray,
    fold: np.ndarray,
    penalty: float,
    without_one: np.ndarray,
) -> npt.NDArray[np.float32]:
    """Logits [K + 1, N] of one attribute in every refit.

    Refit k has no label of fold k: known training cells are scored by the fit that also lacks their
    own fold, all other cells by the fit to all its labels. A fit without folds j and k serves
    refits j and k.

    Parameters
    ----------
    penalty, without_one : one of the model's `PENALTIES`, and [K + 1, N] of `path` for it.
    """
    folds = fold_count(fold)
    known = ~np.isnan(labels) & (fold >= 0)
    out = np.array(without_one, dtype=np.float32)
    for j in range(folds):
        own = known & (fold == j)
        out[folds, own] = without_one[j, own]
        for k in range(j):
            pair = _score(model, components, labels, fold, (j, k), (penalty,))[0]
            other = known & (fold == k)
            out[j, other], out[k, own] = pair[other], pair[own]
    return out


def _score(
    model: str,
    components: Matrix,
    labels: np.ndarray,
    fold: np.ndarray,
    without: Sequence[int],
    penalties: Sequence[float],
) -> npt.NDArray[np.float32]:
    """Logits [C, N] of the fits, at each penalty, to known training labels outside ``without``."""
    rows = np.flatnonzero(~np.isnan(labels) & (fold >= 0) & ~np.isin(fold, without))
    centre = log_odds(labels[rows])
    # In a large table some of the labels, the log-odds of all.
    fitted = some(rows, labels[rows])
    x, y = components[fitted], labels[fitted]
    if len(np.unique(y)) < 2:
        return np.full((len(penalties), len(labels)), centre, dtype=np.float32)
    kind = _logistic if model == "logistic" else Ridge
    fits = [kind(penalty).fit(x, y) for penalty in penalties]

    def logits(block: np.ndarray) -> np.ndarray:
        if model == "logistic":
            found = [fit.decision_function(block) + centre - log_odds(y) for fit in fits]
            return np.stack(found, axis=1).astype(np.float32)
        # On 0 and 1 a linear discriminant: its distance from the prevalence p, scaled to log-odds.
        share = float(np.mean(y))
        values = np.stack([fit.predict(block) for fit in fits], axis=1).astype(np.float64)
        away = (values - share) / (share * (1 - share))
        return np.clip(centre + away, -12, 12).astype(np.float32)

    return in_blocks(logits, components).T


def _logistic(penalty: float) -> LogisticRegression:
    return LogisticRegression(C=penalty, max_iter=300, tol=1e-3)


def logistic_by_fold(
    components: Matrix,
    labels: np.ndarray,
    fold: np.ndarray,
    inverse_penalty: float,
    pseudo: np.ndarray,
) -> Logits:
    """Logits [K, N] of one model per fold, fitted on known and pseudo-labelled cells outside it.

    NaN where a model was fitted on the image.

    Parameters
    ----------
    pseudo : [K, N] of 1, 0 and NaN; what joins the training of model k.
    """
    out = np.full(pseudo.shape, np.nan)
    for k in range(len(pseudo)):
        targets = np.where(np.isnan(labels), pseudo[k], labels)
        candidates = np.flatnonzero((fold >= 0) & (fold != k) & ~np.isnan(targets))
        # Real labels first: pseudo-labels have what room they leave.
        own = candidates[~np.isnan(labels[candidates])]
        others = np.setdiff1d(candidates, own)
        real = some(own, labels[own])
        joined = some(others, targets[others], max(0, MOST_FITTED - len(real)))
        fitted = np.sort(np.r_[real, joined])
        unseen = np.setdiff1d(np.arange(len(labels)), fitted)
        if len(np.unique(targets[fitted])) < 2:
            out[k, unseen] = log_odds(targets[fitted])
            continue
        model = _logistic(inverse_penalty).fit(components[fitted], targets[fitted])
        shift = log_odds(targets[candidates]) - log_odds(targets[fitted])
        out[k, unseen] = in_blocks(model.decision_function, components, unseen) + shift
    return out
