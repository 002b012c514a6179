"""Whether the pictures say anything about an attribute."""

from __future__ import annotations

import numpy as np

from pipeline.metrics import auc, auc_interval

ERROR_RATE = 0.05
"""Probability, over all attributes together, of calling one learnable that is not."""


def is_learnable(logits: np.ndarray, labels: np.ndarray, attributes: int) -> bool:
    """Whether the out-of-fold AUC can be told from chance.

    Its interval, at a level corrected for the number of attributes (Bonferroni), must lie above
    0.5.

    Parameters
    ----------
    logits, labels : [n] out-of-fold logits and known labels, 0 and 1.
    attributes : how many attributes are asked about.
    """
    area = auc(labels, logits)
    if np.isnan(area):
        return False
    positive = int((labels == 1).sum())
    # Only one side counts: the other end of a two-sided interval carries as much error again.
    level = 1 - 2 * ERROR_RATE / attributes
    low, _ = auc_interval(area, positive, len(labels) - positive, level=level)
    return bool(low > 0.5)
