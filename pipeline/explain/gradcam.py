"""Where a head's evidence sits on its own map: Grad-CAM.

Selvaraju et al. (2017), Grad-CAM, ICCV, arXiv:1610.02391. The gradient is taken inside the head, so
that it doesn't matter what computes the backbone, be it 8-bit integers. Libraries were looked at:
Xplique's bounds shut out the TensorFlow and scikit-learn that are used here, and eli5 brings a
dependency for a dozen lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.training.inference import HeadInput


def heat(heads: Sequence[HeadInput], column: int) -> npt.NDArray[np.float64] | None:
    """Where the picture speaks for a column; Grad-CAM doesn't say what speaks against it.

    Returns
    -------
    float64 [h, w] of the head's map, 0 to 1 and 1 at its strongest place, or 0 throughout; None
    where the column's head has no such layer (`last_map`).
    """
    for head, features, (start, stop) in heads:
        layer = last_map(head)
        if start <= column < stop and layer is not None:
            return grad_cam(head, layer, features, column - start)
    return None


def grad_cam(head: Any, layer: Any, features: np.ndarray, output: int) -> npt.NDArray[np.float64]:
    """The map of ``layer``, each channel weighed by the mean over its places of the logit's
    gradient, summed, where positive, and scaled to at most 1; float64 [h, w].

    Parameters
    ----------
    head : keras.Model, features [1, ...] to logits [1, A].
    layer : of it, with an output [1, h, w, C].
    output : which logit.
    """
    import keras
    import tensorflow as tf

    inside = keras.Model(head.inputs, [layer.output, head.outputs[0]])
    with tf.GradientTape() as tape:
        seen = tf.constant(features)
        tape.watch(seen)
        maps, logits = inside(seen, training=False)
        logit = logits[0, output]
    weights = tf.reduce_mean(tape.gradient(logit, maps), axis=(1, 2), keepdims=True)
    evidence = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1))[0].numpy().astype(np.float64)
    return np.asarray(evidence / (evidence.max() or 1.0))


def last_map(head: Any) -> Any:
    """The last layer of ``head`` that has weights to train and places in its output [B, h, w, C];
    None where there is none."""
    layers = [
        layer for layer in head.layers if layer.trainable_weights and len(layer.output.shape) == 4
    ]
    return layers[-1] if layers else None
