"""Values, probabilities and evidence for the unknown cells of one attribute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.impute.calibration import cross_calibrate, fit_platt
from pipeline.impute.thresholds import choose
from pipeline.out_of_fold import out_of_fold

CONFIDENT = "confident"
"""The calibrated probability reached the confidence asked for, in that round's scores."""
THRESHOLD = "threshold"
"""The last round's probability, cut at the attribute's threshold."""
PRIOR = "prior"
"""The pictures don't tell: the prevalence among known training labels, and its majority class.

The prevalence is Laplace's (positives + 1) / (labels + 2): a few labels of one class are no proof
of certainty."""
ONE_CLASS = "one-class"
"""All known training labels are of one class, which is filled in."""
EVIDENCE = (CONFIDENT, THRESHOLD, PRIOR, ONE_CLASS)


@dataclass(frozen=True)
class Filled:
    """One attribute, filled.

    values : [N] 0 or 1 in every cell; known cells as given.
    probability : [N] of the positive class, calibrated; NaN in known cells.
    round : [N] the scoring, from 1 on, that settled the cell; 0 in known cells.
    evidence : [N] one of `EVIDENCE`, empty in known cells.
    held_out : [N] calibrated probability of known training cells that has not seen their label,
        else NaN.
    """

    values: npt.NDArray[np.int8]
    probability: npt.NDArray[np.float64]
    round: npt.NDArray[np.int64]
    evidence: npt.NDArray[np.str_]
    held_out: npt.NDArray[np.float64]
    threshold: float
    learnable: bool


def fill(
    labels: np.ndarray,
    fold: np.ndarray,
    scorings: list[np.ndarray],
    rule: str | float,
    confidence: float,
    learnable: bool,
) -> Filled:
    """Settle every unknown cell of one attribute.

    A cell takes the first scoring in which its calibrated probability reaches ``confidence``; the
    rest take the last one's, cut at a threshold chosen on held-out known labels.

    Parameters
    ----------
    labels : [N], 1, 0, NaN.
    fold : [N], -1 outside training.
    scorings : logits [K, N] of each kept round, as in `SelfTraining.logits`.
    rule : threshold rule, see `pipeline.impute.thresholds.choose`.
    learnable : whether the pictures say anything, see `pipeline.impute.learnable`.
    """
    known = ~np.isnan(labels)
    unknown = ~known
    values = np.where(known, labels, 0).astype(np.int8)
    probability = np.full(len(labels), np.nan)
    settled = np.zeros(len(labels), dtype=np.int64)
    evidence = np.full(len(labels), "", dtype="<U10")
    held_out = np.full(len(labels), np.nan)
    cells = known & (fold >= 0)
    y = labels[cells]

    # Test and validation labels stay out of everything that decides a value, priors included.
    prevalence = (float((y == 1).sum()) + 1) / (len(y) + 2)
    if len(np.unique(y)) == 1:
        values[unknown], evidence[unknown], settled[unknown] = int(y[0]), ONE_CLASS, 1
        probability[unknown] = prevalence
        others = 1 / (len(y) + 1)  # the same rule without the cell itself
        held_out[cells] = 1 - others if y[0] else others
        return Filled(values, probability, settled, evidence, held_out, 0.5, False)

    if len(y):
        last = out_of_fold(scorings[-1], fold)
        held_out[cells] = cross_calibrate(last[cells], y, fold[cells])
    if not learnable:
        values[unknown], evidence[unknown], settled[unknown] = prevalence >= 0.5, PRIOR, 1
        probability[unknown] = prevalence
        return Filled(values, probability, settled, evidence, held_out, 0.5, False)

    threshold = choose(rule, held_out[cells], y)
    if isinstance(rule, str):
        # A chosen threshold contradicts no cell that is confidently on the other side.
        threshold = float(np.clip(threshold, 1 - confidence, confidence))
    for number, logits in enumerate(scorings, start=1):
        calibrate = fit_platt(out_of_fold(logits, fold)[cells], y)
        p = out_of_fold(calibrate(logits), fold)
        sure = np.maximum(p, 1 - p) >= confidence
        open_cells = unknown & (settled == 0)
        settling = open_cells & sure if number < len(scorings) else open_cells
        probability[settling], settled[settling] = p[settling], number
        values[settling] = p[settling] >= threshold
        evidence[settling] = np.where(sure, CONFIDENT, THRESHOLD)[settling]
    return Filled(values, probability, settled, evidence, held_out, threshold, True)
