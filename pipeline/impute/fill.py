"""Scores into filled cells: probability, value, expected correctness and evidence of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from pipeline.impute import calibration
from pipeline.impute.cross_fitting import logit
from pipeline.impute.learnable import lacking
from pipeline.impute.looked_at import still_unknown
from pipeline.metrics import thresholds
from pipeline.metrics.risk_control import UnkeptError
from pipeline.metrics.thresholds import Rule

Floats = npt.NDArray[np.float64]


def supported(
    confidence: np.ndarray, known_confidence: np.ndarray, right: np.ndarray
) -> npt.NDArray[np.float64]:
    """Expected correctness [m]: the calibrated probability of the filled value, but no more than
    known labels bear out.

    A probability of 0.9999 from a calibrator of a hundred labels is an extrapolation. The cap is
    the smoothed share of right decisions (right + 1) / (n + 2) among the held-out cells at least
    as sure, or among any larger such group, whichever is highest. To be asked for each decided
    value by itself: the many sure negatives of a rare attribute prove nothing about its positives.

    Parameters
    ----------
    confidence : [m] probability of the filled value of each cell.
    known_confidence : [n] the same for known cells that the models have not seen.
    right : bool [n], whether the decision on them was right.
    """
    order = np.argsort(-known_confidence, kind="stable")
    ranked = known_confidence[order]
    # Cells that are equally sure are in or out together.
    ends = np.flatnonzero(np.r_[ranked[1:] < ranked[:-1], np.ones(min(len(ranked), 1), bool)])
    share = (np.cumsum(right[order])[ends] + 1) / (ends + 3)
    # From the surest down: the best share among all groups that reach at least as far down.
    best = np.maximum.accumulate(share[::-1])[::-1]
    at = np.searchsorted(-ranked[ends], -np.asarray(confidence), side="right")
    cap = np.r_[best[0] if len(best) else 0.5, best][at]
    return np.minimum(confidence, cap)


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
UNPROMISED = 0.5
"""Expected correctness, at most, of cells whose attribute has too few labels to test anything: a
coin's. The few labels' own share of a class is no promise: it may be a matter of which labels are
known."""
NUANCE = 0.02
"""Log-odds on either side by which scores order probabilities of evidence `PRIOR`."""
ONE_CLASS = "one-class"
"""All known training labels are of one class, which is filled in."""
EVIDENCE = (PICTURE, LABELS, PRIOR, ONE_CLASS)


@dataclass(frozen=True)
class Filled:
    """A filled table, [N, A] each but the last two.

    probability : of 1, calibrated; in known cells the estimate made without their label.
    values : 0 or 1, known cells as given.
    correctness : expected probability that the filled value is right; 1 in known cells.
    weight : how far a filled cell is to be believed in training, 0 to 1; 1 in known cells.
    evidence : of `EVIDENCE`; empty in known cells.
    held_out : probability of known training cells by calibrators that have not seen them, with as
        many other labels hidden as around unknown cells; NaN elsewhere.
    decided, held_out_correctness : value that known training cells would have been given, and its
        expected correctness, by thresholds and caps that have not seen their fold; NaN elsewhere.
    importance : how often a known training cell stands for a filled one: 1, or more for the class
        that the user's prior calls more frequent among unknown cells than it is among known ones;
        less where people have looked at cells like it, and 0 where they looked at it, see
        `pipeline.impute.looked_at`.
    threshold, learnable : [A]; whether the scores can be told from chance.
    """

    probability: Floats
    values: npt.NDArray[np.int8]
    correctness: Floats
    weight: Floats
    evidence: npt.NDArray[np.object_]
    held_out: Floats
    decided: Floats
    held_out_correctness: Floats
    importance: Floats
    threshold: Floats
    learnable: npt.NDArray[np.bool_]


class UnkeptColumnsError(Exception):
    """What is promised of ``columns`` can't be kept: a mapping of them to the error of each."""

    def __init__(self, columns: Mapping[int, UnkeptError]):
        super().__init__(columns)
        self.columns = columns


