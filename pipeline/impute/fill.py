"""Scores into filled cells: probability, value, expected correctness and evidence of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from pipeline.impute import calibration
from pipeline.impute.cross_fitting import logit
from pipeline.metrics import thresholds


def supported(sure: np.ndarray, promised: np.ndarray, right: np.ndarray) -> npt.NDArray[np.float64]:
    """Expected correctness [m]: the calibrated probability of the filled value, but no more than
    known labels bear out.

    A probability of 0.9999 from a calibrator of a hundred labels is an extrapolation. The cap is
    the smoothed share of right decisions (right + 1) / (n + 2) among the held-out cells at least
    as sure, or among any larger such group, whichever is highest. To be asked for each decided
    value by itself: the many sure negatives of a rare attribute prove nothing about its positives.

    Parameters
    ----------
    sure : [m] probability of the filled value of each cell.
    promised : [n] the same for known cells that the models have not seen.
    right : bool [n], whether the decision on them was right.
    """
    order = np.argsort(-promised, kind="stable")
    ranked = promised[order]
    # Cells that are equally sure are in or out together.
    ends = np.flatnonzero(np.r_[ranked[1:] < ranked[:-1], np.ones(min(len(ranked), 1), bool)])
    share = (np.cumsum(right[order])[ends] + 1) / (ends + 3)
    # From the surest down: the best share among all groups that reach at least as far down.
    best = np.maximum.accumulate(share[::-1])[::-1]
    at = np.searchsorted(-ranked[ends], -np.asarray(sure), side="right")
    cap = np.r_[best[0] if len(best) else 0.5, best][at]
    return np.minimum(sure, cap)


Floats = npt.NDArray[np.float64]

PICTURE = "picture"
"""The image alone: no other label of the row is known, or there is no other attribute."""
LABELS = "picture+labels"
"""The image and its other known labels."""
PRIOR = "prior"
"""Neither can be told from chance: the prevalence among known training labels, and its majority
class.

