from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from pipeline.embedding import Encoder, ahead, batch_size, embed


@pytest.mark.parametrize(
    ("size", "expected"),
    [((128, 96), 64), ((224, 224), 16), ((450, 350), 4), ((2048, 2048), 4), ((32, 32), 64)],
)
def test_batch_size(size: tuple[int, int], expected: int) -> None:
    assert batch_size(size) == expected


def test_ahead_keeps_the_order_and_runs_ahead() -> None:
    started: list[int] = []

    def slow(item: int) -> int:
        started.append(item)
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * item

    results = ahead(slow, range(20), threads=3, depth=6)
    assert next(results) == (0, 0)
    assert len(started) > 1, "nothing was computed ahead"
    assert list(results) == [(i, i * i) for i in range(1, 20)]


def test_ahead_raises_and_stops() -> None:
    done: list[int] = []

    def fail(item: int) -> int:
        if item == 3:
            raise KeyError(item)
        done.append(item)
        time.sleep(0.005)
        return item

    results = ahead(fail, range(10_000), threads=2, depth=4)
    with pytest.raises(KeyError):
        list(results)
    assert len(done) < 20
    assert threading.active_count() < 20


class FakeEncoder:
    """Gives each picture's first value back as a 1 x 1 x 1 map."""

    batch = 4

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        self.sizes.append(len(pictures))
        return pictures[:, :1, :1, :1].astype("float32")


@pytest.mark.parametrize("views", [1, 3, 5])
def test_every_view_of_every_image_in_order(views: int) -> None:
    got: dict[int, list[float]] = {view: [] for view in range(views)}
    encoder, counted = FakeEncoder(), []

    def load(item: int) -> np.ndarray:
        return np.stack([np.full((2, 2, 3), item * 10 + v, dtype="uint8") for v in range(views)])

    embed(
        encoder,  # type: ignore[arg-type]
        range(7),
        load,
        views,
        lambda view, maps: got[view].extend(maps.ravel().tolist()),
        counted.append,
    )
    for view in range(views):
        assert got[view] == [item * 10 + view for item in range(7)]
    assert sum(counted) == 7 * views
    assert encoder.sizes[:-1] == [4] * (len(encoder.sizes) - 1)


def test_encoder_pads_and_is_the_same_for_any_batch() -> None:
    keras = pytest.importorskip("keras")
    inputs = keras.Input((16, 8, 3))
    layer = keras.layers.Conv2D(4, 3, strides=4, kernel_initializer=keras.initializers.HeNormal(1))
    encoder = Encoder(keras.Model(inputs, layer(inputs)), (16, 8))
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 8, 3), dtype=np.uint8)
    together = encoder(pictures)
    assert together.shape == (5, *encoder.map_shape) == (5, 4, 2, 4)
    alone = np.concatenate([encoder(pictures[i : i + 1]) for i in range(5)])
    assert (together == alone).all()
    assert together == pytest.approx(layer(pictures.astype("float32")).numpy(), rel=1e-4, abs=1e-2)
