"""The backbone on a Ray cluster: embed's work on several machines.

Parts of the work go to actors, each of which holds the network once and writes what it computes
into the cache that the local engine uses, too. The cluster's machines must see the project's folder
and the images under the same paths. A shard is written whole or not at all, and the work of a
machine that is lost goes to another.

Parts are given out here and not by Ray Data, which in one of three trials waited for ever for a
machine that was gone, its retries notwithstanding (Ray 2.60).
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import runtime
from pipeline.data.loading import loader
from pipeline.errors import PipelineError, one_line
from pipeline.features import cache, extract
from pipeline.features.cache import Work
from pipeline.features.weights import load

LOSSES = 3
"""How often a part of the work may lose its worker. Before the last time it is cut into single
pictures, so that the one that kills its worker each time is named."""


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


@dataclass(frozen=True)
class Part:
    """Some of the work, and how often it has lost its worker."""

    work: Sequence[Work]
    losses: int = 0

    def again(self) -> list[Part]:
        """What to give out once the worker is lost; nothing where that has happened too often."""
        losses = self.losses + 1
        if losses < LOSSES:
            return [Part(self.work, losses)]
        if len(self.work) > 1:
            return [Part([one], LOSSES - 2) for one in self.work]
        return []


class Worker:
    """One actor: a network, and the parts that it is given."""

    def __init__(self, job: Job):
        self._job = job
        self._compute: Callable[[Iterable[Work]], object] | None = None

    def compute(self, content: str) -> int:
        """Compute a `packed` list of `Work`; the answer is how many forward passes it took."""
        if self._compute is None:
            # Not when it is made: an error is then the part's, and not a lost worker.
            self._compute = _computation(self._job)
        work = unpacked(content)
        self._compute(work)
        return sum(len(one.views) for one in work)


def _computation(job: Job) -> Callable[[Iterable[Work]], object]:
    runtime.prepare(job.seed)
    if runtime.device() != job.device:
        raise PipelineError(
            f"compute.engine: ray: a worker computes on a {runtime.device()}, the machine that "
            f"runs embed on a {job.device}; use machines of one kind"
        )
    model = load(job.backbone, job.image_size, job.precision, job.weights)
    return partial(
        extract.compute,
        extract.Encoder(model, job.image_size),
        load=loader(job.images, job.image_size, job.seed),
        write=partial(cache.put, job.cache),
        grid=job.grid,
    )


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
    batch = extract.batch_size(job.image_size) * extract.SHARD_BATCHES
    waiting = deque(Part(portion) for portion in portions(work, batch))
    running: dict[Any, tuple[Any, Part]] = {}
    idle: list[Any] = []
    resources, most = placement(ray.nodes())
    while waiting or running:
        while waiting and len(running) < most:
            actor = idle.pop() if idle else ray.remote(**resources)(Worker).remote(job)
            part = waiting.popleft()
            running[actor.compute.remote(packed(part.work))] = actor, part
        while idle:  # Its processors may be what an actor that has not started yet waits for.
            ray.kill(idle.pop())
        (done, *_), _ = ray.wait(list(running))
        actor, part = running.pop(done)
        try:
            progress(ray.get(done))
        except _lost(ray) as error:
            ray.kill(actor)
            again = part.again()
            if not again:
                raise PipelineError(
                    f"{job.images / part.work[0].image}: its worker of the Ray cluster was lost "
                    f"each time: {one_line(error)[-300:]}; take the image out, or see with "
                    "compute.engine local what is wrong"
                ) from None
            waiting.extend(again)
            # Until a lost machine is noticed, new actors may be sent to it.
            time.sleep(1)
            resources, most = placement(ray.nodes())
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, PipelineError):
                raise PipelineError(one_line(cause)) from None
            first, last = part.work[0].image, part.work[-1].image
            raise PipelineError(
                f"a worker of the Ray cluster failed among the pictures from {first} to {last}: "
                f"{one_line(cause)[-400:]}; with compute.engine local the picture is named"
            ) from None
        else:
            idle.append(actor)


def _lost(ray: Any) -> tuple[type[Exception], ...]:
    """What Ray raises where a process or a machine is gone, not where code fails."""
    errors = ray.exceptions
    return (
        errors.RayActorError,
        errors.NodeDiedError,
        errors.ObjectLostError,
        errors.OutOfMemoryError,
        errors.WorkerCrashedError,
    )


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
    except ImportError as error:
        raise PipelineError(
            f"params.yaml: compute.engine: got 'ray', but Ray is not installed ({error}); run "
            "pip install -c constraints.txt -e '.[ray]', or set it to local"
        ) from None
    return ray
