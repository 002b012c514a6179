"""The feature store: frozen features of every image and view, written in a stream, read in batches.

A store is a folder with, for each view v, ``map_v.npy`` (float16 [N, h, w, C], the spatial map that
convolutional heads need) and ``pooled_v.npy`` (float32 [N, C], its mean over h and w), beside
``index.csv`` (image, sha256; row i of the arrays is line i) and ``meta.json``. The arrays are never
read whole, only the rows asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import PipelineError
from pipeline.files import write_csv, write_json
from pipeline.npy import RowFile, RowWriter

FORMAT = 1
HALF_MAX = float(np.finfo(np.float16).max)


def bytes_needed(images: int, views: int, map_shape: Sequence[int]) -> int:
    """Size of a store in bytes."""
    h, w, channels = map_shape
    return images * views * (h * w * channels * 2 + channels * 4)


def stored(
    maps: np.ndarray, grid: int | None = None
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
    """What is kept of the network's output: the map in half precision, and its mean.

    Parameters
    ----------
    maps : [n, h, w, C], any float dtype.
    grid
        Where given, the map is averaged over blocks of positions until it has at most so many in
        height and width.

    Returns
    -------
    float16 [n, h', w', C] and float32 [n, C].
    """
    # float16 ends at 65,504; a larger activation is kept at that instead of becoming infinite.
    half = np.clip(maps, -HALF_MAX, HALF_MAX).astype(np.float16)
    # From the rounded values, so that maps and pooled features agree.
    pooled = half.astype(np.float32).mean(axis=(1, 2))
    if grid is not None:
        half = block_means(half.astype(np.float32), grid).astype(np.float16)
    return half, pooled


def reduced(
    maps: np.ndarray, grid: int | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """`stored` without rounding: what a head is given that reads no store.

    Half precision saves room, and other last bits in, as of another runtime or batch, come out of
    it a thousand times as large.
    """
    maps = np.clip(maps.astype(np.float32), -HALF_MAX, HALF_MAX)
    pooled = maps.mean(axis=(1, 2))
    return (maps if grid is None else block_means(maps, grid)), pooled


def reduced_in_graph(maps: Any, grid: int | None = None) -> tuple[Any, Any]:
    """`reduced` as operations of a TensorFlow graph, of float32 [n, h, w, C]."""
    import tensorflow as tf

    maps = tf.clip_by_value(maps, -HALF_MAX, HALF_MAX)
    pooled = tf.reduce_mean(maps, axis=(1, 2))
    for axis in () if grid is None else (1, 2):
        edges = [*block_edges(maps.shape[axis], grid or 1).tolist(), maps.shape[axis]]
        blocks = tf.split(maps, np.diff(edges).tolist(), axis=axis)
        means = [tf.reduce_mean(block, axis=axis, keepdims=True) for block in blocks]
        maps = tf.concat(means, axis=axis)
    return maps, pooled


def stored_shape(map_shape: Sequence[int], grid: int | None) -> tuple[int, int, int]:
    """(h', w', C) of what `stored` makes of maps (h, w, C)."""
    h, w, channels = map_shape
    return (h, w, channels) if grid is None else (min(h, grid), min(w, grid), channels)


def block_means(maps: np.ndarray, most: int) -> np.ndarray:
    """Means of maps [n, h, w, C] over blocks of positions, at most ``most`` by ``most`` of them."""
    for axis in (1, 2):
        if maps.shape[axis] <= most:
            continue
        edges = block_edges(maps.shape[axis], most)
        counts = np.diff(np.append(edges, maps.shape[axis]))
        shape = [1, 1, 1, 1]
        shape[axis] = len(counts)
        maps = np.add.reduceat(maps, edges, axis=axis) / counts.reshape(shape).astype(maps.dtype)
    return maps


def block_edges(length: int, most: int) -> npt.NDArray[np.intp]:
    """Where each of at most ``most`` blocks of about equal size starts."""
    blocks = min(length, most)
    return np.array([length * i // blocks for i in range(blocks)], dtype=np.intp)


class FeatureWriter:
    """Appends batches of consecutive rows; use it as a context manager."""

    def __init__(self, folder: str | Path, images: int, views: int, map_shape: Sequence[int]):
        self.folder = Path(folder)
        self.images = images
        self.views = views
        self.map_shape = tuple(int(n) for n in map_shape)
        self._files = ExitStack()
        self._maps: list[RowWriter] = []
        self._pooled: list[RowWriter] = []

    def __enter__(self) -> FeatureWriter:
        for view in range(self.views):
            shape = (self.images, *self.map_shape)
            self._maps.append(self._open(f"map_{view}.npy", shape, np.float16))
            pooled = (self.images, self.map_shape[-1])
            self._pooled.append(self._open(f"pooled_{view}.npy", pooled, np.float32))
        return self

    def _open(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> RowWriter:
        return self._files.enter_context(RowWriter(self.folder / name, shape, dtype))

    def append(self, view: int, maps: np.ndarray, pooled: np.ndarray) -> None:
        """Append the next n rows of ``view``, as `stored` gives them."""
        self._maps[view].append(maps)
        self._pooled[view].append(pooled)

    def finish(self, index: pd.DataFrame, meta: Mapping[str, Any]) -> None:
        """Write ``index`` (image, sha256) and ``meta`` once every row of every view is there."""
        rows = [file.rows for file in (*self._maps, *self._pooled)]
        if set(rows) != {self.images} or len(index) != self.images:
            raise ValueError(f"{rows} rows written, {len(index)} indexed, not {self.images}")
        write_csv(index[["image", "sha256"]], self.folder / "index.csv")
        shape = {"images": self.images, "views": self.views, "map": list(self.map_shape)}
        write_json({"format": FORMAT, **shape, **meta}, self.folder / "meta.json")

    def __exit__(self, *error: object) -> None:
        self._files.close()


class FeatureStore:
    """Read access to a finished store.

    Attributes
    ----------
    images : list of str, the image of each row.
    views : int
    map_shape : (h, w, C)
    meta : dict, as in ``meta.json``.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        try:
            self.meta: dict[str, Any] = json.loads((self.folder / "meta.json").read_text("utf-8"))
            index = pd.read_csv(self.folder / "index.csv", dtype=str, keep_default_na=False)
        except FileNotFoundError as error:
            raise PipelineError(
                f"{error.filename}: no such file; the feature store is missing or unfinished, run "
                "`dvc repro embed`"
            ) from None
        self.images: list[str] = index["image"].tolist()
        self.views = int(self.meta["views"])
        self.map_shape: tuple[int, int, int] = tuple(self.meta["map"])
        self._maps = [self._load(f"map_{view}.npy") for view in range(self.views)]
        self._pooled = [self._load(f"pooled_{view}.npy") for view in range(self.views)]

    def _load(self, name: str) -> RowFile:
        try:
            return RowFile(self.folder / name)
        except (OSError, ValueError) as error:
            raise PipelineError(
                f"{self.folder / name}: {error}; the feature store is damaged, run `dvc repro -f "
                "embed`"
            ) from None

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, images: Sequence[str]) -> npt.NDArray[np.intp]:
        """The row of each image.

        Raises
        ------
        PipelineError
            If an image is not in the store.
        """
        position = {image: row for row, image in enumerate(self.images)}
        missing = [image for image in images if image not in position]
        if missing:
            raise PipelineError(
                f"{self.folder}: no features of {len(missing)} images, {missing[0]!r} first; run "
                "`dvc repro embed`"
            )
        return np.array([position[image] for image in images], dtype=np.intp)

    def maps(
        self, rows: np.ndarray, views: np.ndarray | int = 0, out: np.ndarray | None = None
    ) -> np.ndarray:
        """float16 [n, h, w, C]: map of each (row, view); ``views`` is one number or one per row.

        ``out`` takes the result, where given: fresh memory for large batches costs more than the
        reading.
        """
        return self._take(self._maps, rows, views, out)

    def pooled(
        self, rows: np.ndarray, views: np.ndarray | int = 0, out: np.ndarray | None = None
    ) -> np.ndarray:
        """float32 [n, C]: pooled features of each (row, view); ``out`` as in `maps`."""
        return self._take(self._pooled, rows, views, out)

    def _take(
        self,
        arrays: list[RowFile],
        rows: np.ndarray,
        views: np.ndarray | int,
        out: np.ndarray | None,
    ) -> np.ndarray:
        rows = np.asarray(rows)
        if out is None:
            out = np.empty((len(rows), *arrays[0].shape[1:]), dtype=arrays[0].dtype)
        if isinstance(views, int):
            return arrays[views].take(rows, out)
        for view in np.unique(views):
            places = np.flatnonzero(views == view)
            arrays[view].scatter(rows[places], places, out)
        return out

    def channel_moments(
        self, rows: np.ndarray, batch: int = 256
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Mean and variance of each channel over ``rows`` of view 0 and all positions, float32 [C].

        Of the spatial map, in one pass over batches.
        """
        channels = self.map_shape[-1]
        total, squares, count = np.zeros(channels), np.zeros(channels), 0
        for start in range(0, len(rows), batch):
            block = self.maps(rows[start : start + batch]).reshape(-1, channels).astype(np.float64)
            total += block.sum(axis=0)
            squares += np.square(block).sum(axis=0)
            count += len(block)
        mean = total / count
        variance = np.maximum(squares / count - np.square(mean), 0.0)
        return mean.astype(np.float32), variance.astype(np.float32)

    def pooled_moments(
        self, rows: np.ndarray, batch: int = 4096
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Mean and variance of each pooled channel over ``rows`` of view 0, float32 [C]."""
        starts = range(0, len(rows), batch)

        def parts() -> Iterator[np.ndarray]:
            # Read twice: all of a large table's would not fit into memory.
            return (self.pooled(rows[start : start + batch]) for start in starts)

        mean = sum(part.sum(axis=0, dtype=np.float64) for part in parts()) / len(rows)
        variance = sum(np.square(part - mean).sum(axis=0) for part in parts()) / len(rows)
        return np.asarray(mean, np.float32), np.asarray(variance, np.float32)
