"""The affine layer on a map: the same numbers as on the features computed from the map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.features.store import block_means
from pipeline.training import heads, stacked


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 999))
def test_a_kernel_on_the_map_is_weights_on_its_means(h: int, w: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 1, (3, h, w, 2))
    averaged = block_means(maps, most).reshape(3, -1)
    own, of_grid = rng.normal(0, 1, (2, 4)), rng.normal(0, 1, (averaged.shape[1], 4))
    kernel = stacked.kernel((h, w, 2), own, of_grid, most)
    found = np.einsum("nhwc,hwca->na", maps, kernel)
    np.testing.assert_allclose(found, maps.mean((1, 2)) @ own + averaged @ of_grid, atol=1e-4)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "neither"),
        ({"pooled": np.ones((3, 1))}, "pooled: got 3"),
        ({"averaged": np.ones((3, 1))}, "averaged: got 3"),
    ],
)
def test_weights_that_do_not_fit_are_refused(parts: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stacked.kernel((2, 2, 2), **parts)


def test_the_head_gives_the_affine_function_and_keeps_it_in_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kernel, offsets = rng.normal(0, 1, (2, 3, 4, 5)), rng.normal(0, 1, 5)
    maps = rng.normal(0, 1, (6, 2, 3, 4)).astype(np.float32)
    config = heads.HeadConfig("stack", (2, 3, 4), 5, 0.0)
    head = stacked.build(config, kernel, offsets)
    wanted = np.einsum("nhwc,hwca->na", maps, kernel) + offsets
    np.testing.assert_allclose(head(maps).numpy(), wanted, atol=1e-4)
    heads.save(head, tmp_path / "head.weights.h5")
    again = heads.load(config, tmp_path / "head.weights.h5")
    np.testing.assert_array_equal(again(maps).numpy(), head(maps).numpy())
