"""Losses on logits that leave unknown cells out."""

from __future__ import annotations

from typing import Any


def masked_cross_entropy(
    targets: Any, logits: Any, weights: Any | None = None, gamma: float = 0.0
) -> Any:
    """Mean binary cross-entropy over the known cells; unknown ones get exactly zero gradient.

    Parameters
    ----------
    targets : float tensor [B, K], 1, 0 or NaN for unknown; between 0 and 1 for soft targets.
    logits : float tensor [B, K].
    weights
        float tensor [B, K] or broadcastable, multiplies each cell's loss; the mean is over the
        sum of the weights.
    gamma
        Focusing parameter of the focal loss, (1 - p_t)^gamma times the cross-entropy (Lin et al.
        2017, arXiv:1708.02002); 0 is plain cross-entropy.

    Returns
    -------
    Scalar tensor; 0 when no cell is known.
    """
    import tensorflow as tf

    known = tf.logical_not(tf.math.is_nan(targets))
    # NaN must not reach the loss even where its weight is zero: 0 * NaN is NaN, in gradients too.
    safe = tf.where(known, targets, tf.zeros_like(targets))
    loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=safe, logits=logits)
    if gamma:
        p = tf.sigmoid(logits)
        miss = safe * (1.0 - p) + (1.0 - safe) * p
        loss *= tf.pow(tf.maximum(miss, 1e-7), gamma)
    mass = tf.cast(known, loss.dtype)
    if weights is not None:
        mass *= weights
    return tf.math.divide_no_nan(tf.reduce_sum(mass * loss), tf.reduce_sum(mass))
