"""Probabilities of new pictures into values, and how often such values are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.data.categories import Attribute, chosen, decide, spans, truth
from pipeline.data.verdicts import LEARNABLE, TOO_FEW
from pipeline.impute import categorical, fill

MOST = 5000
"""Images at most by whose labels decisions are judged."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decisions:
    """Thresholds [A], and the cells by which decisions are judged.

    probability, labels : [n, A] of images whose labels had no part in the first; labels are NaN
        where unknown.
    """

    thresholds: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32]

    @classmethod
    def judged_by(
        cls, thresholds: Sequence[float], probability: np.ndarray, labels: np.ndarray
    ) -> Decisions:
        """By the cells [N, A] where both are known; of more than `MOST` images by a seeded draw."""
        known = ~np.isnan(probability) & ~np.isnan(labels)
        rows = np.flatnonzero(known.any(axis=1))
        if len(rows) > MOST:
            rows = np.sort(np.random.default_rng(len(rows)).choice(rows, MOST, replace=False))
        return cls(
            np.array(thresholds, dtype=np.float64),
            np.asarray(probability[rows], dtype=np.float32),
            np.where(known, labels, np.nan)[rows].astype(np.float32),
        )

    def __call__(
        self, probability: np.ndarray, layout: Sequence[Attribute], verdicts: Sequence[str]
    ) -> tuple[npt.NDArray[np.bool_], Floats]:
        """Values, one-hot of a categorical attribute, and expected correctness, [m, A] each.

        As of filled cells: the probability of the value, but no more than held-out cells that got
        the same value bear out; that of attributes that are not learnable is their prevalence.

        Parameters
        ----------
        probability : [m, A].
        verdicts : [A], of `pipeline.data.verdicts`.
        """
        softmax = spans([one for one in layout if one.values])
        values = decide(probability, self.thresholds, softmax)
        correctness = np.where(values, probability, 1 - probability)
        for one in layout:
            own = slice(one.start, one.stop)
            if one.values:
                correctness[:, own] = probability[:, own].max(axis=1, keepdims=True)
            if verdicts[one.start] == TOO_FEW:
                correctness[:, own] = np.minimum(correctness[:, own], fill.UNPROMISED)
            elif verdicts[one.start] == LEARNABLE:
                correctness[:, own] = self._supported(one, probability, values, correctness)
        return values, correctness

    def _supported(
        self,
        one: Attribute,
        probability: np.ndarray,
        values: np.ndarray,
        correctness: np.ndarray,
    ) -> Floats:
        """[m, 1] of a learnable attribute."""
        own = slice(one.start, one.stop)
        known = ~np.isnan(self.labels[:, one.start]) & ~np.isnan(self.probability[:, one.start])
        held_out = self.probability[known, own].astype(np.float64)
        sure = correctness[:, one.start]
        if one.values:
            given, true = chosen(held_out), truth(self.labels[known, own])
            new = chosen(probability[:, own])
            of = categorical.expected_correctness
            return of(sure, new, held_out.max(axis=1), given, given == true)[:, None]
        seen = held_out[:, 0]
        positive = seen >= self.thresholds[one.start]
        known_sure = np.where(positive, seen, 1 - seen)
        right = positive == (self.labels[known, one.start] == 1)
        new = values[:, one.start].astype(int)
        found = fill.expected_correctness(sure, new, known_sure, positive.astype(int), right)
        return found[:, None]
