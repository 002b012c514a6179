"""Self-training, cross-fitted: confident pseudo-labels join training for a few rounds.

Every fold's model has a chain of its own. Its pseudo-labels come from itself, at a time when it had
not been fitted on the image, and go to nobody else: fold k's known labels never touch model k, not
even by way of another image's pseudo-label. So the out-of-fold scores of a round stay honest, and
they decide whether the round is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.data.splits import out_of_fold
from pipeline.impute.calibration import cross_calibrate
from pipeline.metrics.scores import log_loss

FitFolds = Callable[[np.ndarray], np.ndarray]
"""Pseudo-labels [K, N] (1, 0, NaN) -> logits [K, N] of fresh models, NaN where fitted on."""

MATTERS = 0.01
"""Weight of self-training in an attribute's scores from which on its rounds are named."""


@dataclass
class History:
    """How self-training of one attribute went.

    logits : [N], of the last scoring that was kept, see `pipeline.data.splits.out_of_fold`; empty
        without any.
    scorings : how many were kept; the first is without pseudo-labels.
    stop : ``no_rounds``, ``no_change`` (no further confident cells of both classes),
        ``no_gain`` (the round did not improve held-out known labels and was taken back),
        ``all_labelled`` or ``max_rounds``.
    log : per round tried: pseudo-labels added and in all (mean over folds), change of the held-out
        log-loss with its standard error, and whether it was kept.
    """

    logits: np.ndarray
    scorings: int
    stop: str
    log: list[dict[str, float | int | bool]] = field(default_factory=list)


def self_train(
    labels: np.ndarray,
    fold: np.ndarray,
    logits: np.ndarray,
    fit_folds: FitFolds,
    rounds: int,
    confidence: float,
    duplicate_known: np.ndarray | None = None,
) -> History:
    """Run at most ``rounds`` rounds from the models' first scores.

    Parameters
    ----------
    labels : [N], 1, 0, NaN.
    fold : [N], -1 outside training.
    logits : [K, N], model k's logit for image i at the natural prevalence; NaN where it was fitted
        on the image.
    confidence : a pseudo-label needs this probability of its class.
    duplicate_known
        bool [N]: a byte-identical image has a known label, so that models may have been fitted on
        the very picture; such a cell becomes no pseudo-label.

    Notes
    -----
    Pseudo-labels join in the proportion of the known classes, most confident first, so that an easy
    majority can't drown the minority (Xie et al. 2023, CAP, arXiv:2305.02795). Each round starts
    from fresh weights (Cascante-Bonilla et al. 2021, Curriculum Labeling, arXiv:2001.06001) and
    stays only if the log-loss of held-out known labels falls by more than one standard error of
    the paired difference.
    """
    held_out = np.flatnonzero((fold >= 0) & ~np.isnan(labels))
    y, own_fold = labels[held_out], fold[held_out]

    def losses(current: np.ndarray) -> np.ndarray:
        scores = out_of_fold(current, fold)[held_out]
        return log_loss(cross_calibrate(scores, y, own_fold), y)

    result = History(out_of_fold(logits, fold), 1, "no_rounds")
    folds = logits.shape[0]
    # Cells that model k may give itself: unknown ones of training images outside its fold.
    candidates = np.isnan(labels) & (fold >= 0) & (fold != np.arange(folds)[:, None])
    if duplicate_known is not None:
        candidates &= ~duplicate_known
    pseudo = np.full(logits.shape, np.nan)
    before = losses(logits) if len(held_out) else np.zeros(0)
    # Float32 sigmoids round up to 1; the bound on the logit has no such edge.
    bound = np.log(confidence / (1 - confidence))
    for _ in range(rounds if len(held_out) else 0):
        open_cells = candidates & np.isnan(pseudo)
        if not open_cells.any():
            result.stop = "all_labelled"
            return result
        accepted = np.zeros_like(open_cells)
        for k in range(folds):
            inside = np.flatnonzero(open_cells[k])
            outside = y[own_fold != k]
            accepted[k, inside[_in_proportion(logits[k, inside], outside, bound)]] = True
        if not accepted.any():
            result.stop = "no_change"
            return result
        trial = np.where(accepted, logits > 0, pseudo)
        trial_logits = fit_folds(trial)
        after = losses(trial_logits)
        gain = before - after
        error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
        kept = bool(gain.mean() > error)
        result.log.append(
            {
                "added": int(accepted.sum() / folds),
                "pseudo_labels": int((~np.isnan(trial)).sum() / folds),
                "log_loss_change": float(-gain.mean()),
                "standard_error": error,
                "kept": kept,
            }
        )
        if not kept:
            result.stop = "no_gain"
            return result
        pseudo, logits, before = trial, trial_logits, after
        result.logits, result.scorings = out_of_fold(logits, fold), result.scorings + 1
        result.stop = "max_rounds"
    return result


def last_logits(histories: Sequence[History], otherwise: np.ndarray) -> npt.NDArray[np.float64]:
    """Out-of-fold logits [N, A] of the last round kept; ``otherwise`` where none was."""
    out = np.array(otherwise, dtype=np.float64)
    for a, history in enumerate(histories):
        if history.scorings > 1:
            out[:, a] = history.logits
    return out


def rounds_behind(histories: Sequence[History], share: np.ndarray | None) -> npt.NDArray[np.int64]:
    """int [A]: scorings behind an attribute's cells, by the ``share`` [A] of self-training in them;
    None where it has none at all."""
    if share is None:
        return np.ones(len(histories), dtype=np.int64)
    scorings = np.array([max(1, history.scorings) for history in histories], dtype=np.int64)
    return np.where(share > MATTERS, scorings, 1)


def _in_proportion(logits: np.ndarray, labels: np.ndarray, bound: float) -> np.ndarray:
    """Indices of the cells beyond ``bound`` on either side, in the proportion of ``labels``."""
    positive = int((labels == 1).sum())
    negative = len(labels) - positive
    if not positive or not negative:
        return np.zeros(0, dtype=np.intp)
    order = np.argsort(logits, kind="stable")
    high, low = int((logits >= bound).sum()), int((logits <= -bound).sum())
    # As many of each class as both can provide in this proportion.
    unit = min(high / positive, low / negative)
    taken_high, taken_low = int(unit * positive), int(unit * negative)
    if not taken_high or not taken_low:
        return np.zeros(0, dtype=np.intp)
    return np.r_[order[:taken_low], order[len(order) - taken_high :]]
