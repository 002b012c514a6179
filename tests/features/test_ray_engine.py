from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import runtime
from pipeline.data import loading
from pipeline.errors import PipelineError
from pipeline.features import backbones, cache, extract, ray_engine, weights
from pipeline.features.cache import Work
from pipeline.features.ray_engine import Job, Part
from pipeline.features.store import FeatureStore

SIZE = (64, 64)
IMAGES, VIEWS = 48, 8


def test_portions_have_full_batches_but_for_the_last() -> None:
    work = [Work(str(i), str(i), (0, 1, 2), (b"",) * 3) for i in range(7)]
    cut = list(ray_engine.portions(iter(work), 8))
    assert [len(portion) for portion in cut] == [3, 3, 1]
    assert [one for portion in cut for one in portion] == work
    assert list(ray_engine.portions([], 8)) == []


def test_work_travels_as_a_text() -> None:
    work = [
        Work("a/b.jpg", "0" * 64, (0, 2), (b"1" * 40, b"2" * 40)),
        Work("caf\udce9.jpg", "f" * 64, (), ()),
    ]
    assert ray_engine.unpacked(ray_engine.packed(work)) == work


def test_a_part_that_loses_its_workers_is_cut_into_pictures_and_then_given_up() -> None:
    work = [Work(str(i), str(i), (0,), (b"",)) for i in range(3)]
    lost = Part(work)
    for losses in range(1, ray_engine.LOSSES):
        (lost,) = lost.again()
        assert (lost.work, lost.losses) == (work, losses)
    pictures = lost.again()
    assert [one for picture in pictures for one in picture.work] == work
    # A picture that merely stood beside the one that kills its worker has another try.
    (again,) = pictures[0].again()
    assert again.work == [work[0]]
    assert again.again() == []


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{"CPU": 4.0}, {"CPU": 8.0}], ({"num_cpus": 4}, 3)),
        ([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 64.0}], ({"num_gpus": 1}, 2)),
        ([{"CPU": 0.0}], ({"num_cpus": 1}, 1)),
    ],
)
def test_placement(resources: list[dict[str, float]], expected: tuple[dict[str, int], int]) -> None:
    nodes = [{"Alive": True, "Resources": one} for one in resources]
    assert ray_engine.placement([*nodes, {"Alive": False, "Resources": {"CPU": 1.0}}]) == expected


def test_without_ray_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    job = Job("vgg19", tmp_path, "float32", SIZE, tmp_path, 0, None, "cpu", tmp_path)
    with pytest.raises(PipelineError, match=r"compute\.engine: got 'ray'.*'\.\[ray\]'"):
        ray_engine.compute(job, [])


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two machines with a processor each, as far as Ray can tell."""
    ray = pytest.importorskip("ray", reason="Ray is an extra")
    from ray.cluster_utils import Cluster

    # Else other work on this machine comes first.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - its name
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "images").mkdir()
    (tmp_path / "backbone").mkdir()
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((80, 70)).save(tmp_path / f"images/{number}.png")
    model = backbones.build("mobilenet_v2", SIZE)
    weights.randomise(model, 1)
    model.network.save_weights(tmp_path / "backbone/backbone.weights.h5")
    return Job(
        backbone="mobilenet_v2",
        weights=tmp_path / "backbone",
        precision="float32",
        image_size=SIZE,
        images=tmp_path / "images",
        seed=3,
        grid=None,
        device=runtime.device(),
        cache=tmp_path / "cluster",
    )


@pytest.mark.slow
def test_a_machine_lost_in_the_middle_loses_nothing(
    cluster: Any, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "SHARD_BATCHES", 1)
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    names = [f"{number}.png" for number in range(IMAGES)]
    contents = [hashlib.sha256((job.images / name).read_bytes()).hexdigest() for name in names]
    keys = cache.keys(contents, VIEWS, job.seed)
    work = cache.missing(job.cache, names, contents, keys)
    counted: list[int] = []

    def progress(count: int) -> None:
        if not counted:
            cluster.remove_node(second, allow_graceful=False)
        counted.append(count)

    ray_engine.compute(job, work, progress)
    assert sum(counted) == IMAGES * VIEWS
    assert len(counted) > 2

    encoder = extract.Encoder(weights.load(job.backbone, SIZE, job.precision, job.weights), SIZE)
    load = loading.loader(job.images, SIZE, job.seed)
    extract.compute(encoder, work, load, partial(cache.put, tmp_path / "local"))
    stores = []
    index = pd.DataFrame({"image": names, "sha256": contents})
    for folder in (job.cache, tmp_path / "local"):
        (tmp_path / f"store of {folder.name}").mkdir()
        cache.assemble(folder, keys, index, {}, tmp_path / f"store of {folder.name}")
        stores.append(FeatureStore(tmp_path / f"store of {folder.name}"))
    everything = np.arange(IMAGES)
    for view in range(VIEWS):
        for read in (FeatureStore.maps, FeatureStore.pooled):
            one, other = (read(store, everything, view) for store in stores)
            np.testing.assert_array_equal(one, other)
    # A worker's error arrives as the one line that it is.
    work = [replace(work[0], sha256="0" * 64)]
    with pytest.raises(PipelineError, match=r"^[^\n]*0\.png: has changed since[^\n]*$"):
        ray_engine.compute(job, work)


@pytest.mark.slow
def test_a_picture_that_kills_its_worker_each_time_is_named(
    cluster: Any, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cluster
    names = [f"{number}.png" for number in range(4)]
    contents = [hashlib.sha256((job.images / name).read_bytes()).hexdigest() for name in names]
    work = cache.missing(job.cache, names, contents, cache.keys(contents, 1, job.seed))

    class Killed(ray_engine.Worker):
        def compute(self, content: str) -> int:
            if "2.png" in content:
                os._exit(1)
            return len(ray_engine.unpacked(content))

    monkeypatch.setattr(ray_engine, "Worker", Killed)
    counted: list[int] = []
    with pytest.raises(PipelineError, match=r"^[^\n]*2\.png: its worker [^\n]* lost each time"):
        ray_engine.compute(job, work, counted.append)
    assert sum(counted) in (2, 3)
