"""Where a head's evidence sits on its own map: Grad-CAM, computed by eli5.

Selvaraju et al. (2017), Grad-CAM, ICCV, arXiv:1610.02391. The gradient is taken inside the head, so
that it doesn't matter what computes the backbone, be it 8-bit integers. eli5 takes Keras 3 models
and brings little along; Xplique's bounds shut out the TensorFlow and scikit-learn that are used
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.training.inference import HeadInput


def heat(parts: Sequence[HeadInput], column: int) -> npt.NDArray[np.float64] | None:
    """Where the picture speaks for a column; Grad-CAM doesn't tell what speaks against it.

    Returns
    -------
    float64 [h, w] of the head's map, 0 to 1 and 1 at its strongest place, or 0 throughout; None
    where the column's head has no such layer (`last_map`).
    """
    from eli5.keras.explain_prediction import explain_prediction_keras
    from PIL import Image

    for head, features, (start, stop) in parts:
        layer = last_map(head)
        if start <= column < stop and layer is not None:
            explained = explain_prediction_keras(
                head,
                features,
                targets=[column - start],
                layer=layer,
                image=Image.new("RGB", (1, 1)),  # else eli5 takes the features for a picture
            )
            return np.asarray(explained.targets[0].heatmap, dtype=np.float64)
    return None


def last_map(head: Any) -> str | None:
    """The last layer of ``head`` that has weights to train and places in its output [B, h, w, C].

    None where there is none: eli5 can't take the gradient of a layer that no trainable weight
    stands before.
    """
    names = [
        layer.name
        for layer in head.layers
        if layer.trainable_weights and len(layer.output.shape) == 4
    ]
    return names[-1] if names else None
