"""Cached features as matrices [N, D], one row per image: what the fast models read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.features.store import FeatureStore, block_means


class MeanOfViews:
    """A store's pooled features averaged over views, a matrix [N, C] read a block at a time.

    Parameters
    ----------
    views : of the first so many, all where None; 1 is the plain view alone.
    """

    def __init__(self, store: FeatureStore, rows: np.ndarray, views: int | None = None):
        self._store, self._rows = store, np.asarray(rows)
        self._views = views or store.views
        self.shape = (len(rows), store.map_shape[-1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray | slice) -> npt.NDArray[np.float32]:
        """float32 [n, C] of the rows asked for."""
        rows = self._rows[index]
        total = self._store.pooled(rows, 0).astype(np.float32)
        for view in range(1, self._views):
            total += self._store.pooled(rows, view)
        return np.asarray(total / np.float32(self._views))


class Grid:
    """The maps of a store's rows as a matrix [N, g], read a block of rows at a time.

    A map is averaged over blocks of positions until it has at most ``most`` in height and width.
    """

    def __init__(self, store: FeatureStore, rows: np.ndarray, most: int = 4):
        self._store, self._rows = store, np.asarray(rows)
        height, width, channels = store.map_shape
        self._most = most
        self.shape = (len(rows), min(height, most) * min(width, most) * channels)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray | slice) -> npt.NDArray[np.float32]:
        """float32 [n, g] of the rows asked for."""
        maps: np.ndarray = self._store.maps(self._rows[index]).astype(np.float32)
        return block_means(maps, self._most).reshape(len(maps), -1).astype(np.float32)
