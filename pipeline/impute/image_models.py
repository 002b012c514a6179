"""Scores of each attribute from the picture alone: the first floor of the imputation.

Logistic regression on principal components of cached features, at several strengths of its penalty;
ridge regression, which ranks better where a class has a dozen labels; neighbours in feature space;
and labels spread over the graph of neighbours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestNeighbors

from pipeline.impute.crossfitting import (
    MOST_FITTED,
    fold_count,
    log_odds,
    logit,
    some,
)

PENALTIES = (3e-4, 3e-3, 3e-2, 3e-1)
"""Inverse strengths C of the ridge penalty, from strong to weak."""
RIDGE = 100.0
"""Penalty of the ridge regression."""
NEIGHBOURS = 15
MOST_NODES = 50_000
"""Images at most that can be neighbours: the search takes images times nodes."""
SPREAD = 0.5
"""How much of a label's weight goes on to its neighbours, alpha of Zhou et al. 2004."""
Logits = npt.NDArray[np.float64]


def logistic_path(
    components: np.ndarray, labels: np.ndarray, fold: np.ndarray
) -> npt.NDArray[np.float32]:
    """Logits [C, K + 1, N] of one attribute at each of `PENALTIES`: of the model without fold k for
    k below K, then of the model of all known training labels, fitted on the labels as they are.

    Parameters
    ----------
    components : [N, d], see `pipeline.impute.components`.
    labels, fold : [N], as in `pipeline.impute.crossfitting.cross_fit`.
    """
    folds = fold_count(fold)
    left_out = [*((k,) for k in range(folds)), ()]
    return np.stack(
        [
            np.stack([_logistic(components, labels, fold, without, c) for without in left_out])
            for c in PENALTIES
        ]
    )


def logistic_worlds(
    components: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    inverse_penalty: float,
    without_one: np.ndarray,
) -> Logits:
    """Logits [K + 1, N] of one attribute in every world.

    In each world, known training cells are scored by the model without their fold, all other cells
    by the model of the whole world. A model without folds j and k serves worlds j and k.

    Parameters
    ----------
    inverse_penalty, without_one : one of `PENALTIES`, and [K + 1, N] of `logistic_path` for it.
    """

    def score(without: tuple[int, ...]) -> np.ndarray:
        return _logistic(components, labels, fold, without, inverse_penalty)

    return _worlds(score, labels, fold, without_one)


