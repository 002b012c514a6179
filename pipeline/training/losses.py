"""Losses on logits that leave unknown cells out: sigmoid ones for binary attributes, softmax ones
for categorical attributes, whose values are columns side by side.

Those of `keras.losses` average over the columns and know no unknown cells; its focal one takes the
cross-entropy of clipped probabilities in place of logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FOCAL_GAMMA = 2.0
"""The focusing parameter that Lin et al. 2017 found best."""


@dataclass(frozen=True)
class Loss:
    """The loss of a cell, whose target is known.

    binary : (targets, logits, positive_weight), [B, K] the former two, the last one [K] or None,
        see `Objective` -> [B, K].
    categorical : (targets, logits), [B, V] both, of targets that sum to 1 -> [B]; None where a
        categorical attribute can't have this loss.
    """

    binary: Callable[[Any, Any, Any], Any]
    categorical: Callable[[Any, Any], Any] | None = None


def cross_entropy(targets: Any, logits: Any, positive_weight: Any) -> Any:
    """Of the sigmoid; ``positive_weight`` has no part in it."""
    import tensorflow as tf

    return tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)


def softmax_cross_entropy(targets: Any, logits: Any) -> Any:
    """Of the softmax."""
    import tensorflow as tf

    return tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)


def weighted(targets: Any, logits: Any, positive_weight: Any) -> Any:
    """Cross-entropy with positive cells' times ``positive_weight``, 1 where that is None."""
    import tensorflow as tf

    weight = 1.0 if positive_weight is None else positive_weight
    return tf.nn.weighted_cross_entropy_with_logits(targets, logits, weight)


def focal(targets: Any, logits: Any, positive_weight: Any, gamma: float = FOCAL_GAMMA) -> Any:
    """(1 - p_t)^gamma times the cross-entropy, p_t the probability given to the truth (Lin et al.
    2017, arXiv:1708.02002)."""
    import tensorflow as tf

    p = tf.sigmoid(logits)
    miss = targets * (1.0 - p) + (1.0 - targets) * p
    factor = tf.pow(tf.maximum(miss, 1e-7), gamma)
    return cross_entropy(targets, logits, positive_weight) * factor


def softmax_focal(targets: Any, logits: Any, gamma: float = FOCAL_GAMMA) -> Any:
    """The same of the softmax."""
    import tensorflow as tf

    miss = 1.0 - tf.reduce_sum(targets * tf.nn.softmax(logits), axis=1)
    return softmax_cross_entropy(targets, logits) * tf.pow(tf.maximum(miss, 1e-7), gamma)


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(cross_entropy, softmax_cross_entropy),
    # A categorical attribute has no positive class to be weighted.
    "weighted": Loss(weighted),
    "focal": Loss(focal, softmax_focal),
}
"""Those that ``loss`` in params.yaml names."""


@dataclass(frozen=True)
class Objective:
    """What a fit minimises.

    loss : a name in `LOSSES`.
    softmax : (start, stop) of each categorical attribute's columns; all other columns are binary.
    positive_weight : per column, how much more a binary one's positive cells count than its
        negative ones, for losses that weigh them; None is 1.
    """

    loss: str = "cross_entropy"
    softmax: tuple[tuple[int, int], ...] = ()
    positive_weight: tuple[float, ...] | None = None

    def columns(self, start: int, stop: int) -> Objective:
        """That of the columns from ``start`` to before ``stop`` alone."""
        inside = [(a, b) for a, b in self.softmax if start <= a and b <= stop]
        weight = self.positive_weight
        return Objective(
            loss=self.loss,
            softmax=tuple((a - start, b - start) for a, b in inside),
            positive_weight=None if weight is None else weight[start:stop],
        )


def objective(
    loss: str, labels: np.ndarray, softmax: tuple[tuple[int, int], ...] = ()
) -> Objective:
    """The objective that ``loss`` in params.yaml stands for.

    Parameters
    ----------
    labels : [N, K] known training labels, NaN for unknown, for `positive_weights`.
    """
    return Objective(loss, softmax, positive_weights(labels))


