"""Class balance by index: which training rows a fit sees how often, and with what weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from imblearn.over_sampling import RandomOverSampler
from sklearn.utils.class_weight import compute_sample_weight


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
    return np.asarray(compute_sample_weight("balanced", labels), dtype=np.float32)


def occurrence(indices: np.ndarray) -> npt.NDArray[np.intp]:
    """How often each entry of ``indices`` occurred before, [n]: 0 for a first occurrence.

    Duplicates of an over-sampled image take different views by it.
    """
    return np.asarray(pd.Series(indices).groupby(indices).cumcount(), dtype=np.intp)


@dataclass(frozen=True)
class Balancing:
    """What a fit does about a rare class.

    rows : (labels, seed) -> indices into the labels that are fitted on; None is each once.
    weights : labels -> a weight for each; None is 1.
    loss : a name in `losses.LOSSES`.
    """

    rows: Callable[[np.ndarray, int], npt.NDArray[np.intp]] | None = None
    weights: Callable[[np.ndarray], npt.NDArray[np.float32]] | None = None
    loss: str = "cross_entropy"

    @property
    def shifts_prevalence(self) -> bool:
        """Whether the classes count alike in the fit, so that logits lack the prior log-odds."""
        return self.rows is not None or self.weights is not None


IMBALANCE: dict[str, Balancing] = {
    "oversample": Balancing(rows=oversample),
    "class_weight": Balancing(weights=balanced_weights),
    "focal": Balancing(loss="focal"),
    "none": Balancing(),
}
"""Those that ``imbalance`` in params.yaml names."""