def ridge_worlds(components: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> Logits:
    """The same of ridge regression on 0 and 1, which is a linear discriminant: its distance from
    the prevalence p is scaled by 1 / (p (1 - p)) to log-odds."""

    def score(without: tuple[int, ...]) -> Logits:
        fitted, centre = _fitted(labels, fold, without)
        y = labels[fitted]
        if len(np.unique(y)) < 2:
            return np.full(len(labels), centre)
        share = float(np.mean(y))
        model = Ridge(alpha=RIDGE).fit(components[fitted], y)
        away = model.predict(components).astype(np.float64) - share
        return np.asarray(np.clip(centre + away / (share * (1 - share)), -12, 12))

    alone = [score((k,)) for k in range(fold_count(fold))]
    return _worlds(score, labels, fold, np.stack([*alone, score(())]))


def _worlds(
    score: Callable[[tuple[int, ...]], np.ndarray],
    labels: np.ndarray,
    fold: np.ndarray,
    without_one: np.ndarray,
) -> Logits:
    """Logits [K + 1, N] in every world; ``score`` gives those of the model without some folds."""
    folds = fold_count(fold)
    known = ~np.isnan(labels) & (fold >= 0)
    out = np.array(without_one, dtype=np.float64)
    for j in range(folds):
        own = known & (fold == j)
        out[folds, own] = without_one[j, own]
        for k in range(j):
            pair = score((j, k))
            other = known & (fold == k)
            out[j, other], out[k, own] = pair[other], pair[own]
    return out


def _fitted(
    labels: np.ndarray, fold: np.ndarray, without: tuple[int, ...]
) -> tuple[np.ndarray, float]:
    """Rows of known training labels outside the folds ``without``, in a large table some of them,
    and the log-odds of all."""
    rows = np.flatnonzero(~np.isnan(labels) & (fold >= 0) & ~np.isin(fold, without))
    return some(rows, labels[rows]), log_odds(labels[rows])


def _logistic(
    components: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    without: tuple[int, ...],
    inverse_penalty: float,
) -> npt.NDArray[np.float32]:
    """Logits [N] of the model of known training labels outside the folds ``without``."""
    fitted, centre = _fitted(labels, fold, without)
    if len(np.unique(labels[fitted])) < 2:
        return np.full(len(labels), centre, dtype=np.float32)
    model = LogisticRegression(C=inverse_penalty, max_iter=300, tol=1e-3)
    model.fit(components[fitted], labels[fitted])
    shift = centre - log_odds(labels[fitted])
    return np.asarray(model.decision_function(components) + shift, dtype=np.float32)


def logistic_by_fold(
    components: np.ndarray,
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
        model = LogisticRegression(C=inverse_penalty, max_iter=300, tol=1e-3)
        model.fit(components[fitted], targets[fitted])
        shift = log_odds(targets[candidates]) - log_odds(targets[fitted])
        out[k, unseen] = model.decision_function(components[unseen]) + shift
    return out


class Graph:
    """The nearest training images of each image, by the cosine of their components.

    Parameters
    ----------
    components : [N, d].
    training : [N] bool; only training images are neighbours, since only their labels may be used.
    """

    def __init__(self, components: np.ndarray, training: np.ndarray, neighbours: int = NEIGHBOURS):
        norm = np.linalg.norm(components, axis=1, keepdims=True)
        unit = components / np.maximum(norm, 1e-12)
        pool = np.flatnonzero(training)
        if len(pool) > MOST_NODES:
            rng = np.random.default_rng(len(pool))
            pool = np.sort(rng.choice(pool, MOST_NODES, replace=False))
        k = min(neighbours + 1, len(pool))
        near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(unit[pool])
        distance, index = near.kneighbors(unit)
        rows, others = np.repeat(np.arange(len(unit)), k), pool[index.ravel()]
        # Unit vectors: half the squared distance is 1 - cosine.
        weight = np.exp(-5 * distance.ravel() ** 2).astype(np.float64)
        weight[rows == others] = 0.0
        shape = (len(unit), len(unit))
        self.weights = sparse.csr_array((weight, (rows, others)), shape=shape)

    def neighbours(self, labels: np.ndarray, fold: np.ndarray) -> Logits:
        """Logits [N, A] of the share of positives among an image's known neighbours.

        Labels of an image's own fold are not asked.
        """
        return self._by_fold(labels, fold, self._vote)

    def spread(self, labels: np.ndarray, fold: np.ndarray) -> Logits:
        """Logits [N, A] after labels spread over the graph (Zhou et al. 2004, Learning with local
        and global consistency, NIPS), each cell without the labels of its fold."""
        return self._by_fold(labels, fold, self._propagate)

    def _by_fold(
        self,
        labels: np.ndarray,
        fold: np.ndarray,
        method: Callable[[np.ndarray, np.ndarray], Logits],
    ) -> Logits:
        known = ~np.isnan(labels) & (fold >= 0)[:, None]
        out = method(labels, known)
        for k in np.unique(fold[fold >= 0]):
            inside = fold == k
            part = method(labels, known & ~inside[:, None])
            own = known & inside[:, None]
            out[own] = part[own]
        return out

    def _vote(self, labels: np.ndarray, known: np.ndarray) -> Logits:
        return self._share(self.weights, labels, known)

    def _share(self, weights: sparse.csr_array, labels: np.ndarray, known: np.ndarray) -> Logits:
        value = np.where(known, np.nan_to_num(labels), 0.0)
        prevalence = (value.sum(axis=0) + 1) / (known.sum(axis=0) + 2)
        mass = weights @ known.astype(np.float64)
        return logit((weights @ value + 0.1 * prevalence) / (mass + 0.1))

    def _propagate(self, labels: np.ndarray, known: np.ndarray, rounds: int = 20) -> Logits:
        graph = self.weights + self.weights.T
        degree = np.sqrt(np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-12))
        graph = sparse.diags_array(1 / degree) @ graph @ sparse.diags_array(1 / degree)
        value = np.where(known, np.nan_to_num(labels), 0.0)
        start = np.hstack([value, known - value])
        mass = start
        for _ in range(rounds):
            mass = SPREAD * (graph @ mass) + (1 - SPREAD) * start
        positive, negative = np.hsplit(mass, 2)
        prevalence = (value.sum(axis=0) + 1) / (known.sum(axis=0) + 2)
        return logit((positive + 0.01 * prevalence) / (positive + negative + 0.01))
