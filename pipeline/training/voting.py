"""The votes of the pictures that look most like one, as a part of a head.

`pipeline.impute.neighbours` has the same for the pictures of a table, all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

NEIGHBOURS = 15
"""That vote; in the table an image is the nearest to itself, and has no vote."""
SHARPNESS = 5.0
"""A neighbour at distance d, of components of length 1, has weight exp(-SHARPNESS d^2)."""
PRIOR = 0.1
"""Weight of the prevalence beside the neighbours'."""
BOUND = 12.0
"""Of the logits, on both sides."""
LAYERS = ("components", "cosines", "counts")
"""Names of the layers whose weights `weights` makes."""


def votes(features: Any, components: int, neighbours: int, columns: int) -> Any:
    """Logits [B, columns] of votes, from a Keras tensor of maps [B, h, w, C].

    Parameters
    ----------
    components : to which a map's mean is brought down; neighbours : that may vote.
    """
    from keras import layers, ops

    to_components, cosines, counts = LAYERS
    x = layers.GlobalAveragePooling2D(name="average")(features)
    x = layers.Dense(components, trainable=False, name=to_components)(x)
    x = layers.UnitNormalization(name="unit")(x)
    x = layers.Dense(neighbours, use_bias=False, trainable=False, name=cosines)(x)
    least = ops.top_k(x, min(NEIGHBOURS + 1, neighbours))[0][:, -1:]
    # Half the squared distance of unit vectors is 1 - cosine.
    near = ops.where(x >= least, ops.exp(2 * SHARPNESS * (x - 1)), 0.0)
    counted = layers.Dense(2 * columns, trainable=False, name=counts)(near)
    positive, negative = counted[:, :columns], counted[:, columns:]
    return ops.clip(ops.log(positive) - ops.log(negative), -BOUND, BOUND)


def weights(
    axes: np.ndarray,
    offset: np.ndarray,
    points: np.ndarray,
    targets: np.ndarray,
    believed: np.ndarray,
    prior: np.ndarray,
) -> Sequence[list[np.ndarray]]:
    """The weights of each of `LAYERS`.

    Parameters
    ----------
    axes, offset : [C, d] and [d] of the components.
    points : [P, d] components of length 1 of the pictures that may vote.
    targets, believed : [P, V] from 0 to 1, what they say and how far they are to be believed.
    prior : [V], what is said where nobody votes.
    """
    for_1, for_0 = believed * targets, believed * (1 - targets)
    counts = [np.hstack([for_1, for_0]), PRIOR * np.concatenate([prior, 1 - prior])]
    return [axes, offset], [points.T], counts
