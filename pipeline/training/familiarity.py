"""Whether a picture is like those that a classifier was trained on, by its nearest neighbour.

Sun et al. 2022 (ICML, "Out-of-distribution detection with deep nearest neighbors"): distances
between pooled features of length 1. A picture is unlike all training pictures where its distance to
the nearest of them is more than 99 % of these have to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import fail
from pipeline.features.matrices import MeanOfViews
from pipeline.npy import DAMAGE
from pipeline.training.heads import WAY_OUT

NAME = "familiar.npz"
MOST = 2000
"""Training pictures kept at most, a seeded draw of them."""
SHARE = 0.99
BLOCK = 512


@dataclass(frozen=True)
class Familiarity:
    """reference : float16 [m, C], features of length 1 of training pictures; limit : the distance
    beyond which a picture is unlike them, from 0 to 2."""

    reference: npt.NDArray[np.float16]
    limit: float

    def unlike(self, features: np.ndarray) -> npt.NDArray[np.bool_]:
        """bool [n] of pooled features [n, C]."""
        return _nearest(_of_length_1(features), self._whole) > self.limit

    @cached_property
    def _whole(self) -> npt.NDArray[np.float32]:
        return self.reference.astype(np.float32)  # once: it takes longer than the distances


def fit(features: np.ndarray | MeanOfViews, seed: int) -> Familiarity:
    """From pooled features [n, C] of the training pictures, n at least 2."""
    rows = np.arange(len(features))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng([seed, MOST]).choice(rows, MOST, replace=False))
    reference = _of_length_1(features[rows]).astype(np.float16)
    to_others = _nearest(reference, reference, but_itself=True)
    return Familiarity(reference, float(np.quantile(to_others, SHARE)))


def write(familiarity: Familiarity, folder: Path) -> None:
    """The same arrays give the same bytes: NumPy dates a member of the archive 1980."""
    np.savez(folder / NAME, reference=familiarity.reference, limit=familiarity.limit)


def read(folder: Path) -> Familiarity | None:
    """What `write` wrote; None where there is none.

    Raises
    ------
    PipelineError
        If the file is not one of ours.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            found = Familiarity(file["reference"], float(file["limit"]))
        if found.reference.ndim != 2 or found.reference.dtype != np.float16:
            raise ValueError(f"{found.reference.dtype} {list(found.reference.shape)}")
        if not (np.isfinite(found.reference).all() and np.isfinite(found.limit)):
            raise ValueError("numbers that are not finite")
    except DAMAGE as error:
        fail(path, f"can't be read ({type(error).__name__}); {WAY_OUT}")
    return found


def _of_length_1(features: np.ndarray) -> npt.NDArray[np.float32]:
    x = np.asarray(features, dtype=np.float32)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _nearest(
    features: np.ndarray, reference: np.ndarray, but_itself: bool = False
) -> npt.NDArray[np.float64]:
    """Distance [n] of each row to the nearest of ``reference``, or to the nearest other row."""
    whole = reference.astype(np.float32, copy=False)
    out = np.empty(len(features))
    for start in range(0, len(features), BLOCK):
        block = features[start : start + BLOCK].astype(np.float32)
        cosine = block @ whole.T
        if but_itself:
            cosine[np.arange(len(block)), np.arange(start, start + len(block))] = -1.0
        out[start : start + BLOCK] = np.sqrt(np.maximum(2 - 2 * cosine.max(axis=1), 0))
    return out