@dataclass(frozen=True)
class Column:
    """One attribute to be filled: its labels [N], the fold [N] of each image, the rule of its
    threshold, the share of positives among its unknown cells where the user knows it, and whether
    a cell [N] is known since a person looked at it."""

    labels: np.ndarray
    fold: np.ndarray
    rule: Rule
    prior: float | None
    looked_at: npt.NDArray[np.bool_]

    @property
    def unknown(self) -> npt.NDArray[np.bool_]:
        """Rows of the cells to be filled, bool [N]."""
        return np.isnan(self.labels)

    @property
    def once_unknown(self) -> npt.NDArray[np.bool_]:
        """Rows of the cells that are unknown or were until a person looked, bool [N].

        People look where values are in doubt, and most of what they find there is the other value:
        counted without these cells, as many of the next ones would change theirs, to be in doubt
        themselves, and no number of looks would leave as few wrong ones as promised.
        """
        return self.unknown | self.looked_at

    @property
    def cells(self) -> npt.NDArray[np.intp]:
        """Rows of the known training cells: all that may decide a value, priors included."""
        return np.flatnonzero(~self.unknown & (self.fold >= 0))

    def settled(
        self, *, probability: Floats, threshold: float, learnable: bool, **parts: Any
    ) -> Filled:
        """One column of a filled table, [N] each.

        Parameters
        ----------
        probability : [N].
        parts : values, correctness, weight and evidence of the unknown cells; held_out, decided,
            held_out_correctness and importance of `cells`.
        """
        size = len(self.labels)
        known = np.where(self.unknown, 0, np.nan_to_num(self.labels)).astype(np.int8)
        of_unknown: dict[str, Any] = {
            "values": known,
            "correctness": np.ones(size),
            "weight": np.ones(size),
            "evidence": np.full(size, "", dtype=object),
        }
        of_cells: dict[str, Any] = {
            "held_out": np.full(size, np.nan),
            "decided": np.full(size, np.nan),
            "held_out_correctness": np.full(size, np.nan),
            "importance": np.ones(size),
        }
        for arrays, rows in ((of_unknown, self.unknown), (of_cells, self.cells)):
            for name, array in arrays.items():
                array[rows] = parts[name]
        return Filled(
            probability=probability,
            threshold=np.array(threshold),
            learnable=np.array(learnable),
            **of_unknown,
            **of_cells,
        )


def fill_table(
    scores: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    learnable: np.ndarray,
    method: str,
    rules: Sequence[Rule],
    priors: Sequence[float | None] | None = None,
    reads_labels: bool = True,
    looked_at: np.ndarray | None = None,
) -> Filled:
    """Settle every unknown cell of a table.

    Parameters
    ----------
    scores : [N, A] logits that have not seen the label of their cell.
    labels : [N, A] of 1, 0, NaN; fold : [N], -1 outside training.
    learnable : bool [A]; where it is False, the prevalence is filled in.
    method : of calibration.
    rules : [A] of the thresholds, see `pipeline.metrics.thresholds.choose`.
    priors : [A] share of positives among unknown cells, where the user knows it, else None.
    reads_labels : whether other labels of a row had a part in its scores.
    looked_at : bool [N, A], known cells that were unknown until a person looked; None = none.

    Raises
    ------
    UnkeptColumnsError
        If the labels are too few for what is promised of some columns.
    """
    known = ~np.isnan(labels)
    if looked_at is None:
        looked_at = np.zeros(labels.shape, dtype=bool)
    columns, unkept = [], {}
    for a in range(labels.shape[1]):
        prior = None if priors is None else priors[a]
        column = Column(labels[:, a], fold, rules[a], prior, looked_at[:, a])
        others = np.delete(known, a, axis=1).any(axis=1)
        # References to two strings, not copies of them in every cell.
        evidence = np.array([PICTURE, LABELS], dtype=object)[(reads_labels & others).astype(int)]
        try:
            if not learnable[a] or len(np.unique(column.labels[column.cells])) < 2:
                columns.append(_from_prevalence(column, scores[:, a]))
            else:
                columns.append(_from_scores(column, scores[:, a], method, evidence))
        except UnkeptError as error:
            unkept[a] = error
    if unkept:
        raise UnkeptColumnsError(unkept)
    return Filled(
        **{
            one.name: np.stack([getattr(column, one.name) for column in columns], axis=-1)
            for one in fields(Filled)
        }
    )


def _from_scores(column: Column, scores: np.ndarray, method: str, evidence: np.ndarray) -> Filled:
    cells, unknown, prior = column.cells, column.unknown, column.prior
    y, folds = column.labels[cells], column.fold[cells]
    held_out = calibration.cross_calibrate(scores[cells], y, folds, method)
    probability = calibration.fit(method, scores[cells], y)(scores)
    mass = np.ones(len(cells))
    if prior is not None and unknown.any():
        shift = calibration.shift_to(probability[column.once_unknown], prior)
        probability = calibration.shifted(probability, shift)
        held_out = calibration.shifted(held_out, shift)
        mass = _importance(y, prior)
    probability[cells] = held_out
    by_count = column.rule == "prevalence"
    # Labels outside training speak of their own row alone, so that its cells set no threshold.
    counted = column.once_unknown & (column.fold >= 0)
    aim = probability[counted] if counted.any() else held_out
    threshold = (
        thresholds.expected(aim)
        if by_count
        else thresholds.choose(column.rule, held_out, y, _counts(column.rule, mass))
    )
    vouching = ~column.looked_at[cells]
    decided = np.empty(len(cells))
    for k in np.unique(folds):
        # A threshold looks at labels, too: the audit's are chosen without the fold.
        inside = folds == k
        if by_count:
            like_unknown = inside & vouching
            own = thresholds.expected(held_out[like_unknown if like_unknown.any() else inside])
        else:
            own = _without(inside, column.rule, held_out, y, mass, threshold)
        decided[inside] = held_out[inside] >= own
    confidence = np.where(decided == 1, held_out, 1 - held_out)
    right = decided == y
    held_out_correctness = np.empty(len(cells))
    for k in np.unique(folds):
        own, rest = folds == k, (folds != k) & vouching
        held_out_correctness[own] = expected_correctness(
            confidence[own], decided[own], confidence[rest], decided[rest], right[rest]
        )
    values = (probability[unknown] >= threshold).astype(np.int8)
    filled = np.where(values == 1, probability[unknown], 1 - probability[unknown])
    correctness = expected_correctness(
        filled, values, confidence[vouching], decided[vouching], right[vouching]
    )
    seen = probability[column.looked_at]
    for value, sure in ((1, seen[seen >= threshold]), (0, 1 - seen[seen < threshold])):
        own = decided == value
        mass[own] *= still_unknown(confidence[own], filled[values == value], sure)
    mass[~vouching] = 0
    return column.settled(
        probability=probability,
        values=values,
        correctness=correctness,
        weight=weight_of(correctness),
        evidence=evidence[unknown],
        held_out=held_out,
        decided=decided,
        held_out_correctness=held_out_correctness,
        importance=mass,
        threshold=threshold,
        learnable=True,
    )


