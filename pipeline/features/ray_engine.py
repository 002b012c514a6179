"""The backbone on a Ray cluster: embed's work on several machines.

Ray Data hands parts of the work to actors, each of which holds the network once and writes what it
computes into the cache that the local engine uses, too. The cluster's machines must see
the project's folder and the images under the same paths. A shard is written whole or not at all,
and Ray gives the work of a machine that is lost to another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import runtime
from pipeline.data.loading import loader
from pipeline.errors import PipelineError, one_line
from pipeline.features import cache, extract
from pipeline.features.cache import Work
from pipeline.features.weights import load

RESTARTS = 3
"""How often a worker that dies is started again, and its work given to another."""


@dataclass(frozen=True)
class Job:
    """What every actor must know; paths are absolute.

    backbone, weights : name, and the folder that stage ``backbone`` wrote.
    device : ``cpu`` or ``gpu``, on which every actor must compute: two kinds round differently.
    """

    backbone: str
    weights: Path
    precision: str
    image_size: tuple[int, int]
    images: Path
    seed: int
    grid: int | None
    device: str
    cache: Path


class Worker:
    """One actor: a network, and the batches that Ray Data gives it."""

    def __init__(self, job: Job):
        runtime.prepare(job.seed)
        if runtime.device() != job.device:
            raise PipelineError(
                f"compute.engine: ray: a worker computes on a {runtime.device()}, the machine that "
                f"runs embed on a {job.device}; use machines of one kind"
            )
        model = load(job.backbone, job.image_size, job.precision, job.weights)
        self._encoder = extract.Encoder(model, job.image_size)
        self._load = loader(job.images, job.image_size, job.seed)
        self._write = partial(cache.put, job.cache)
        self._grid = job.grid

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute `packed` lists of `Work`; the answer is how many forward passes each took."""
        counts = []
        for content in batch["work"]:
            work = unpacked(str(content))
            extract.compute(self._encoder, work, self._load, self._write, grid=self._grid)
            counts.append(sum(len(one.views) for one in work))
        return {"passes": np.array(counts, dtype=np.int64), "number": batch["number"]}


def packed(work: Sequence[Work]) -> str:
    """``work`` as a text, from which nothing but `Work` can come."""
    return json.dumps(
        [(w.image, w.sha256, w.views, [key.decode("ascii") for key in w.keys]) for w in work]
    )


def unpacked(text: str) -> list[Work]:
    """What `packed` has made a text."""
    return [
        Work(image, sha256, tuple(views), tuple(key.encode("ascii") for key in keys))
        for image, sha256, views, keys in json.loads(text)
    ]


def compute(
    job: Job,
    work: Iterable[Work],
    progress: Callable[[int], object] = lambda passes: None,
    address: str | None = None,
) -> None:
    """Compute features on a cluster and put them into the job's cache.

    Parameters
    ----------
    address : of a running cluster, see ``ray.init``; None starts one on this machine for this run.
    progress : called with the number of forward passes just done.

    Raises
    ------
    PipelineError
        If Ray is not installed, there is no cluster at the address, or a worker fails for good.
    """
    ray = _import()
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise PipelineError(
                f"params.yaml: compute.address: got {address!r}, where no Ray cluster answers "
                f"({reason}); start one with `ray start --head`, or set it to null"
            ) from None
    try:
        _run(ray, job, work, progress)
    finally:
        if started:
            ray.shutdown()


def _run(ray: Any, job: Job, work: Iterable[Work], progress: Callable[[int], object]) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True
    batch = extract.batch_size(job.image_size) * extract.SHARD_BATCHES
    parts = list(portions(work, batch))
    rows = [{"number": number, "work": packed(part)} for number, part in enumerate(parts)]
    resources, actors = placement(ray.nodes())
    computed = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        Worker,
        fn_constructor_args=(job,),
        batch_size=1,
        concurrency=(1, max(1, min(actors, len(rows)))),
        # Ray's own bound is none: what kills a worker each time would look like a run that hangs.
        max_restarts=RESTARTS,
        max_task_retries=RESTARTS,
        **resources,
    )
    left = dict(enumerate(parts))
    try:
        for done in computed.iter_batches(batch_size=None):
            progress(int(done["passes"].sum()))
            for number in done["number"]:
                left.pop(int(number))
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, PipelineError):
            raise PipelineError(one_line(cause)) from None
        first = next(iter(left.values()), [])
        among = f" among the pictures from {first[0].image} to {first[-1].image}" if first else ""
        raise PipelineError(
            f"a worker of the Ray cluster failed{among}: {one_line(cause)[-400:]}; with "
            "compute.engine local the picture is named"
        ) from None


def portions(work: Iterable[Work], passes: int) -> Iterator[list[Work]]:
    """``work`` cut into lists of at least so many forward passes each, but for the last."""
    portion: list[Work] = []
    count = 0
    for one in work:
        portion.append(one)
        count += len(one.views)
        if count >= passes:
            yield portion
            portion, count = [], 0
    if portion:
        yield portion


def placement(nodes: Iterable[dict[str, Any]]) -> tuple[dict[str, float], int]:
    """What an actor reserves, and how many fit: one per GPU, or without any one per machine.

    A network spreads over all processors of its machine by itself. Machines of several sizes share
    the reservation of the smallest.
    """
    alive = [node.get("Resources", {}) for node in nodes if node.get("Alive")]
    gpus = sum(int(resources.get("GPU", 0)) for resources in alive)
    if gpus:
        return {"num_gpus": 1}, gpus
    processors = [int(r["CPU"]) for r in alive if r.get("CPU", 0) >= 1] or [1]
    smallest = min(processors)
    return {"num_cpus": smallest}, sum(count // smallest for count in processors)


def _import() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise PipelineError(
            f"params.yaml: compute.engine: got 'ray', but Ray is not installed ({error}); run "
            "pip install -c constraints.txt -e '.[ray]', or set it to local"
        ) from None
    return ray
