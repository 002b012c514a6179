"""One streaming pass of images x views through the frozen backbone.

Threads decode and augment ahead of the network, so that neither waits for the other; a fixed
batch shape keeps the compiled graph, and therefore the bytes of the features, the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
R = TypeVar("R")

PIXELS_PER_BATCH = 2**20
"""Enough work per step to fill the processor, little enough memory for any network."""


def batch_size(image_size: tuple[int, int]) -> int:
    """Images per step of the network: a power of two from 4 to 64, fewer for larger images."""
    fitting = PIXELS_PER_BATCH // (image_size[0] * image_size[1])
    return 1 << (min(max(fitting, 4), 64).bit_length() - 1)


class Encoder:
    """The backbone compiled for one batch shape.

    Parameters
    ----------
    model : keras.Model, images [B, h, w, 3] with values 0 to 255 -> map [B, h', w', C].
    image_size : (height, width) in pixels.
    """

    def __init__(self, model: Any, image_size: tuple[int, int]):
        import tensorflow as tf

        self.image_size = image_size
        self.batch = batch_size(image_size)
        self.map_shape: tuple[int, int, int] = tuple(model.output_shape[1:])

        @tf.function(
            input_signature=[tf.TensorSpec((self.batch, *image_size, 3), tf.uint8)],
            autograph=False,
        )
        def encode(images: Any) -> Any:
            return tf.cast(model(tf.cast(images, tf.float32), training=False), tf.float32)

        self._encode = encode

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, 3], n at most ``batch`` -> float32 [n, h', w', C]."""
        padded = np.zeros((self.batch, *self.image_size, 3), dtype=np.uint8)
        padded[: len(images)] = images
        maps: np.ndarray = self._encode(padded).numpy()
        return maps[: len(images)]


def ahead(
    function: Callable[[T], R], items: Iterable[T], threads: int, depth: int
) -> Iterator[tuple[T, R]]:
    """Yield (item, ``function(item)``) in order, up to ``depth`` items computed ahead in threads.

    An exception in ``function`` is raised here; a consumer that stops early cancels the rest.
    """
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[tuple[T, Future[R]]] = deque()
        try:
            for item in items:
                pending.append((item, pool.submit(function, item)))
                if len(pending) > depth:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            for _, future in pending:
                future.cancel()


def embed(
    encoder: Encoder,
    images: Iterable[T],
    load: Callable[[T], np.ndarray],
    views: int,
    append: Callable[[int, np.ndarray], None],
    progress: Callable[[int], object] = lambda passes: None,
    threads: int = 2,
) -> None:
    """Encode every view of every image and hand the maps on in row order.

    Parameters
    ----------
    load
        Gives the views of one image, uint8 [views, h, w, 3]; called in threads.
    append
        Takes a view's number and the maps of its next rows, float32 [n, h', w', C].
    progress
        Called with the number of passes just done.
    """
    waiting: list[np.ndarray] = []
    numbers: list[int] = []

    def flush(count: int) -> None:
        maps = encoder(np.stack(waiting[:count]))
        which = np.array(numbers[:count])
        for view in np.unique(which):
            append(int(view), maps[which == view])
        del waiting[:count], numbers[:count]
        progress(count)

    for _, pictures in ahead(load, images, threads, depth=2 * encoder.batch):
        waiting.extend(pictures)
        numbers.extend(range(views))
        while len(waiting) >= encoder.batch:
            flush(encoder.batch)
    if waiting:
        flush(len(waiting))
