"""The backbone in 8 bits: near the network it came from, the same bytes again, one param away."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.features import backbones, extract, int8, weights
from pipeline.files import write_sums
from tests.stages.test_embed import base, edit, index, passes, run, store

__all__ = ["base"]  # a fixture
pytest.importorskip("openvino", reason="the extra int8 is not installed")
pytest.importorskip("nncf", reason="the extra int8 is not installed")

SIZE = (64, 64)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture(scope="module")
def model() -> Any:
    out = backbones.build("mobilenet_v2", SIZE)
    weights.randomise(out, 0)
    return out


@pytest.fixture(scope="module")
def folder(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("int8")
    int8.quantize(model, pictures(12), place)
    return place


@pytest.mark.slow
def test_the_quantised_network_gives_nearly_the_same_features(model: Any, folder: Path) -> None:
    encoder, reference = int8.encoder(folder), extract.Encoder(model, SIZE)
    assert encoder.image_size == SIZE
    assert (encoder.batch, encoder.map_shape) == (reference.batch, reference.map_shape)
    new = pictures(40)[12:]
    ours, theirs = encoder(new), reference(new)
    assert ours.dtype == np.float32 and ours.shape == theirs.shape
    flat = [maps.reshape(len(maps), -1) for maps in (ours, theirs)]
    cosine = (flat[0] * flat[1]).sum(axis=1) / np.prod(
        [np.linalg.norm(m, axis=1) for m in flat], axis=0
    )
    assert cosine.min() > 0.9
    assert (ours != theirs).any(), "it computes in other numbers"


@pytest.mark.slow
def test_an_image_has_the_same_bytes_wherever_in_a_batch_it_stands(folder: Path) -> None:
    encoder = int8.encoder(folder)
    new = pictures(6)
    together = encoder(new)
    alone = np.concatenate([encoder(new[i : i + 1]) for i in range(len(new))])
    assert (together == alone).all()
    assert (together[::-1] == encoder(new[::-1])).all()


@pytest.mark.slow
def test_few_images_take_smaller_steps_and_have_the_same_bytes(folder: Path) -> None:
    encoder, few = int8.encoder(folder), int8.encoder(folder, few=True)
    pictures = np.random.default_rng(0).integers(0, 256, (9, *SIZE, 3), dtype=np.uint8)
    for count in (1, 3, 9):
        assert (few(pictures[:count]) == encoder(pictures[:count])).all()


@pytest.mark.slow
def test_threads_may_share_the_quantised_network(folder: Path) -> None:
    encoder = int8.encoder(folder)
    batches = [pictures(encoder.batch, seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(encoder, batches))
    for maps, batch in zip(together, batches, strict=True):
        assert (maps == encoder(batch)).all()


@pytest.mark.slow
def test_quantising_again_writes_the_same_bytes(model: Any, folder: Path, tmp_path: Path) -> None:
    int8.quantize(model, pictures(12), tmp_path)
    for name in int8.FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"No such file or directory; run `dvc checkout`"):
        int8.encoder(tmp_path)


@pytest.mark.parametrize("name", [*int8.FILES, int8.SUMS])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_network_is_named_and_not_used(tmp_path: Path, name: str, damage: str) -> None:
    for file in int8.FILES:
        (tmp_path / file).write_bytes(b"content of the file")
    write_sums(tmp_path, int8.FILES, int8.SUMS)
    assert int8.damaged(tmp_path) is None
    content = (tmp_path / name).read_bytes()
    new = {"flipped": b"\xff" + content[1:], "cut": content[:-2], "empty": b""}[damage]
    (tmp_path / name).write_bytes(new)
    with pytest.raises(PipelineError, match=rf"{tmp_path}.*int8.*; run `dvc checkout`"):
        int8.encoder(tmp_path)


def test_the_sample_decides_over_the_network_and_its_order_counts() -> None:
    one, two = int8.circumstances(["a", "b"]), int8.circumstances(["b", "a"])
    assert one["sample"] != two["sample"]
    assert {"openvino", "nncf", "quantized"} <= set(one)


@pytest.mark.slow
def test_embed_quantises_once_and_new_images_cost_their_own_passes(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("features", ".cache"))
    edit(folder, "precision: float32", "precision: int8")
    edit(folder, "views: 30", "views: 1")
    # Fewer images than the sample has room for: every new one would change it.
    monkeypatch.setattr(int8, "SAMPLE", 20)
    index(folder, range(30))
    logged = run(folder)
    assert passes(logged) == (29, 0)
    assert "quantised to 8 bits on 20 pictures" in logged
    before = store(folder)
    assert set(int8.FILES) <= set(before)
    index(folder, range(40))
    again = run(folder)
    assert passes(again) == (10, 30)
    assert "quantised" not in again
    assert {name: store(folder)[name] for name in int8.FILES} == {
        name: before[name] for name in int8.FILES
    }