def constant_logits(
    targets: np.ndarray, weights: np.ndarray | None, objective: Objective
) -> npt.NDArray[np.float32]:
    """Logits float32 [K] of the best prediction that is the same for all rows: where a fit starts.

    The share of positives in log-odds, one cell added to each class (of a categorical attribute,
    logarithms of shares); that much more of them where positive cells weigh more. Started from zero
    logits, a fit spends its first epochs on the prevalence, and one that ends there never gets to
    it (Lin et al. 2017, section 3.3, arXiv:1708.02002).

    Parameters
    ----------
    targets, weights : [N, K] as in `masked_loss`; None is 1 for all.
    """
    known = ~np.isnan(targets)
    mass = np.where(known, 1.0 if weights is None else weights, 0.0)
    positive = (mass * np.clip(np.nan_to_num(targets), 0, 1)).sum(axis=0)
    total = mass.sum(axis=0)
    logits = np.log(positive + 1) - np.log(total - positive + 1) + balance(objective)
    for start, stop in objective.softmax:
        logits[start:stop] = np.log((positive[start:stop] + 1) / (positive[start:stop] + 1).sum())
    return np.asarray(logits, dtype=np.float32)


def balance(objective: Objective) -> npt.NDArray[np.float64] | float:
    """What the objective adds to the logits, [K] or 0, by counting positive cells more."""
    if objective.loss != "weighted" or objective.positive_weight is None:
        return 0.0
    return np.log(objective.positive_weight)


def positive_weights(labels: np.ndarray) -> tuple[float, ...]:
    """Negatives / positives of each column [N, K] of 1, 0 and NaN; 1 where either is absent."""
    positive, negative = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    both = (positive > 0) & (negative > 0)
    return tuple(np.where(both, negative / np.maximum(positive, 1), 1.0).tolist())


def masked_loss(
    targets: Any, logits: Any, weights: Any | None = None, objective: Objective | None = None
) -> Any:
    """Mean loss over the known cells; unknown ones get exactly zero gradient.

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
    objective : None is plain cross-entropy of binary columns.

    Returns
    -------
    Scalar tensor; 0 when no cell is known.

    Raises
    ------
    ValueError
        If the objective's loss is none for categorical attributes, and there are some.
    """
    import tensorflow as tf

    objective = objective or Objective()
    loss_of = LOSSES[objective.loss]
    if weights is None:
        weights = tf.ones_like(logits)
    columns = np.arange(logits.shape[1])
    grouped = [np.arange(start, stop) for start, stop in objective.softmax]
    binary = np.setdiff1d(columns, np.concatenate(grouped)) if grouped else columns
    losses, masses = [], []

    def add(loss: Any, known: Any, mass: Any) -> None:
        losses.append(tf.reduce_sum(tf.where(known, loss * mass, 0.0)))
        masses.append(tf.reduce_sum(tf.where(known, mass, 0.0)))

    if len(binary):
        y, z, mass = targets, logits, weights
        if grouped:
            y, z, mass = (tf.gather(x, binary, axis=1) for x in (targets, logits, weights))
        known = tf.logical_not(tf.math.is_nan(y))
        # NaN must not reach the loss even where its weight is zero: 0 * NaN is NaN, in gradients
        # too.
        y = tf.where(known, y, tf.zeros_like(y))
        weight = objective.positive_weight
        positive = None if weight is None else np.array(weight, dtype=np.float32)[binary]
        add(loss_of.binary(y, z, positive), known, mass)
    for start, stop in objective.softmax:
        if loss_of.categorical is None:
            raise ValueError(f"loss {objective.loss!r} is none for categorical attributes")
        y, z = targets[:, start:stop], logits[:, start:stop]
        known = tf.reduce_sum(y, axis=1) > 0  # False for NaN, too
        share = tf.where(known[:, None], y, tf.zeros_like(y))
        share = tf.math.divide_no_nan(share, tf.reduce_sum(share, axis=1, keepdims=True))
        add(loss_of.categorical(share, z), known, weights[:, start])
    return tf.math.divide_no_nan(tf.add_n(losses), tf.add_n(masses))
