"""An affine function of a map's mean and of its averages over blocks, as one on the map itself; and
of its neighbours' votes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.features.store import block_edges
from pipeline.training import heads, voting
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


@dataclass(frozen=True)
class Voters:
    """The pictures whose votes join in.

    axes, offset : [C, d] and [d] from a map's mean to components; points : [P, d] of length 1.
    targets, weights : [P, V], see `pipeline.impute.neighbours.Neighbours.votes`; prior : [V].
    slope : [V, A], from the votes' logits to those of the head.
    """

    axes: np.ndarray
    offset: np.ndarray
    points: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    prior: np.ndarray
    slope: np.ndarray


def configured(config: HeadConfig, voters: Voters | None) -> HeadConfig:
    """The config of the head that has these voters."""
    if voters is None:
        return config
    neighbours, components = voters.points.shape
    return replace(config, components=components, neighbours=neighbours, votes=len(voters.prior))


def build(
    config: HeadConfig, weights: np.ndarray, offsets: np.ndarray, voters: Voters | None = None
) -> Any:
    """A head of kind ``stack`` with weights [h, w, C, A] on the map and offsets [A].

    Parameters
    ----------
    config : see `configured`.
    """
    head = heads.build(config)
    channels = config.input_shape[-1]
    heads.reset(head, (0,), (np.zeros(channels), np.ones(channels)), offsets)
    flat = weights.reshape(-1, config.outputs)
    if voters is not None:
        made = voting.weights(
            voters.axes, voters.offset, voters.points, voters.targets, voters.weights, voters.prior
        )
        for name, own in zip(voting.LAYERS, made, strict=True):
            head.get_layer(name).set_weights(own)
        flat = np.concatenate([flat, voters.slope])
    head.get_layer(heads.LOGITS).kernel.assign(flat)
    return head


def _blocks(length: int, most: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """The block [length] of each position, and the positions in each block."""
    edges = block_edges(length, most)
    counts = np.diff(np.append(edges, length))
    return np.repeat(np.arange(len(edges)), counts), counts.astype(np.float64)