def _counts(rule: Rule, mass: np.ndarray, share: float = 1.0) -> Floats:
    """How often each of [n] cells counts: a promise is borne out by no more cells than there are,
    ``share`` of which these are."""
    return np.full(len(mass), 1 / share) if isinstance(rule, Mapping) else mass


def _without(
    inside: np.ndarray,
    rule: Rule,
    held_out: np.ndarray,
    y: np.ndarray,
    mass: np.ndarray,
    threshold: float,
) -> float:
    """The threshold by the cells that are not ``inside``, bool [n]; that of all for a promise which
    these can't keep even if they count as many as all."""
    rest = ~inside
    counts = _counts(rule, mass[rest], float(rest.mean()))
    try:
        return thresholds.choose(rule, held_out[rest], y[rest], counts)
    except UnkeptError:
        return threshold


def weight_of(correctness: np.ndarray) -> Floats:
    """What cells add to training: nothing at an expected correctness of 0.5, all at certainty."""
    return np.asarray(np.square(2 * np.maximum(correctness, 0.5) - 1))


def expected_correctness(
    sure: np.ndarray,
    values: np.ndarray,
    known_sure: np.ndarray,
    known_values: np.ndarray,
    right: np.ndarray,
) -> Floats:
    """Expected correctness [m] of values 0 and 1, of each by the known cells that got the same.

    Parameters
    ----------
    sure, values : [m], see `supported`.
    known_sure, known_values, right : [n], of held-out cells.
    """
    out = np.empty(len(sure))
    for value in (0, 1):
        own, known = values == value, known_values == value
        out[own] = supported(sure[own], known_sure[known], right[known])
    return out


def _importance(labels: np.ndarray, prior: float) -> Floats:
    positive = float(np.clip((labels == 1).mean(), 1e-9, 1 - 1e-9))
    return np.where(labels == 1, prior / positive, (1 - prior) / (1 - positive))


def _from_prevalence(column: Column, scores: np.ndarray) -> Filled:
    cells, unknown, prior = column.cells, column.unknown, column.prior
    y, folds = column.labels[cells], column.fold[cells]
    positive, count = float((y == 1).sum()), len(y)
    share = (positive + 1) / (count + 2) if prior is None else prior
    if isinstance(column.rule, Mapping) and unknown.any():
        raise UnkeptError("can't be told from chance")
    threshold = float(column.rule) if isinstance(column.rule, int | float) else 0.5
    # Without any label the share is a half, and 0, the absence of a thing, the safer guess.
    value = int(share >= threshold and (count > 0 or prior is not None))
    probability = np.full(len(scores), share)
    if 0 < positive < count:
        probability[unknown] = _ordered(share, threshold, scores[unknown])
    held_out = np.empty(count)
    for k in np.unique(folds):
        rest = y[folds != k]
        without = (float((rest == 1).sum()) + 1) / (len(rest) + 2)
        held_out[folds == k] = without if prior is None else prior
    probability[cells] = held_out
    one_class = count > 0 and positive in (0, count)
    correctness = share if value else 1 - share
    if prior is None and lacking(y) is not None:
        correctness = min(correctness, UNPROMISED)
    return column.settled(
        probability=probability,
        values=value,
        correctness=correctness,
        weight=0.0,
        evidence=ONE_CLASS if one_class else PRIOR,
        held_out=held_out,
        decided=value,
        held_out_correctness=correctness,
        importance=np.where(
            column.looked_at[cells],
            0.0,
            1.0 if prior is None or not count else _importance(y, prior),
        ),
        threshold=threshold,
        learnable=False,
    )


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
