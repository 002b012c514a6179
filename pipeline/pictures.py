"""Pictures of a table in batches, for networks that are trained on them and not on features."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline import embedding
from pipeline.passes import Work


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
        view : 0 is the plain picture, see `pipeline.augment`.
        """
        load = embedding.loader(self.folder, self.size, self.seed)
        work = (Work(self.names[i], self.sha256[i], (view,), ()) for i in rows)
        threads = len(os.sched_getaffinity(0))
        ready: list[np.ndarray] = []
        for _, views in embedding.ahead(load, work, threads, depth=2 * batch):
            ready.append(views[0])
            if len(ready) == batch:
                yield np.stack(ready)
                ready = []
        if ready:
            yield np.stack(ready)