The prevalence is Laplace's (positives + 1) / (labels + 2): a few labels of one class are no proof
of certainty. Probabilities have it as their mean and stay within a hundredth of it, in the order of
the scores: few labels of a rare class prove nothing, but an order that may be right is free."""
NUANCE = 0.02
"""Log-odds on either side by which scores order probabilities of evidence `PRIOR`."""
ONE_CLASS = "one-class"
"""All known training labels are of one class, which is filled in."""
EVIDENCE = (PICTURE, LABELS, PRIOR, ONE_CLASS)


@dataclass(frozen=True)
class Filled:
    """A filled table, [N, A] each but the last two; see `pipeline.impute.imputer.Imputation`.

    decided, promised : value that known training cells would have been given, and its expected
        correctness, by thresholds and caps that have not seen their fold; NaN elsewhere.
    importance : how often a known training cell stands for a filled one: 1, or more for the class
        that the user's prior calls more frequent among unknown cells than it is among known ones.
    """

    probability: Floats
    values: npt.NDArray[np.int8]
    correctness: Floats
    weight: Floats
    evidence: npt.NDArray[np.str_]
    held_out: Floats
    decided: Floats
    promised: Floats
    importance: Floats
    threshold: Floats
    learnable: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """One attribute to be settled: its labels [N], the fold [N] of each image, the rule of its
    threshold, and the share of positives among its unknown cells where the user knows it."""

    number: int
    labels: np.ndarray
    fold: np.ndarray
    rule: str | float
    prior: float | None

    @property
    def unknown(self) -> npt.NDArray[np.bool_]:
        """Rows of the cells to be filled, bool [N]."""
        return np.isnan(self.labels)

    @property
    def cells(self) -> npt.NDArray[np.intp]:
        """Rows of the known training cells: all that may decide a value, priors included."""
        return np.flatnonzero(~self.unknown & (self.fold >= 0))


def fill_table(
    scores: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    learnable: np.ndarray,
    method: str,
    rule: str | float,
    priors: Sequence[float | None] | None = None,
    reads_labels: bool = True,
) -> Filled:
    """Settle every unknown cell of a table.

    Parameters
    ----------
    scores : [N, A] logits that have not seen the label of their cell.
    labels : [N, A] of 1, 0, NaN; fold : [N], -1 outside training.
    learnable : bool [A]; where it is False, the prevalence is filled in.
    method : of calibration.
    rule : of the thresholds.
    priors : [A] share of positives among unknown cells, where the user knows it, else None.
    reads_labels : whether other labels of a row had a part in its scores.
    """
    shape = labels.shape
    known = ~np.isnan(labels)
    out = Filled(
        probability=np.empty(shape),
        values=np.where(known, np.nan_to_num(labels), 0).astype(np.int8),
        correctness=np.ones(shape),
        weight=np.ones(shape),
        evidence=np.full(shape, "", dtype="<U14"),
        held_out=np.full(shape, np.nan),
        decided=np.full(shape, np.nan),
        promised=np.full(shape, np.nan),
        importance=np.ones(shape),
        threshold=np.full(shape[1], 0.5),
        learnable=np.array(learnable, dtype=bool),
    )
    others = known.sum(axis=1)
    for a in range(shape[1]):
        prior = priors[a] if priors is not None else None
        column = Column(a, labels[:, a], fold, rule, prior)
        if len(np.unique(column.labels[column.cells])) < 2:
            out.learnable[a] = False
        if out.learnable[a]:
            _from_scores(out, column, scores[:, a], method)
            seen = reads_labels & (others[~known[:, a]] > 0)
            out.evidence[~known[:, a], a] = np.where(seen, LABELS, PICTURE)
        else:
            _from_prevalence(out, column, scores[:, a])
    return out


def _from_scores(out: Filled, column: Column, scores: np.ndarray, method: str) -> None:
    a, cells, unknown, prior = column.number, column.cells, column.unknown, column.prior
    y, folds = column.labels[cells], column.fold[cells]
    held_out = calibration.cross_calibrate(scores[cells], y, folds, method)
    probability = calibration.fit(method, scores[cells], y)(scores)
    if prior is not None and unknown.any():
        shift = calibration.shift_to(probability[unknown], prior)
        probability, held_out = (
            calibration.shifted(probability, shift),
            calibration.shifted(held_out, shift),
        )
        out.importance[cells, a] = _importance(y, prior)
    probability[cells] = held_out
    by_count = column.rule == "prevalence"
    # Labels outside training tell of their own row alone, so that its cells set no threshold.
    counted = unknown & (column.fold >= 0)
    aim = probability[counted] if counted.any() else held_out
    mass = out.importance[cells, a]
    threshold = (
        thresholds.expected(aim) if by_count else thresholds.choose(column.rule, held_out, y, mass)
    )
    decided = np.empty(len(cells))
    for k in np.unique(folds):
        # A threshold looks at labels, too: the audit's are chosen without the fold.
        inside = folds == k
        if by_count:
            own = thresholds.expected(held_out[inside])
        else:
            own = thresholds.choose(column.rule, held_out[~inside], y[~inside], mass[~inside])
        decided[inside] = held_out[inside] >= own
    out.probability[:, a], out.threshold[a] = probability, threshold
    out.held_out[cells, a], out.decided[cells, a] = held_out, decided
    out.values[unknown, a] = probability[unknown] >= threshold
    sure = np.where(decided == 1, held_out, 1 - held_out)
    right = decided == y
    for k in np.unique(folds):
        inside = np.flatnonzero(folds == k)
        out.promised[cells[inside], a] = _trusted(
            sure[inside], decided[inside], sure[folds != k], decided[folds != k], right[folds != k]
        )
    values = out.values[unknown, a]
    filled = np.where(values == 1, probability[unknown], 1 - probability[unknown])
    trusted = _trusted(filled, values, sure, decided, right)
    out.correctness[unknown, a] = trusted
    # What a cell adds to training: nothing at 0.5, all at certainty.
    out.weight[unknown, a] = np.square(2 * np.maximum(trusted, 0.5) - 1)


def _trusted(
    sure: np.ndarray,
    values: np.ndarray,
    known_sure: np.ndarray,
    known_values: np.ndarray,
    right: np.ndarray,
) -> Floats:
    """Expected correctness [m], for each value by the known cells that got the same."""
    out = np.empty(len(sure))
    for value in (0, 1):
        own, known = values == value, known_values == value
        out[own] = supported(sure[own], known_sure[known], right[known])
    return out


def _importance(labels: np.ndarray, prior: float) -> Floats:
    positive = float(np.clip((labels == 1).mean(), 1e-9, 1 - 1e-9))
    return np.where(labels == 1, prior / positive, (1 - prior) / (1 - positive))


def _from_prevalence(out: Filled, column: Column, scores: np.ndarray) -> None:
    a, cells, unknown, prior = column.number, column.cells, column.unknown, column.prior
    y, folds = column.labels[cells], column.fold[cells]
    positive, count = float((y == 1).sum()), len(y)
    share = (positive + 1) / (count + 2) if prior is None else prior
    out.threshold[a] = 0.5 if isinstance(column.rule, str) else float(column.rule)
    # Without any label the share is a half, and 0, the absence of a thing, the safer guess.
    value = int(share >= out.threshold[a] and (count > 0 or prior is not None))
    out.probability[:, a] = share
    if 0 < positive < count:
        out.probability[unknown, a] = _ordered(share, out.threshold[a], scores[unknown])
    for k in np.unique(folds):
        inside, rest = cells[folds == k], y[folds != k]
        without = (float((rest == 1).sum()) + 1) / (len(rest) + 2)
        out.held_out[inside, a] = without if prior is None else prior
    out.probability[cells, a] = out.held_out[cells, a]
    out.decided[cells, a] = value
    out.values[unknown, a] = value
    certain = share if value else 1 - share
    out.promised[cells, a] = certain
    out.correctness[unknown, a] = certain
    out.weight[unknown, a] = 0.0
    if prior is not None and count:
        out.importance[cells, a] = _importance(y, prior)
    one_class = count > 0 and positive in (0, count)
    out.evidence[unknown, a] = ONE_CLASS if one_class else PRIOR


def _ordered(share: float, threshold: float, scores: np.ndarray) -> Floats:
    """Probabilities [n] of mean ``share``, on its side of the threshold, ordered as ``scores``."""
    spread = float(scores.std()) if len(scores) else 0.0
    centre, edge = logit(np.array([share, threshold]))
    # The mean may have to move as far again.
    most = min(NUANCE, 0.49 * abs(float(centre - edge)))
    if not spread * most:
        return np.full(len(scores), share)
    near = expit(centre + most * np.tanh((scores - scores.mean()) / spread))
    return calibration.shifted(near, calibration.shift_to(near, share))
