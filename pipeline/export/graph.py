"""A trained classifier as one graph, from pictures of any size to probabilities."""

from __future__ import annotations

from typing import Any

import PIL

from pipeline.training.inference import Predictor

INPUT, OUTPUT = "pictures", "probabilities"
BITS = 22
"""Of the fractions that Pillow resizes with."""
TALL_FIRST = 13
"""Pillow's version from which on columns come first where the height shrinks by more than twice the
pixels that the width does, https://github.com/python-pillow/Pillow/pull/9549."""


def module(predictor: Predictor, any_size: bool) -> Any:
    """A tf.Module whose ``__call__`` takes pictures and gives probabilities.

    Parameters
    ----------
    predictor : in float32.
    any_size
        Whether pictures, uint8 [B, H, W, 3], may have any height and width and are resized as
        `pipeline.data.images.resize` does it; else they have the classifier's own.

    Returns
    -------
    Its ``__call__`` gives a tensor float32 [B, A].
    """
    import tensorflow as tf

    size = predictor.card.image_size
    shape = (None, None, None, 3) if any_size else (None, *size, 3)

    class Classifier(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="classifier")
            self.networks = predictor.networks

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8, name=INPUT)], autograph=False)
        def __call__(self, pictures: Any) -> Any:
            if any_size:
                pictures = resized(pictures, size)
            return {OUTPUT: predictor.in_graph(pictures)}

    return Classifier()


def resized(pictures: Any, size: tuple[int, int]) -> Any:
    """uint8 [B, H, W, 3] squeezed to ``size`` (h, w) as Pillow's antialiased bilinear filter does.

    Rows first, then columns (or, of tall pictures, the other way round, as Pillow does from 13 on),
    each by a product with the filter's weights in whole numbers of ``2**-BITS``, rounded,
    https://github.com/python-pillow/Pillow/blob/11.0.0/src/libImaging/Resample.c. A weight comes
    in two halves, so that float32 holds what Pillow has in 32 bits, and the pixels are the same but
    where more than 32 of them are averaged.

    Returns
    -------
    float32 [B, h, w, 3] of whole numbers.
    """
    import tensorflow as tf

    height, width = size
    shape = tf.shape(pictures)
    pixels = tf.cast(pictures, tf.float32)

    def columns(x: Any, rows: Any) -> Any:
        flat = tf.reshape(x, (-1, rows, tf.shape(x)[2] * 3))
        return tf.reshape(_weighted(flat, rows, height), (-1, height, tf.shape(x)[2], 3))

    def rows_first() -> Any:
        return columns(_weighted(pixels, shape[2], width), shape[1])

    def columns_first() -> Any:
        return _weighted(columns(pixels, shape[1]), shape[2], width)

    if int(PIL.__version__.split(".")[0]) < TALL_FIRST:
        out = rows_first()
    else:
        tall = shape[1] - height > tf.maximum(2 * (shape[2] - width), 0)
        out = tf.cond(tall, columns_first, rows_first)
    return tf.reshape(out, (-1, height, width, 3))


def _weighted(pixels: Any, length: Any, out: int) -> Any:
    """[..., length, n] as [..., out, n]."""
    import tensorflow as tf

    scale = tf.cast(length, tf.float64) / out
    centres = (tf.range(out, dtype=tf.float64) + 0.5) * scale
    places = tf.cast(tf.range(length), tf.float64) + 0.5
    distances = tf.abs(places[None] - centres[:, None]) / tf.maximum(scale, 1.0)
    weights = tf.maximum(1.0 - distances, 0.0)
    weights = tf.floor(weights / tf.reduce_sum(weights, axis=1, keepdims=True) * 2.0**BITS + 0.5)
    half = 2.0 ** (BITS // 2)
    high = tf.floor(weights / half)
    sums = [tf.matmul(tf.cast(w, tf.float32), pixels) for w in (high, weights - high * half)]
    carried = tf.floor((sums[1] + 2.0 ** (BITS - 1)) / half)
    return tf.floor((sums[0] + carried) / half)
