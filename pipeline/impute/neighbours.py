"""Scores of each attribute from the labels of the most similar pictures.

The votes of an image's neighbours in feature space, and labels spread over the graph of neighbours.

Spreading is by hand: scikit-learn's `LabelSpreading` builds its graph anew in each fit, of one
column; here one graph serves all attributes, whose unknown cells differ, and all folds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from pipeline.impute.components import BLOCK, Matrix, in_blocks
from pipeline.impute.cross_fitting import fold_count, logit
from pipeline.training.voting import NEIGHBOURS, PRIOR, SHARPNESS

MOST_NODES = 50_000
"""Images at most that can be neighbours: the search takes images times nodes."""
MANY = 4096
"""Training images from which on few components tell the nearest, see `compared`, and `smallest`
does not look at all."""
FEW = 128
"""Components by which these are compared. In a table of 20,000 neighbours by 128 or by 64 rank all
of its four attributes better than by all 400, in a half of the time."""
SPREAD, ROUNDS = 0.5, 20
"""How much of a label's weight goes on to its neighbours, alpha of Zhou et al. 2004; how often."""
SPREAD_PRIOR = 0.01
"""As `PRIOR`, where labels have spread."""
Logits = npt.NDArray[np.floating]


def unit(rows: np.ndarray) -> np.ndarray:
    """``rows`` [n, d] at length 1."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12))


def compared(images: int) -> int | None:
    """The components by which the images of a table with so many training images are compared:
    the first so many, None for all."""
    return None if images < MANY else FEW


def smallest(values: np.ndarray, k: int) -> npt.NDArray[np.intp]:
    """Columns [n, k] of the k smallest of each row [n, m], in any order; all where there are fewer.

    Of many, those are looked at that do not exceed the k-th smallest of the minima of groups.
    """
    size = values.shape[1]
    if size < MANY:
        return np.argpartition(values, min(k, size - 1), axis=1)[:, :k]
    groups = 16 * k
    minima = values[:, : size // groups * groups].reshape(len(values), -1, groups).min(axis=1)
    bound = np.partition(minima, k - 1, axis=1)[:, k - 1]
    row, column = np.nonzero(values <= bound[:, None])
    column = column[np.lexsort((values[row, column], row))]
    first = np.searchsorted(row, np.arange(len(values)))
    return np.asarray(column[first[:, None] + np.arange(k)])


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images of each image, by the cosine of their components.

    weights : float32 [N, N], row i those of image i's neighbours, 1 for one that looks exactly
        alike.
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
        width = compared(int(training.sum()))
        near = NearestNeighbors(n_neighbors=k, algorithm="brute")
        near.fit(in_blocks(lambda rows: unit(rows[:, :width]), components, pool))
        size = len(components)
        # In single precision: a large table's graph takes hundreds of megabytes.
        weight = np.empty((size, k), dtype=np.float32)
        others = np.empty((size, k), dtype=np.int32)
        for start in range(0, size, BLOCK):
            rows = np.arange(start, min(start + BLOCK, size))
            distance, index = near.kneighbors(unit(components[rows][:, :width]))
            # Unit vectors: half the squared distance is 1 - cosine.
            weight[rows] = np.exp(-SHARPNESS * distance**2)
            others[rows] = pool[index]
        weight[others == np.arange(size)[:, None]] = 0.0
        # As narrow as the numbers of images: of both SciPy takes the wider type.
        ends = np.arange(0, size * k + 1, k, dtype=np.int32 if size * k < 2**31 else np.int64)
        weights = sparse.csr_array((weight.ravel(), others.ravel(), ends), (size, size))
        return cls(weights.sorted_indices(), pool)

    def neighbours(self, labels: np.ndarray, fold: np.ndarray) -> Logits:
        """Logits float32 [K + 1, N, A], in every refit, of the share of positives among an image's
        known neighbours.

        Labels of an image's own fold are not asked.
        """
        return _in_every_refit(labels, fold, self._vote)

    def spread(self, labels: np.ndarray, fold: np.ndarray) -> Logits:
        """Logits float32 [K + 1, N, A], in every refit, after labels spread over the graph (Zhou et
        al. 2004, Learning with local and global consistency, NIPS), each cell without the labels of
        its fold."""
        return _in_every_refit(labels, fold, self._propagate)

    def votes(self, targets: np.ndarray, weights: np.ndarray) -> Logits:
        """Logits [N, A] of the share of positives among an image's neighbours.

        Parameters
        ----------
        targets, weights
            [N, A], both from 0 to 1: what a neighbour says, and how far it is to be believed.
        """
        value = np.asarray(weights * targets, dtype=np.float32)
        positive = self.weights @ value
        mass = self.weights @ np.asarray(weights, dtype=np.float32)
        return logit((positive + PRIOR * prior(value, weights)) / (mass + PRIOR))

    def spread_votes(
        self, targets: np.ndarray, weights: np.ndarray
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """``targets`` and ``weights``, both [N, A], of `votes`, after they have spread over the
        graph of the images that can be neighbours; 0 for all others.

        A new picture is no node of that graph: what its neighbours then say is its own score, as it
        would be if it were one and had no label (Bengio et al. 2006, Label propagation and
        quadratic criterion, in Semi-Supervised Learning, section 11.3).
        """
        graph, scale = self._training_graph
        own, believed = targets[self.pool], weights[self.pool]
        said = np.hstack([believed * own, believed * (1 - own)])
        mass = spread_over(graph, said.astype(np.float32))
        positive, negative = np.hsplit(mass * (scale * PRIOR / SPREAD_PRIOR)[:, None], 2)
        out = np.zeros((2, *weights.shape), dtype=np.float32)
        out[1, self.pool] = positive + negative
        out[0, self.pool] = positive / np.maximum(out[1, self.pool], 1e-12)
        return out[0], out[1]

    def _vote(self, labels: np.ndarray, known: np.ndarray) -> Logits:
        return self.votes(np.nan_to_num(labels), known)

    @cached_property
    def _graph(self) -> sparse.csr_array:
        return linked(self.weights)[0]

    @cached_property
    def _training_graph(self) -> tuple[sparse.csr_array, npt.NDArray[np.float32]]:
        return linked(self.weights[self.pool][:, self.pool])

    def _propagate(self, labels: np.ndarray, known: np.ndarray) -> Logits:
        value = np.where(known, np.nan_to_num(labels), 0.0).astype(np.float32)
        mass = spread_over(self._graph, np.hstack([value, known - value]))
        positive, negative = np.hsplit(mass, 2)
        prevalence = prior(value, known)
        return logit((positive + SPREAD_PRIOR * prevalence) / (positive + negative + SPREAD_PRIOR))


def linked(weights: sparse.csr_array) -> tuple[sparse.csr_array, npt.NDArray[np.float32]]:
    """Links both ways, [N, N], scaled by ``scale`` [N] of both images, of their degrees."""
    graph = weights + weights.T
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    scale = (1 / np.sqrt(np.maximum(degrees, 1e-12))).astype(np.float32)
    # In place, without a second graph.
    graph.data *= np.repeat(scale, np.diff(graph.indptr))
    graph.data *= scale[graph.indices]
    return graph, scale


def spread_over(graph: sparse.csr_array, start: np.ndarray) -> np.ndarray:
    """What of ``start`` [N, V] every image of a graph has in the end."""
    mass = start
    for _ in range(ROUNDS):
        mass = SPREAD * (graph @ mass) + (1 - SPREAD) * start
    return mass


def _in_every_refit(
    labels: np.ndarray, fold: np.ndarray, method: Callable[[np.ndarray, np.ndarray], Logits]
) -> Logits:
    """Logits float32 [K + 1, N, A] of ``method``, of labels and which of them may be asked; known
    training cells also without the labels of their own fold. What lacks folds j and k serves refits
    j and k."""
    known, folds = ~np.isnan(labels) & (fold >= 0)[:, None], fold_count(fold)

    def without(*left_out: int) -> Logits:
        return method(labels, known & ~np.isin(fold, left_out)[:, None])

    inside = [known & (fold == k)[:, None] for k in range(folds)]
    out = np.empty((folds + 1, *labels.shape), dtype=np.float32)
    for k in range(folds):
        out[k] = without(k)
    out[folds] = without()
    for j in range(folds):
        out[folds][inside[j]] = out[j][inside[j]]
        for k in range(j):
            pair = without(j, k)
            out[j][inside[k]], out[k][inside[j]] = pair[inside[k]], pair[inside[j]]
    return out


def prior(value: np.ndarray, weights: np.ndarray) -> npt.NDArray[np.float64]:
    """Share [A] of positives among ``weights`` [n, A], of which ``value`` is positive; one added to
    each class."""
    positive, mass = (np.sum(part, axis=0, dtype=np.float64) for part in (value, weights))
    return np.asarray((positive + 1) / (mass + 2))
