from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import runtime
from pipeline.data.loading import Request, ahead, loader
from pipeline.errors import PipelineError
from pipeline.features.cache import Work
from pipeline.features.extract import Encoder, batch_size, compute, padded, shapes


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


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [
        (0, (1, 8, 64), []),
        (1, (1, 8, 64), [1]),
        (1, (64,), [64]),
        (3, (1, 8, 64), [8]),
        (9, (1, 8, 64), [8, 8]),
        (16, (1, 8, 64), [8, 8]),
        (31, (1, 8, 64), [8, 8, 8, 8]),
        (32, (1, 8, 64), [64]),
        (65, (1, 8, 64), [64, 8]),
        (5, (1, 4), [4, 4]),
        (3, (1,), [1, 1, 1]),
    ],
)
def test_steps_hold_all_images_once(
    count: int, sizes: tuple[int, ...], expected: list[int]
) -> None:
    images = np.arange(1, count + 1, dtype=np.int16)[:, None]
    found = list(padded(images, sizes))
    assert [len(some) for _, some in found] == expected
    assert all(some.dtype == images.dtype for _, some in found)
    back = [some[: where.stop - where.start] for where, some in found]
    assert np.concatenate([images[:0], *back]).tolist() == images.tolist()
    assert all(not some[where.stop - where.start :].any() for where, some in found)


def test_few_pictures_have_smaller_steps_than_a_whole_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "position_free", lambda: True)
    assert shapes(64) == (64,)
    assert shapes(64, few=True) == (1, 8, 64)
    assert shapes(4, few=True) == (1, 4)
    monkeypatch.setattr(runtime, "position_free", lambda: False)
    assert shapes(64, few=True) == shapes(64) == (1,)


class FakeEncoder:
    """Gives each picture's first value back as a 1 x 1 x 1 map."""

    batch = 4

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        self.sizes.append(len(pictures))
        return pictures[:, :1, :1, :1].astype("float32")


@pytest.mark.parametrize("views", [1, 3, 5])
def test_every_pass_once_and_parts_of_full_batches(
    views: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.features.extract.SHARD_BATCHES", 2)
    encoder, counted = FakeEncoder(), []
    work = [
        Work(str(i), str(i), tuple(range(views)), tuple(b"%d-%d" % (i, v) for v in range(views)))
        for i in range(7)
    ]

    def load(one: Work) -> np.ndarray:
        values = [int(one.image) * 10 + v for v in one.views]
        return np.stack([np.full((2, 2, 3), value, dtype="uint8") for value in values])

    got: list[tuple[list[bytes], np.ndarray, np.ndarray]] = []
    compute(
        encoder,
        work,
        load,
        lambda *part: got.append(part),
        counted.append,
    )
    keys = [key for part in got for key in part[0]]
    assert keys == [key for one in work for key in one.keys]
    values = np.concatenate([maps.ravel() for _, maps, _ in got])
    assert values.tolist() == [i * 10 + v for i in range(7) for v in range(views)]
    assert all((maps[:, 0, 0] == pooled).all() for _, maps, pooled in got)
    assert [len(part[0]) for part in got[:-1]] == [8] * (len(got) - 1)
    assert sum(counted) == 7 * views
    assert encoder.sizes[:-1] == [4] * (len(encoder.sizes) - 1)


def test_a_step_of_the_network_starts_before_the_last_has_ended() -> None:
    both = threading.Barrier(2, timeout=10)

    class Together(FakeEncoder):
        def __call__(self, pictures: np.ndarray) -> np.ndarray:
            both.wait()  # breaks unless two steps are under way
            return super().__call__(pictures)

    work = [Work(str(i), str(i), (0,), (b"%d" % i,)) for i in range(16)]
    got: list[np.ndarray] = []
    compute(
        Together(),
        work,
        lambda one: np.full((1, 2, 2, 3), int(one.image), dtype=np.uint8),
        lambda keys, maps, pooled: got.append(maps.ravel()),
    )
    assert np.concatenate(got).tolist() == list(range(16))


def test_a_failing_network_stops_the_run() -> None:
    class Failing(FakeEncoder):
        def __call__(self, pictures: np.ndarray) -> np.ndarray:
            raise MemoryError("too large")

    work = [Work(str(i), str(i), (0,), (b"%d" % i,)) for i in range(50)]
    with pytest.raises(MemoryError, match="too large"):
        compute(Failing(), work, lambda one: np.zeros((1, 2, 2, 3), np.uint8), lambda *part: None)


def test_a_failing_write_stops_the_run() -> None:
    def write(*part: object) -> None:
        raise OSError("no space left")

    work = [Work(str(i), str(i), (0,), (b"%d" % i,)) for i in range(5)]
    with pytest.raises(OSError, match="no space left"):
        compute(
            FakeEncoder(),
            work,
            lambda one: np.zeros((1, 2, 2, 3), dtype=np.uint8),
            write,
        )


def test_the_loader_renders_the_views_asked_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (60, 40, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    load = loader(tmp_path, (30, 20), seed=3)
    content = hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    every = load(Request("a.png", content, (0, 1, 2)))
    assert every.shape == (3, 30, 20, 3)
    assert (load(Request("a.png", content, (2,))) == every[[2]]).all()
    broken = hashlib.sha256(b"no picture").hexdigest()
    with pytest.raises(PipelineError, match=r"b\.png: not_an_image .* `dvc repro` again"):
        load(Request("b.png", broken, (0,)))
    with pytest.raises(PipelineError, match=r"a\.png: has changed since .* `dvc repro` again"):
        load(Request("a.png", broken, (0,)))


SAME_PICTURE_EVERYWHERE = """
from pipeline import runtime
runtime.prepare(0)
import keras, numpy as np
from pipeline.features.extract import Encoder
inputs = keras.Input((16, 8, 3))
layer = keras.layers.Conv2D(40, 1, kernel_initializer=keras.initializers.HeNormal(1))
encoder = Encoder(keras.Model(inputs, layer(inputs)), (16, 8))
picture = np.random.default_rng(0).integers(0, 256, (1, 16, 8, 3), dtype=np.uint8)
maps = encoder(np.repeat(picture, encoder.batch, axis=0))
print(len(maps), len({one.tobytes() for one in maps}))
"""


@pytest.mark.identical_bytes
@pytest.mark.parametrize("onednn", ["0", "1"])
def test_a_picture_has_the_same_bytes_everywhere_in_a_batch(root: Path, onednn: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAME_PICTURE_EVERYWHERE],
        cwd=root,
        # The fault shows with AVX2 at most, whatever the processor.
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["64", "1"], done.stderr


@pytest.mark.identical_bytes
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
    few = Encoder(keras.Model(inputs, layer(inputs)), (16, 8), few=True)
    assert few(pictures[:1]) == pytest.approx(together[:1], rel=1e-6)
    assert few(pictures) == pytest.approx(together, rel=1e-6)
