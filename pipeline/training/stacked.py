"""An affine function of a map's mean and of its averages over blocks, as one on the map itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.features.store import block_edges
from pipeline.training import heads
from pipeline.training.heads import HeadConfig


def kernel(
    map_shape: tuple[int, int, int],
    pooled: np.ndarray | None = None,
    averaged: np.ndarray | None = None,
    most: int = 4,
) -> npt.NDArray[np.float32]:
    """Weights float32 [h, w, C, A] on a map that equal those on what is computed from it.

    Parameters
    ----------
    map_shape : (h, w, C).
    pooled : [C, A], on the map's mean over all positions.
    averaged : [g, A], on the flattened map after `block_means` with ``most``.

    Raises
    ------
    ValueError
        If neither is given, or one does not fit the map.
    """
    height, width, channels = map_shape
    parts: list[np.ndarray] = []
    if pooled is not None:
        if len(pooled) != channels:
            raise ValueError(f"pooled: got {len(pooled)} channels, expected {channels}")
        part = pooled / (height * width)
        parts.append(np.broadcast_to(part, (height, width, *part.shape)))
    if averaged is not None:
        (rows, tall), (columns, wide) = _blocks(height, most), _blocks(width, most)
        blocks = (len(tall), len(wide), channels)
        if len(averaged) != np.prod(blocks):
            raise ValueError(f"averaged: got {len(averaged)} features, expected {np.prod(blocks)}")
        area = tall[rows][:, None] * wide[columns]
        grid = averaged.reshape(*blocks, -1)[rows[:, None], columns]
        parts.append(grid / area[:, :, None, None])
    if not parts:
        raise ValueError("neither pooled nor averaged weights")
    return np.sum(parts, axis=0).astype(np.float32)


def build(config: HeadConfig, weights: np.ndarray, offsets: np.ndarray) -> Any:
    """A head of kind ``stack`` with weights [h, w, C, A] on the map and offsets [A]."""
    head = heads.build(config)
    channels = config.input_shape[-1]
    heads.reset(head, (0,), (np.zeros(channels), np.ones(channels)), offsets)
    head.get_layer(heads.LOGITS).kernel.assign(weights.reshape(-1, config.outputs))
    return head


def _blocks(length: int, most: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """The block [length] of each position, and the positions in each block."""
    edges = block_edges(length, most)
    counts = np.diff(np.append(edges, length))
    return np.repeat(np.arange(len(edges)), counts), counts.astype(np.float64)
