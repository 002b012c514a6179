from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import PipelineError
from pipeline.features.store import (
    FeatureStore,
    FeatureWriter,
    bytes_needed,
    reduced,
    reduced_in_graph,
    stored,
)

MakeStore = Callable[..., FeatureStore]


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 10, 4, 3, 5)).astype("float32")


def test_round_trip(make_store: MakeStore, maps: np.ndarray) -> None:
    store = make_store(maps)
    assert (len(store), store.views, store.map_shape) == (10, 3, (4, 3, 5))
    rows, views = np.array([7, 0, 7]), np.array([2, 1, 0])
    expected = maps[views, rows].astype("float16")
    assert (store.maps(rows, views) == expected).all()
    pooled = expected.astype("float32").mean(axis=(1, 2))
    assert store.pooled(rows, views) == pytest.approx(pooled, abs=1e-6)
    assert (store.maps(rows) == maps[0, rows].astype("float16")).all()


def test_a_given_buffer_takes_the_features(make_store: MakeStore, maps: np.ndarray) -> None:
    store = make_store(maps)
    for views in (1, np.array([0, 2])):
        out = np.full((2, 4, 3, 5), 9, dtype="float16")
        got = store.maps(np.array([3, 4]), views, out)
        assert np.shares_memory(got, out)
        assert (got == store.maps(np.array([3, 4]), views)).all()


def test_written_in_pieces_is_written_whole(
    make_store: MakeStore, maps: np.ndarray, tmp_path: Path
) -> None:
    whole = make_store(maps)
    folder = tmp_path / "pieces"
    folder.mkdir()
    index = pd.DataFrame({"image": whole.images, "sha256": "0"})
    with FeatureWriter(folder, 10, 3, maps.shape[2:]) as writer:
        for start in (0, 4, 8):
            for view in (2, 0, 1):
                writer.append(view, *stored(maps[view, start : start + 4]))
        writer.finish(index, {"backbone": {}})
    for name in ("map_0.npy", "map_2.npy", "pooled_1.npy"):
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes()
        assert np.load(folder / name).shape[0] == 10


def test_an_incomplete_store_is_refused(tmp_path: Path, maps: np.ndarray) -> None:
    index = pd.DataFrame({"image": list("ab"), "sha256": "0"})
    with FeatureWriter(tmp_path, 2, 1, (4, 3, 5)) as writer:
        writer.append(0, *stored(maps[0, :1]))
        with pytest.raises(ValueError, match="rows written"):
            writer.finish(index, {})
    with pytest.raises(PipelineError, match="no such file; the feature store"):
        FeatureStore(tmp_path)


def test_activations_beyond_float16_are_kept_finite(make_store: MakeStore) -> None:
    store = make_store(np.full((1, 2, 1, 1, 3), 1e6, dtype="float32"))
    assert np.isfinite(store.maps(np.array([0]))).all()
    assert store.maps(np.array([0])).max() == 65504


def test_rows_by_image(make_store: MakeStore, maps: np.ndarray) -> None:
    store = make_store(maps)
    assert store.rows(["image_009.jpg", "image_002.jpg"]).tolist() == [9, 2]
    with pytest.raises(PipelineError, match=r"no features of 1 images, 'cat\.jpg' first"):
        store.rows(["image_001.jpg", "cat.jpg"])


def test_moments(make_store: MakeStore, maps: np.ndarray) -> None:
    store = make_store(maps)
    rows = np.array([1, 4, 5, 9])
    values = maps[0, rows].astype("float16").astype("float64")
    for batch in (1, 3, 100):
        mean, variance = store.channel_moments(rows, batch)
        assert mean == pytest.approx(values.reshape(-1, 5).mean(0), abs=1e-5)
        assert variance == pytest.approx(values.reshape(-1, 5).var(0), abs=1e-5)
    mean, variance = store.pooled_moments(rows, batch=3)
    assert mean == pytest.approx(values.mean((1, 2)).mean(0), abs=1e-5)
    assert variance == pytest.approx(values.mean((1, 2)).var(0), abs=1e-5)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_an_error_and_not_a_crash(tmp_path: Path, maps: np.ndarray) -> None:
    (tmp_path / "map_0.npy").symlink_to("/dev/full")
    many = stored(maps[0, :1].repeat(1000, axis=0))
    with (
        pytest.raises(OSError, match="No space left"),
        FeatureWriter(tmp_path, 1000, 1, (4, 3, 5)) as writer,
    ):
        writer.append(0, *many)


def test_bytes_needed_is_what_a_store_takes(make_store: MakeStore, maps: np.ndarray) -> None:
    store = make_store(maps)
    size = sum(path.stat().st_size for path in store.folder.glob("*.npy"))
    headers = 6 * 128
    assert size == bytes_needed(10, 3, (4, 3, 5)) + headers


@pytest.mark.parametrize("grid", [None, 2, 3])
def test_what_a_head_is_given_is_what_is_stored_but_for_rounding(grid: int | None) -> None:
    rng = np.random.default_rng(0)
    maps = (rng.normal(size=(3, 5, 4, 6)) * 10.0 ** rng.integers(-3, 5, (3, 5, 4, 6))).astype("f4")
    kept, of_kept = stored(maps, grid)
    expected, pooled = reduced(maps, grid)
    assert expected == pytest.approx(kept.astype("f4"), rel=2e-3, abs=30 if grid else 1e-7)
    assert pooled == pytest.approx(of_kept, rel=1e-3, abs=30)
    found, means = reduced_in_graph(maps, grid)
    assert found.numpy() == pytest.approx(expected, rel=1e-5, abs=1e-3)
    assert means.numpy() == pytest.approx(pooled, rel=1e-5, abs=1e-3)
