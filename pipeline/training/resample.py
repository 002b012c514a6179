"""Class balance by index: which training rows a fit sees how often, and with what weight."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from imblearn.over_sampling import RandomOverSampler


def oversample(labels: np.ndarray, seed: int) -> npt.NDArray[np.intp]:
    """Indices into ``labels`` in which the minority class is repeated until both are as many.

    Every index occurs at least once; the repeats are drawn with replacement by imbalanced-learn's
    `RandomOverSampler`. Call it on the training part alone, after the split: a copy on the other
    side of a split would be a leak.

    Parameters
    ----------
    labels : [n], 0 and 1, none unknown.

    Raises
    ------
    ValueError
        If a label is unknown or only one class is there.
    """
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("over-sampling needs labels of 0 and 1, none unknown")
    sampler = RandomOverSampler(random_state=seed)
    sampler.fit_resample(np.arange(len(labels)).reshape(-1, 1), np.asarray(labels, dtype=int))
    return np.asarray(sampler.sample_indices_, dtype=np.intp)


def balanced_weights(labels: np.ndarray) -> npt.NDArray[np.float32]:
    """A weight per label, float32 [n], that gives both classes the same sum and the mean 1."""
    labels = np.asarray(labels)
    positive = labels.mean()
    return np.where(labels == 1, 0.5 / positive, 0.5 / (1 - positive)).astype(np.float32)


def occurrence(indices: np.ndarray) -> npt.NDArray[np.intp]:
    """How often each entry of ``indices`` occurred before, [n]: 0 for a first occurrence.

    Duplicates of an over-sampled image take different views by it.
    """
    order = np.argsort(indices, kind="stable")
    ranked = indices[order]
    _, starts, counts = np.unique(ranked, return_index=True, return_counts=True)
    first = np.repeat(starts, counts)
    out = np.empty(len(indices), dtype=np.intp)
    out[order] = np.arange(len(indices)) - first
    return out
