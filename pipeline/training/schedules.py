"""Learning rates over the epochs of a fit, as factors of the rate that it begins with.

Keras' schedules count steps, in float32, and none of them knows of validation scores; its
`ReduceLROnPlateau` is a callback of `keras.Model.fit`, which trains one model at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

DECAY = 0.95
"""Of the exponential schedule, per epoch."""
WAIT = 3
"""Epochs without a better validation score after which `plateau` halves the rate."""

Schedule = Callable[[int, int, Sequence[bool]], float]
"""The factor of an epoch, counted from 0, of so many; for each epoch before it, whether its
validation score was the best until then."""


def constant(epoch: int, epochs: int, better: Sequence[bool]) -> float:
    """1 in each epoch."""
    return 1.0


def cosine(epoch: int, epochs: int, better: Sequence[bool]) -> float:
    """From 1 to 0 along half a wave over all epochs (Loshchilov and Hutter 2017, arXiv:1608.03983,
    without restarts)."""
    return (1 + math.cos(math.pi * epoch / epochs)) / 2


def exponential(epoch: int, epochs: int, better: Sequence[bool]) -> float:
    """Smaller by `DECAY` each epoch."""
    return float(DECAY**epoch)


def plateau(epoch: int, epochs: int, better: Sequence[bool]) -> float:
    """Half as much whenever `WAIT` epochs have brought no better validation score."""
    waited = halved = 0
    for best in better:
        waited = 0 if best else waited + 1
        if waited == WAIT:
            waited, halved = 0, halved + 1
    return float(0.5**halved)


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "cosine": cosine,
    "exponential": exponential,
    "plateau": plateau,
}
"""Those that ``schedule`` in params.yaml names."""
