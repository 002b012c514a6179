"""Image files to pictures and their views, decoded in threads ahead of whoever takes them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.data import augment, image_files, images
from pipeline.errors import PipelineError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Request:
    """Views of one image that are wanted, by number: 0 is the plain picture, see
    `pipeline.data.augment`; sha256 is the one of its bytes."""

    image: str
    sha256: str
    views: tuple[int, ...]


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


def read(file: Path, size: tuple[int, int] | None = None) -> tuple[Image.Image, str]:
    """A picture, upright and in RGB, and the SHA-256 of its file's bytes in hexadecimal.

    Parameters
    ----------
    size : (height, width) to which it is going to be resized; a JPEG is then decoded no larger than
        that takes.

    Raises
    ------
    ImageError
        As `images.decode`; ``unreadable`` where the file can't be read.
    """
    try:
        return images.read(file, images.enough_for(size) if size else None)
    except OSError as error:
        raise images.ImageError("unreadable", error.strerror or str(error)) from error


def loader(folder: Path, size: tuple[int, int], seed: int) -> Callable[[Request], np.ndarray]:
    """What reads and renders the views of a request, uint8 [views, height, width, 3].

    It raises a `PipelineError` for an image that can't be decoded or has another content than the
    request names: the clean stage has seen it otherwise, and features are kept under the content.
    """

    def load(request: Request) -> np.ndarray:
        try:
            picture, sha256 = read(image_files.resolve(folder, request.image), size)
        except images.ImageError as error:
            raise PipelineError(
                f"{folder / request.image}: {error.reason} ({error.detail}), although the clean "
                "stage could read it; run `dvc repro` again to clean the table anew"
            ) from error
        if sha256 != request.sha256:
            raise PipelineError(
                f"{folder / request.image}: has changed since the clean stage read it; run `dvc "
                "repro` again"
            )
        return augment.views(picture, size, request.views, seed, request.sha256)

    return load


@dataclass(frozen=True)
class Pictures:
    """Image files, decoded as they are needed: no more than a few batches are in memory.

    folder, names, sha256 : where the files are, and each one's name and hash [N].
    size : (height, width) in pixels.
    seed : of the augmented views.
    """

    folder: Path
    names: Sequence[str]
    sha256: Sequence[str]
    size: tuple[int, int]
    seed: int

    def batches(
        self, rows: np.ndarray, batch: int, view: int = 0
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """uint8 [n, h, w, 3] of ``rows`` in order, n = ``batch`` but for the last.

        Parameters
        ----------
        view : 0 is the plain picture, see `pipeline.data.augment`.
        """
        load = loader(self.folder, self.size, self.seed)
        wanted = (Request(self.names[i], self.sha256[i], (view,)) for i in rows)
        threads = len(os.sched_getaffinity(0))
        ready: list[np.ndarray] = []
        for _, views in ahead(load, wanted, threads, depth=2 * batch):
            ready.append(views[0])
            if len(ready) == batch:
                yield np.stack(ready)
                ready = []
        if ready:
            yield np.stack(ready)
