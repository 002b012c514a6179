"""Losses on logits that leave unknown cells out: sigmoid ones for binary attributes, softmax ones
for categorical attributes, whose values are columns side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

CROSS_ENTROPY, WEIGHTED, FOCAL = "cross_entropy", "weighted", "focal"
LOSSES = (CROSS_ENTROPY, WEIGHTED, FOCAL)
CALIBRATED = CROSS_ENTROPY
"""The one whose minimum is the true probability; the others trade that for the rare class."""
CATEGORICAL_LOSSES = (CROSS_ENTROPY, FOCAL)
"""Those that a categorical attribute can have: it has no positive class to be weighted."""
FOCAL_GAMMA = 2.0
"""The focusing parameter that Lin et al. 2017 found best."""


@dataclass(frozen=True)
class Objective:
    """What a fit minimises.

    gamma : focusing parameter of the focal loss; 0 is cross-entropy.
    softmax : (start, stop) of each categorical attribute's columns; all other columns are binary.
    positive_weight : per column, multiplies the loss of a binary one's positive cells; None is 1.
    """

    gamma: float = 0.0
    softmax: tuple[tuple[int, int], ...] = ()
    positive_weight: tuple[float, ...] | None = None

    def part(self, start: int, stop: int) -> Objective:
        """That of the columns from ``start`` to before ``stop`` alone."""
        inside = [(a, b) for a, b in self.softmax if start <= a and b <= stop]
        weight = self.positive_weight
        return Objective(
            gamma=self.gamma,
            softmax=tuple((a - start, b - start) for a, b in inside),
            positive_weight=None if weight is None else weight[start:stop],
        )


def objective(
    kind: str, labels: np.ndarray, softmax: tuple[tuple[int, int], ...] = ()
) -> Objective:
    """The objective that ``loss: kind`` in params.yaml stands for.

    Parameters
    ----------
    kind : a name in `LOSSES`.
    labels : [N, K] known training labels, NaN for unknown, for `positive_weights`.
    """
    return Objective(
        gamma=FOCAL_GAMMA if kind == FOCAL else 0.0,
        softmax=softmax,
        positive_weight=positive_weights(labels) if kind == WEIGHTED else None,
    )


def positive_weights(labels: np.ndarray) -> tuple[float, ...]:
    """Negatives / positives of each column [N, K] of 1, 0 and NaN; 1 where either is absent."""
    positive, negative = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    both = (positive > 0) & (negative > 0)
    return tuple(np.where(both, negative / np.maximum(positive, 1), 1.0).tolist())


def masked_cross_entropy(
    targets: Any, logits: Any, weights: Any | None = None, objective: Objective | None = None
) -> Any:
    """Mean cross-entropy over the known cells; unknown ones get exactly zero gradient.

    Parameters
    ----------
    targets
        float tensor [B, K], 1, 0 or NaN for unknown; between 0 and 1 for soft targets. The columns
        of a categorical attribute are one cell, unknown where any of them is NaN or all are 0;
        positive ones are taken as shares.
    logits : float tensor [B, K].
    weights
        float tensor [B, K], multiplies each cell's loss; the mean is over the sum of the weights.
        A categorical cell's is that of its first column.
    objective
        With ``gamma``, a cell's loss is (1 - p_t)^gamma times its cross-entropy (Lin et al. 2017,
        arXiv:1708.02002), p_t the probability given to the truth. None is plain cross-entropy of
        binary columns.

    Returns
    -------
    Scalar tensor; 0 when no cell is known.
    """
    import tensorflow as tf

    objective = objective or Objective()
    if weights is None:
        weights = tf.ones_like(logits)
    columns = np.arange(logits.shape[1])
    grouped = [np.arange(start, stop) for start, stop in objective.softmax]
    binary = np.setdiff1d(columns, np.concatenate(grouped)) if grouped else columns
    losses, masses = [], []
    if len(binary):
        y, z, mass = targets, logits, weights
        if grouped:
            y, z, mass = (tf.gather(x, binary, axis=1) for x in (targets, logits, weights))
        loss, known = _sigmoid(y, z, objective, binary)
        losses.append(tf.reduce_sum(tf.where(known, loss * mass, 0.0)))
        masses.append(tf.reduce_sum(tf.where(known, mass, 0.0)))
    for start, stop in objective.softmax:
        loss, known = _softmax(targets[:, start:stop], logits[:, start:stop], objective.gamma)
        mass = weights[:, start]
        losses.append(tf.reduce_sum(tf.where(known, loss * mass, 0.0)))
        masses.append(tf.reduce_sum(tf.where(known, mass, 0.0)))
    return tf.math.divide_no_nan(tf.add_n(losses), tf.add_n(masses))


def _sigmoid(
    targets: Any, logits: Any, objective: Objective, columns: np.ndarray
) -> tuple[Any, Any]:
    """Loss of each binary cell, and whether it is known, [B, K] both."""
    import tensorflow as tf

    known = tf.logical_not(tf.math.is_nan(targets))
    # NaN must not reach the loss even where its weight is zero: 0 * NaN is NaN, in gradients too.
    safe = tf.where(known, targets, tf.zeros_like(targets))
    if objective.positive_weight is None:
        loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=safe, logits=logits)
    else:
        weight = np.array(objective.positive_weight, dtype=np.float32)[columns]
        loss = tf.nn.weighted_cross_entropy_with_logits(safe, logits, weight)
    if objective.gamma:
        p = tf.sigmoid(logits)
        miss = safe * (1.0 - p) + (1.0 - safe) * p
        loss *= tf.pow(tf.maximum(miss, 1e-7), objective.gamma)
    return loss, known


def _softmax(targets: Any, logits: Any, gamma: float) -> tuple[Any, Any]:
    """Loss of each categorical cell, and whether it is known, [B] both."""
    import tensorflow as tf

    total = tf.reduce_sum(targets, axis=1)
    known = total > 0  # False for NaN, too
    share = tf.where(known[:, None], targets, tf.zeros_like(targets))
    share = tf.math.divide_no_nan(share, tf.reduce_sum(share, axis=1, keepdims=True))
    loss = tf.nn.softmax_cross_entropy_with_logits(labels=share, logits=logits)
    if gamma:
        miss = 1.0 - tf.reduce_sum(share * tf.nn.softmax(logits), axis=1)
        loss *= tf.pow(tf.maximum(miss, 1e-7), gamma)
    return loss, known
