"""Learning rates over the epochs of a fit."""

from __future__ import annotations

import math

CONSTANT, COSINE, EXPONENTIAL, PLATEAU = "constant", "cosine", "exponential", "plateau"
SCHEDULES = (CONSTANT, COSINE, EXPONENTIAL, PLATEAU)
DECAY = 0.95
"""Of the exponential schedule, per epoch."""
WAIT = 3
"""Epochs without a better validation score after which `PLATEAU` halves the rate."""


class Schedule:
    """The learning rate of one fit, asked for before each epoch.

    ``cosine`` falls from ``base`` to 0 along half a wave over all epochs (Loshchilov and Hutter
    2017, arXiv:1608.03983, without restarts), ``exponential`` by `DECAY` each epoch, ``plateau``
    by half whenever `WAIT` epochs have brought no better validation score.
    """

    def __init__(self, kind: str, base: float, epochs: int):
        if kind not in SCHEDULES:
            raise ValueError(f"schedule {kind!r}: expected one of {SCHEDULES}")
        self._kind, self._base, self._epochs = kind, base, epochs
        self._waited = self._halved = 0

    def rate(self, epoch: int) -> float:
        """The learning rate of ``epoch``, counted from 0."""
        if self._kind == COSINE:
            return self._base * (1 + math.cos(math.pi * epoch / self._epochs)) / 2
        if self._kind == EXPONENTIAL:
            return float(self._base * DECAY**epoch)
        return self._base / 2**self._halved if self._kind == PLATEAU else self._base

    def observe(self, better: bool) -> None:
        """Tell whether the epoch just done had the best validation score so far."""
        self._waited = 0 if better else self._waited + 1
        if self._waited == WAIT:
            self._waited, self._halved = 0, self._halved + 1
