"""Grad-CAM on small heads whose gradients are known."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from pipeline.explain import gradcam
from pipeline.training.inference import HeadInput


def test_heat_is_where_the_head_finds_its_evidence() -> None:
    """A head whose first column sees the first channel only and the second the second."""
    features = keras.Input((4, 3, 2))
    conv = keras.layers.Conv2D(2, 1, use_bias=False)
    pooled = keras.layers.GlobalAveragePooling2D()(conv(features))
    dense = keras.layers.Dense(2, use_bias=False)
    head = keras.Model(features, dense(pooled))
    for layer, shape in ((conv, (1, 1, 2, 2)), (dense, (2, 2))):
        layer.set_weights([np.eye(2, dtype=np.float32).reshape(shape)])
    seen = np.zeros((1, 4, 3, 2), dtype=np.float32)
    seen[0, 1, 2, 0], seen[0, 3, 0, 1] = 5, 2
    heads: list[HeadInput] = [(head, seen, (1, 3))]
    first, second = (gradcam.heat(heads, column) for column in (1, 2))
    assert first is not None and second is not None
    assert first.shape == (4, 3)
    assert np.argwhere(first > 0.1).tolist() == [[1, 2]] and first.max() == pytest.approx(1)
    assert np.argwhere(second > 0.1).tolist() == [[3, 0]]
    assert gradcam.heat(heads, 0) is None
    flat = keras.Model(features, keras.layers.Dense(2)(keras.layers.Flatten()(features)))
    assert gradcam.heat([(flat, seen, (0, 2))], 0) is None, "no layer with places and weights"


@pytest.mark.parametrize("seed", range(3))
def test_the_map_is_what_the_paper_says(seed: int) -> None:
    """Of a linear head the gradient is its weights, so that the map can be written down."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(1, 1, 3, 4)).astype(np.float32)
    weights = rng.normal(size=(3, 2, 4, 2)).astype(np.float32)
    features = keras.Input((3, 2, 3))
    conv = keras.layers.Conv2D(4, 1, activation="relu", use_bias=False)
    dense = keras.layers.Dense(2, use_bias=False)
    head = keras.Model(features, dense(keras.layers.Flatten()(conv(features))))
    conv.set_weights([kernel])
    dense.set_weights([weights.reshape(-1, 2)])
    seen = rng.normal(size=(1, 3, 2, 3)).astype(np.float32)
    maps = np.maximum(seen[0] @ kernel[0, 0], 0)
    for column in (0, 1):
        evidence = np.maximum(maps @ weights[..., column].mean(axis=(0, 1)), 0)
        found = gradcam.heat([(head, seen, (0, 2))], column)
        assert found is not None and found.dtype == np.float64
        np.testing.assert_allclose(found, evidence / (evidence.max() or 1), atol=1e-5)


def test_nothing_that_speaks_for_a_column_is_a_map_of_zeros() -> None:
    features = keras.Input((2, 2, 1))
    conv = keras.layers.Conv2D(1, 1, use_bias=False)
    head = keras.Model(features, keras.layers.GlobalAveragePooling2D()(conv(features)))
    conv.set_weights([np.ones((1, 1, 1, 1), dtype=np.float32)])
    found = gradcam.heat([(head, -np.ones((1, 2, 2, 1), np.float32), (0, 1))], 0)
    assert found is not None and (found == 0).all()
