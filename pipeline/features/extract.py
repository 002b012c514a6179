"""One streaming pass of images x views through the frozen backbone.

Threads decode and augment ahead of the network, and its next step starts before the last one has
ended, so that no core waits. The batch has one fixed shape, so that the compiled graph is one, too,
and an image's features have the same bytes wherever in a batch it stands and whatever stands beside
it. Where the kernels do not keep that, the network sees one picture at a time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from pipeline import runtime
from pipeline.data.loading import ahead
from pipeline.features.cache import Work
from pipeline.features.store import stored

PIXELS_PER_BATCH = 2**20
"""Enough work per step to fill the processor, little enough memory for any network."""
SHARD_BATCHES = 16
"""Batches in a shard of the cache: what a killed run loses at most, a few seconds of work."""

STEPS = 2
"""Steps of the network under way at a time: where one can't use all cores, between two of its
layers or in a small one, the other does."""


def batch_size(image_size: tuple[int, int]) -> int:
    """Images per step of the network: a power of two from 4 to 64, fewer for larger images."""
    fitting = PIXELS_PER_BATCH // (image_size[0] * image_size[1])
    return 1 << (min(max(fitting, 4), 64).bit_length() - 1)


def shapes(batch: int, few: bool = False) -> tuple[int, ...]:
    """How many pictures a network sees in a step: ``batch``, or one, see `runtime.position_free`.

    Parameters
    ----------
    few : whether smaller steps are compiled, too, for those who ask about few pictures. A lone
        picture may then differ in the last bits from what it is among others.
    """
    if not runtime.position_free():
        return (1,)
    return (*(size for size in FEW if few and size < batch), batch)


def padded(images: np.ndarray, sizes: Sequence[int]) -> Iterator[tuple[slice, np.ndarray]]:
    """Images in steps of ``sizes``, filled up with zeros, after the slice they are.

    The smallest step that has room for the rest, unless more than half of it would be empty and a
    smaller one is full. A step of one is for a lone image, where there are others.
    """
    usable = [size for size in sizes if size > 1 or len(images) == 1] or list(sizes)
    start = 0
    while start < len(images):
        rest = len(images) - start
        size = min((size for size in usable if size >= rest), default=max(usable))
        full = max((size for size in usable if size <= rest), default=size)
        size = size if size <= 2 * rest else full
        some = images[start : start + size]
        filled = np.zeros((size, *images.shape[1:]), dtype=images.dtype)
        filled[: len(some)] = some
        yield slice(start, start + len(some)), filled
        start += len(some)


FEW = (1, 8)
"""Smaller steps for few pictures."""


class Network(Protocol):
    """What turns pictures into maps, whatever computes it; called from `STEPS` threads at once."""

    batch: int
    """Pictures at most in a call."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, 3] -> float32 [n, h', w', C]."""


class Encoder:
    """The backbone compiled for one batch shape, or for few, see `shapes`.

    Parameters
    ----------
    model : keras.Model, images [B, h, w, 3] with values 0 to 255 -> map [B, h', w', C].
    image_size : (height, width) in pixels.
    few : see `shapes`.
    """

    def __init__(self, model: Any, image_size: tuple[int, int], few: bool = False):
        import tensorflow as tf

        self.model, self.image_size = model, image_size
        self.batch = batch_size(image_size)
        self.map_shape: tuple[int, int, int] = tuple(model.output_shape[1:])
        self._shapes = shapes(self.batch, few)

        @tf.function(autograph=False)  # a graph for each shape that is asked for
        def encode(images: Any) -> Any:
            return tf.cast(model(tf.cast(images, tf.float32), training=False), tf.float32)

        self._encode = encode

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, 3], n at most ``batch`` -> float32 [n, h', w', C]."""
        maps = np.empty((len(images), *self.map_shape), dtype=np.float32)
        for where, some in padded(images, self._shapes):
            maps[where] = self._encode(some).numpy()[: where.stop - where.start]
        return maps


def batched(
    rendered: Iterable[tuple[Work, np.ndarray]], size: int
) -> Iterator[tuple[list[bytes], np.ndarray]]:
    """Keys and pictures uint8 [size, h, w, 3] of one batch after another; the last may be smaller.

    Parameters
    ----------
    rendered : pieces of work with their views, uint8 [views, h, w, 3].
    """
    names: list[bytes] = []
    pictures: list[np.ndarray] = []
    for one, views in rendered:
        names.extend(one.keys)
        pictures.extend(views)
        while len(pictures) >= size:
            yield names[:size], np.stack(pictures[:size])
            del names[:size], pictures[:size]
    if pictures:
        yield names, np.stack(pictures)


def compute(
    encoder: Network,
    work: Iterable[Work],
    load: Callable[[Work], np.ndarray],
    write: Callable[[list[bytes], np.ndarray, np.ndarray], object],
    progress: Callable[[int], object] = lambda passes: None,
    grid: int | None = None,
) -> None:
    """Compute features, a forward pass for each view, and hand them on, a shard at a time.

    Decoding runs ahead in threads and writing follows in another, so that the network waits for
    neither. A shard has `SHARD_BATCHES` full batches, the last one what is left.

    Parameters
    ----------
    load : gives the views of one image, uint8 [views, h, w, 3]; called in threads.
    write : takes keys [n], maps and pooled features as of `store.stored`; called in a thread.
    progress : called with the number of forward passes just done.
    grid : see `store.stored`.
    """
    threads = len(os.sched_getaffinity(0))
    done: list[tuple[list[bytes], np.ndarray]] = []

    def step(batch: tuple[list[bytes], np.ndarray]) -> np.ndarray:
        return encoder(batch[1])

    def store(shard: list[tuple[list[bytes], np.ndarray]]) -> None:
        maps, pooled = zip(*(stored(maps, grid) for _, maps in shard), strict=True)
        keys = [key for some, _ in shard for key in some]
        write(keys, np.concatenate(maps), np.concatenate(pooled))

    with ThreadPoolExecutor(1) as writer:
        writing: deque[Future[None]] = deque()

        def flush(unfinished: int) -> None:
            if done:
                writing.append(writer.submit(store, done.copy()))
                done.clear()
            while len(writing) > unfinished:
                writing.popleft().result()

        rendered = ahead(load, work, threads, depth=2 * encoder.batch)
        steps = ahead(step, batched(rendered, encoder.batch), STEPS, depth=STEPS - 1)
        for (keys, _), maps in steps:
            done.append((keys, maps))
            progress(len(keys))
            if len(done) == SHARD_BATCHES:
                flush(unfinished=1)
        flush(unfinished=0)
