"""One score per image from the heads of all folds, none of which was fitted on it."""

from __future__ import annotations

import numpy as np


def out_of_fold(scores: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """One score per image, [N]: its own fold's head for training images, else the heads' mean.

    Parameters
    ----------
    scores : [K, N] logits or probabilities of head k for image i.
    fold : [N], -1 outside training.
    """
    one = np.zeros(scores.shape[1], dtype=scores.dtype)
    outside = fold < 0
    one[outside] = scores[:, outside].mean(axis=0)
    inside = np.flatnonzero(~outside)
    one[inside] = scores[fold[inside], inside]
    return one
