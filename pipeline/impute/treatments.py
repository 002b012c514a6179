"""The image classifier under each treatment of the table's unknown cells: filled in by the
imputation, left out, or taken for 0.

Filled cells join in with their probabilities as soft targets. These were made with the labels of
all folds: a model without fold k that learns from them has seen fold k's labels after all (measured
where labels are few: expected calibration error .05 instead of .01). `refit_targets` therefore
makes them anew for each refit (see `pipeline.impute.cross_fitting`): the score that the picture has
in that refit, plus what the row's other labels added to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from pipeline.data.categories import binary_columns
from pipeline.impute.components import Matrix
from pipeline.impute.cross_fitting import logit
from pipeline.impute.image_classifier import Fitted, Votes, fit, joined
from pipeline.impute.neighbours import Neighbours
from pipeline.impute.stacking import BOUND
from pipeline.training.targets import IMPUTE, MASK, NEGATIVE

Floats = npt.NDArray[np.float64]
COMPLETED, WITH_ZEROS = "completed", "unknown as 0"
"""What neighbours vote by, beside their known labels."""


@dataclass(frozen=True)
class Completed:
    """What the imputation made of the unknown cells, [N, A] each: probability of 1, the logits that
    the pictures alone have, and how far a cell is to be believed, 0 for not at all."""

    probability: np.ndarray
    image_scores: np.ndarray
    weight: np.ndarray


def fit_treatments(
    blocks: Mapping[str, Matrix],
    labels: np.ndarray,
    fold: np.ndarray,
    completed: Completed,
    validation: np.ndarray,
    softmax: Sequence[tuple[int, int]] = (),
    soft: bool = True,
    neighbours: Neighbours | None = None,
    keep_refits: bool = False,
) -> tuple[dict[str, Fitted], float]:
    """The classifier under each treatment of unknown cells, and the share that the fit to the
    completed table has in the first, see `choose`.

    Parameters
    ----------
    blocks, labels, fold : see `fit`.
    validation : bool [N], the images whose labels choose.
    softmax : (start, stop) of each categorical attribute's columns.
    soft : whether an unknown cell's target is its probability rather than its likelier value.
    neighbours : whose votes join in, if any.
    keep_refits : whether the fit to known labels keeps its logits in every refit.

    Returns
    -------
    By the names of `pipeline.training.targets.VARIANTS`.
    """
    known = ~np.isnan(labels)
    mask = fit(blocks, labels, fold, keep_refits=True, neighbours=neighbours)
    assert mask.refits is not None
    target = refit_targets(mask.refits, labels, completed.probability, completed.image_scores)
    if not keep_refits:
        mask = replace(mask, refits=None)
    if not soft:
        target = np.where(known, target, target >= 0.5).astype(np.float32)
    believed = np.where(known, 1.0, completed.weight)
    filled = fit(blocks, labels, fold, target, believed, neighbours=neighbours, by=COMPLETED)
    del target
    chosen, share = choose(mask, filled, np.where(validation[:, None], labels, np.nan))
    negative = np.zeros(labels.shape)
    negative[:, binary_columns(labels.shape[1], softmax)] = 1.0
    zeros = np.where(known, 1.0, negative)
    as_zero = fit(
        *(blocks, labels, fold, np.nan_to_num(labels), zeros), neighbours=neighbours, by=WITH_ZEROS
    )
    found = {IMPUTE: chosen, MASK: mask, NEGATIVE: as_zero}
    return {name: joined(one, labels, fold, softmax) for name, one in found.items()}, share


def refit_targets(
    refits: np.ndarray, labels: np.ndarray, probability: np.ndarray, image_scores: np.ndarray
) -> npt.NDArray[np.float32]:
    """Targets float32 [K + 1, N, A] of every refit: labels where known, elsewhere the picture's
    score in that refit and, on top, what the other labels of the row add to a picture's score.

    Parameters
    ----------
    refits : [K + 1, N, A] of a `fit` to known labels.
    probability, image_scores : [N, A] of the imputation: of 1, and logits from the picture alone.
    """
    added = logit(probability) - np.clip(image_scores, -BOUND, BOUND)
    out = np.empty(refits.shape, dtype=np.float32)
    for refit, scores in enumerate(refits):
        soft = expit(np.clip(scores + added, -BOUND, BOUND))
        out[refit] = np.where(np.isnan(labels), soft, labels)
    return out


def choose(mask: Fitted, filled: Fitted, labels: np.ndarray) -> tuple[Fitted, float]:
    """The fit to known labels, the one to the completed table, or the mean of both, and the share
    that the second has in it: 0, 1 or, where they differ by less than a standard error, a half.

    By log-loss on labels that neither has seen in any way. Held-out training labels won't do:
    filled cells were made with them, and remember them a little even after `refit_targets`.

    Parameters
    ----------
    labels : [N, A] of 1, 0 and NaN; known only outside the training of both, as of validation.
    """
    known = ~np.isnan(labels)
    sign = np.where(labels[known] == 1, -1.0, 1.0)
    gain = np.logaddexp(0, sign * mask.logits[known]) - np.logaddexp(0, sign * filled.logits[known])
    if len(gain) > 1 and abs(gain.mean()) > gain.std(ddof=1) / np.sqrt(len(gain)):
        share = float(gain.mean() > 0)
    else:
        share = 0.5

    def mix(a: np.ndarray, b: np.ndarray) -> Floats:
        return np.asarray((1 - share) * a + share * b, dtype=np.float64)

    votes: dict[str, Votes] = {}
    for part, one in ((1 - share, mask), (share, filled)):
        votes |= {name: replace(own, slope=part * own.slope) for name, own in one.votes.items()}

    mixed = Fitted(
        logits=mix(mask.logits, filled.logits),
        weights={name: mix(mask.weights[name], filled.weights[name]) for name in mask.weights},
        offsets=mix(mask.offsets, filled.offsets),
        refits=None,
        calibration=(filled if share else mask).calibration,
        loss=mix(mask.loss, filled.loss),
        votes={name: own for name, own in votes.items() if own.slope.any()},
    )
    return mixed, share
