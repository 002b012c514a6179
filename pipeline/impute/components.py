"""Principal components of features: what the fast image models work on.

Those of a large table lie in a file, and whoever needs them reads the rows asked for: models are
fitted on a bounded number of rows and score the others block by block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from pipeline.npy import RowFile, RowWriter

MOST = 400
"""Components kept at most."""
BASIS = 2500
"""Images at most from which the components are computed."""
IN_MEMORY = 20_000
"""Images up to which the components of a table are an array in memory."""
BLOCK = 8192
"""Rows that are scored at a time."""


class Matrix(Protocol):
    """Features [N, D], an array or something that reads the rows asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102 - as an array's
    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> np.ndarray: ...


class OnDisk:
    """A matrix in a .npy file; another process opens the file anew."""

    def __init__(self, path: Path):
        self._path, self._file = path, RowFile(path)
        self.shape: tuple[int, ...] = self._file.shape

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, index: Any, /) -> np.ndarray:
        if isinstance(index, slice) or np.asarray(index).dtype == bool:
            index = np.arange(len(self))[index]
        return self._file.take(index)

    def __reduce__(self) -> tuple[type[OnDisk], tuple[Path]]:
        return OnDisk, (self._path,)


def in_blocks(
    function: Callable[[np.ndarray], np.ndarray], matrix: Matrix, rows: np.ndarray | None = None
) -> np.ndarray:
    """``function`` of `BLOCK` rows [n, D] after another, its results [n, ...] joined.

    Parameters
    ----------
    rows : which; all of them where None.
    """
    chosen = np.arange(len(matrix)) if rows is None else rows
    starts = range(0, max(len(chosen), 1), BLOCK)
    return np.concatenate([function(matrix[chosen[start : start + BLOCK]]) for start in starts])


@dataclass(frozen=True)
class Projection:
    """Standardised features onto their principal axes.

    mean, scale : [D] of the channels; alive : bool [D], False where a channel never varies.
    pca : fitted to the standardised features.
    """

    mean: np.ndarray
    scale: np.ndarray
    alive: np.ndarray
    pca: Any

    @property
    def width(self) -> int:
        """d."""
        return int(self.pca.n_components_)

    def __call__(self, block: np.ndarray) -> npt.NDArray[np.float32]:
        """Scores float32 [n, d] of features [n, D]."""
        block = np.asarray(block, dtype=np.float32)
        standard = np.where(self.alive, (block - self.mean) / self.scale, 0.0)
        return np.asarray(self.pca.transform(standard), np.float32)

    def on_features(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights float64 [D, A] and offsets [A] on the features themselves of a model that has
        ``weights`` [d, A] on their scores."""
        standard = self.pca.components_.T.astype(np.float64) @ weights
        own = np.where(self.alive, 1 / self.scale.astype(np.float64), 0.0)[:, None] * standard
        offset = -self.mean.astype(np.float64) @ own
        return own, offset - self.pca.mean_.astype(np.float64) @ standard


def project(
    features: Matrix, training: np.ndarray, seed: int = 0, most: int = MOST
) -> Projection | None:
    """The projection that training images give; None where none of their channels varies.

    Parameters
    ----------
    features : [N, D] real; a channel that is constant in training is left out.
    training : [N] bool, the images that may shape the basis.
    """
    rows = np.flatnonzero(training)
    if len(rows) > BASIS:
        rows = np.sort(np.random.default_rng([seed, len(rows)]).choice(rows, BASIS, replace=False))
    basis = np.asarray(features[rows], dtype=np.float32)
    mean, spread = basis.mean(axis=0), basis.std(axis=0)
    alive = spread > 1e-6
    keep = min(most, len(rows) - 1, int(alive.sum()))
    if keep < 1:
        return None
    scale = np.where(alive, spread, 1.0)
    solver = "covariance_eigh" if basis.shape[1] <= 2 * len(rows) else "randomized"
    if keep >= min(basis.shape) / 2 and solver == "randomized":
        solver = "full"
    pca = PCA(keep, svd_solver=solver, random_state=seed)
    pca.fit(np.where(alive, (basis - mean) / scale, 0.0))
    return Projection(mean, scale, alive, pca)


def components(
    features: Matrix,
    training: np.ndarray,
    seed: int = 0,
    most: int = MOST,
    file: Path | None = None,
) -> Matrix:
    """float32 [N, d] scores of the standardised features, d at most ``most``.

    Channels are standardised and the basis computed on training images; the scores keep their
    variance, so that a penalty on a model's weights weighs as in the standardised features.

    Parameters
    ----------
    features, training : as of `project`.
    file : where the scores of more than `IN_MEMORY` images go; None keeps them in memory.
    """
    scores = project(features, training, seed, most)
    if scores is None:
        return np.zeros((len(features), 1), dtype=np.float32)
    return projected(features, scores, file)


def projected(features: Matrix, scores: Projection, file: Path | None = None) -> Matrix:
    """Scores float32 [N, d] of ``features`` [N, D], in ``file`` where they are too many."""
    starts = range(0, len(features), BASIS)
    if file is None or len(features) <= IN_MEMORY:
        return np.concatenate([scores(features[start : start + BASIS]) for start in starts])
    with RowWriter(file, (len(features), scores.width), np.float32) as writer:
        for start in starts:
            writer.append(scores(features[start : start + BASIS]))
    return OnDisk(file)
