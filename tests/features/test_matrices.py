"""Cached features as matrices: means of views, and maps in blocks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pipeline.features.matrices import Grid, MeanOfViews


def maps(views: int = 2, n: int = 5, h: int = 4, w: int = 4, channels: int = 3) -> np.ndarray:
    shape = (views, n, h, w, channels)
    return np.random.default_rng(0).integers(0, 9, shape).astype(np.float16)


def test_pooled_features_are_averaged_over_views(make_store: Callable[..., Any]) -> None:
    content = maps(views=3)
    store = make_store(content)
    out = MeanOfViews(store, np.array([3, 0]))[:]
    assert out.dtype == np.float32
    expected = content.astype(np.float64).mean(axis=(0, 2, 3))[[3, 0]]
    np.testing.assert_allclose(out, expected, rtol=1e-5)
    again = MeanOfViews(store, np.array([3, 0]))[:]
    assert (again == out).all(), "reading leaves the store as it is"


def test_a_small_map_is_read_as_it_is(make_store: Callable[..., Any]) -> None:
    content = maps(h=2, w=3)
    grid = Grid(make_store(content), np.array([4, 1, 2]))
    assert grid.shape == (3, 2 * 3 * 3)
    assert len(grid) == 3
    out = grid[np.array([2, 0])]
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, content[0, [2, 4]].reshape(2, -1))
    np.testing.assert_array_equal(grid[1:3], content[0, [1, 2]].reshape(2, -1))


@pytest.mark.parametrize(("h", "w"), [(7, 5), (4, 8), (9, 3)])
def test_a_large_map_is_averaged_over_blocks(
    make_store: Callable[..., Any], h: int, w: int
) -> None:
    content = maps(views=1, h=h, w=w)
    grid = Grid(make_store(content), np.arange(5), most=3)
    out = grid[:].reshape(5, 3, 3, 3)

    def blocks(length: int) -> list[slice]:
        ends = [length * i // 3 for i in range(4)]
        return [slice(a, b) for a, b in pairwise(ends)]

    for i, rows in enumerate(blocks(h)):
        for j, columns in enumerate(blocks(w)):
            expected = content[0][:, rows, columns].astype(np.float64).mean(axis=(1, 2))
            np.testing.assert_allclose(out[:, i, j], expected, rtol=1e-5)


def test_one_block_is_the_pooled_feature(make_store: Callable[..., Any]) -> None:
    store = make_store(maps(h=5, w=6))
    np.testing.assert_allclose(
        Grid(store, np.arange(5), most=1)[:], store.pooled(np.arange(5)), rtol=1e-5
    )
