"""Scores of each attribute from the labels of the most similar pictures.

The votes of an image's neighbours in feature space, and labels spread over the graph of neighbours.

Spreading is by hand: scikit-learn's `LabelSpreading` builds its graph anew in each fit, of one
column; here one graph serves all attributes, whose unknown cells differ, and all folds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from pipeline.impute.components import BLOCK, Matrix, in_blocks
from pipeline.impute.cross_fitting import logit
from pipeline.training.voting import NEIGHBOURS, PRIOR, SHARPNESS

MOST_NODES = 50_000
"""Images at most that can be neighbours: the search takes images times nodes."""
SPREAD = 0.5
"""How much of a label's weight goes on to its neighbours, alpha of Zhou et al. 2004."""
Logits = npt.NDArray[np.float64]


def unit(rows: np.ndarray) -> np.ndarray:
    """``rows`` [n, d] at length 1."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12))


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images of each image, by the cosine of their components.

    weights : [N, N], row i those of image i's neighbours, 1 for one that looks exactly alike.
    pool : rows of the images that can be neighbours.
    """

    weights: sparse.csr_array
    pool: npt.NDArray[np.intp]

    @classmethod
    def of(
        cls,
        components: Matrix,
        training: np.ndarray,
        neighbours: int = NEIGHBOURS,
        most: int = MOST_NODES,
    ) -> Neighbours:
        """Seek the neighbours.

        Parameters
        ----------
        components : [N, d].
        training
            [N] bool; only training images are neighbours, since only their labels may be used.
        most : images at most that can be neighbours, else a sample of them.
        """
        pool = np.flatnonzero(training)
        if len(pool) > most:
            rng = np.random.default_rng(len(pool))
            pool = np.sort(rng.choice(pool, most, replace=False))
        k = min(neighbours + 1, len(pool))
        near = NearestNeighbors(n_neighbors=k, algorithm="brute")
        near.fit(in_blocks(unit, components, pool))
        size = len(components)
        weight, others = np.empty((size, k)), np.empty((size, k), dtype=np.int32)
        for start in range(0, size, BLOCK):
            rows = np.arange(start, min(start + BLOCK, size))
            distance, index = near.kneighbors(unit(components[rows]))
            # Unit vectors: half the squared distance is 1 - cosine.
            weight[rows] = np.exp(-SHARPNESS * distance**2)
            others[rows] = pool[index]
        weight[others == np.arange(size)[:, None]] = 0.0
        ends = np.arange(0, size * k + 1, k)
        weights = sparse.csr_array((weight.ravel(), others.ravel(), ends), (size, size))
        return cls(weights.sorted_indices(), pool)

    def neighbours(self, labels: np.ndarray, fold: np.ndarray) -> Logits:
        """Logits [N, A] of the share of positives among an image's known neighbours.

        Labels of an image's own fold are not asked.
        """
        return self._by_fold(labels, fold, self._vote)

    def spread(self, labels: np.ndarray, fold: np.ndarray) -> Logits:
        """Logits [N, A] after labels spread over the graph (Zhou et al. 2004, Learning with local
        and global consistency, NIPS), each cell without the labels of its fold."""
        return self._by_fold(labels, fold, self._propagate)

    def votes(self, targets: np.ndarray, weights: np.ndarray) -> Logits:
        """Logits [N, A] of the share of positives among an image's neighbours.

        Parameters
        ----------
        targets, weights
            [N, A], both from 0 to 1: what a neighbour says, and how far it is to be believed.
        """
        value = weights * targets
        positive, mass = self.weights @ value, self.weights @ weights
        return logit((positive + PRIOR * prior(value, weights)) / (mass + PRIOR))

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
        return self.votes(np.nan_to_num(labels), known.astype(np.float64))

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
        prevalence = prior(value, known)
        return logit((positive + 0.01 * prevalence) / (positive + negative + 0.01))


def prior(value: np.ndarray, weights: np.ndarray) -> Logits:
    """Share [A] of positives among ``weights`` [n, A], of which ``value`` is positive; one added to
    each class."""
    return np.asarray((value.sum(axis=0) + 1) / (weights.sum(axis=0) + 2), dtype=np.float64)
