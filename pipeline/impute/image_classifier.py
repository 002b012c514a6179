"""What pictures tell of all attributes, as one affine function of a picture's features and of the
votes of the training pictures that look most like it, among which labels have spread.

Logistic and ridge regressions on the principal components of each set of features, at the
penalties that held-out labels favour, and the votes are combined by non-negative weights and
calibrated. All of that is affine, so that the whole is one weight per feature and attribute, and
one per vote.

What stands for unknown cells among the targets is `pipeline.impute.treatments`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pipeline.data.categories import truth
from pipeline.impute import calibration
from pipeline.impute.components import BLOCK, Matrix, Projection, in_blocks
from pipeline.impute.cross_fitting import MOST_FITTED, fold_count, logit
from pipeline.impute.image_scores import choose_penalties
from pipeline.impute.linear_models import PENALTIES
from pipeline.impute.neighbours import Neighbours, prior
from pipeline.impute.soft_regressions import logistic, ridge
from pipeline.impute.stacking import BOUND, fit_stack, worth_it
from pipeline.metrics.scores import log_loss

Floats = npt.NDArray[np.float64]
SHRINKAGE, TOWARDS_EQUAL = 50.0, 100.0
"""Of the weights, see `pipeline.impute.stacking`: stronger than there, since a handful of
regressions on the same pictures differ by little more than noise."""
OFFSET = 10.0
"""Of the offsets: the regressions have prevalences of their own, and an offset learned without a
fold errs the other way than the fold does."""
ONE_SLOPE = 1e4
"""Shrinkage that leaves all attributes the same weight."""
AFFINE = ("none", "temperature", "platt")
"""Calibration methods whose log-odds are affine in the logits."""
KNOWN = "known"
"""Neighbours vote by their known labels, unless another name says what else."""


@dataclass(frozen=True)
class Fitted:
    """A combination of regressions.

    logits : float64 [N, A]; known training cells by models, weights and calibrators that have not
        seen the labels of their fold, all others by those of all training labels.
    weights : block -> [d, A] on its components; offsets : [A].
    votes : what neighbours vote by -> the votes and their weight.
    refits : [K + 1, N, A] before calibration, of the models without fold k, then of all; None where
        not asked for.
    calibration : the method chosen.
    loss : [cells] held-out log-loss of each known training cell.
    """

    logits: Floats
    weights: dict[str, Floats]
    offsets: Floats
    refits: npt.NDArray[np.float32] | None
    calibration: str
    loss: Floats
    votes: dict[str, Votes] = field(default_factory=dict)


@dataclass(frozen=True)
class Votes:
    """What the neighbours say that a new picture may have.

    targets, weights : float32 [P, A] of the images of `Neighbours.pool`, see `Neighbours.votes`.
    prior : [A], what they say where there are none; slope : [A], the weight of the votes' logits.
    """

    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    prior: Floats
    slope: Floats


@dataclass(frozen=True)
class _Member:
    """One model of every attribute: of a regression weights [d, A] on a block's components and
    offsets [A], of votes a weight of 1 on themselves."""

    block: str
    model: str
    weights: Floats
    offsets: Floats


def fit(
    blocks: Mapping[str, Matrix],
    labels: np.ndarray,
    fold: np.ndarray,
    targets: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    keep_refits: bool = False,
    neighbours: Neighbours | None = None,
    by: str = KNOWN,
) -> Fitted:
    """Fit all regressions, combine and calibrate them.

    Parameters
    ----------
    blocks : name -> components [N, d] of a set of features.
    labels, fold : [N, A] of 1, 0, NaN, and [N] from 0 on, -1 outside training. Penalties, weights
        and calibration are chosen by these.
    targets, weights
        [N, A], or of each refit [K + 1, N, A], from 0 to 1, what the regressions learn; and how far
        each is to be believed, [N, A], 0 for not at all. None learns the known labels alone.
    neighbours, by : whose votes join in, and the name of what they vote by; None for none.

    Raises
    ------
    ValueError
        If a target that counts is outside 0 to 1.
    """
    known = ~np.isnan(labels)
    if targets is None or weights is None:
        targets, weights = np.where(known, labels, 0.0), known.astype(np.float64)
    if not np.all(((targets >= 0) & (targets <= 1)) | (weights == 0)):
        raise ValueError("targets: expected 0 to 1 wherever their weight is above 0")
    targets = np.where(weights > 0, targets, 0.0)
    wanted = [(name, model) for name in blocks for model in PENALTIES]
    # Of all members in one array, [M, K + 1, N, A]: a large table's are never held twice.
    shape = (len(wanted) + (neighbours is not None), fold_count(fold) + 1, *labels.shape)
    logits = np.empty(shape, dtype=np.float32)
    members = [
        _regression(name, model, blocks[name], labels, fold, targets, weights, logits[number])
        for number, (name, model) in enumerate(wanted)
    ]
    if neighbours is None:
        return _combine(members, logits, labels, fold, keep_refits)
    votes = _votes(neighbours, fold, targets, weights, logits[-1])
    width = labels.shape[1]
    members.append(_Member(by, "votes", np.ones((1, width)), np.zeros(width)))
    fitted = _combine(members, logits, labels, fold, keep_refits)
    slopes = {name: own for name, own in fitted.weights.items() if name != by}
    votes = replace(votes, slope=fitted.weights[by][0])
    return replace(fitted, weights=slopes, votes={by: votes})


def on_features(
    fitted: Fitted, projections: Mapping[str, Projection | None]
) -> tuple[dict[str, Floats], Floats]:
    """Weights [D, A] on the features of each set, and offsets [A].

    Parameters
    ----------
    projections : those that made the blocks' components; None where no channel varies.
    """
    weights, offsets = {}, fitted.offsets.copy()
    for name, projection in projections.items():
        if projection is not None:
            weights[name], offset = projection.on_features(fitted.weights[name])
            offsets = offsets + offset
    return weights, offsets


def guessing(
    fitted: Fitted,
    labels: np.ndarray,
    fold: np.ndarray,
    guess: np.ndarray,
    softmax: Sequence[tuple[int, int]] = (),
) -> Fitted:
    """``fitted`` with the smoothed prevalence of known training labels for the attributes where
    ``guess``, bool [A], holds: those that can't be told from chance."""
    share = calibration.prevalence_logits(labels[fold >= 0], softmax)
    return replace(
        fitted,
        logits=np.where(guess, share, fitted.logits),
        weights={name: np.where(guess, 0.0, w) for name, w in fitted.weights.items()},
        offsets=np.where(guess, share, fitted.offsets),
        votes={
            name: replace(own, slope=np.where(guess, 0.0, own.slope))
            for name, own in fitted.votes.items()
        },
    )


def joined(
    fitted: Fitted, labels: np.ndarray, fold: np.ndarray, softmax: Sequence[tuple[int, int]]
) -> Fitted:
    """``fitted`` with the logits of each categorical attribute as a softmax takes them.

    Its columns were fitted as one value against the rest; times a factor of least log-loss the
    softmax of their log-odds is calibrated (Guo et al. 2017, temperature scaling). Each training
    cell's factor comes from the other folds.

    Parameters
    ----------
    labels, fold : see `fit`; softmax : (start, stop) of each categorical attribute's columns.
    """
    logits, offsets = fitted.logits.copy(), fitted.offsets.copy()
    weights = {name: own.copy() for name, own in fitted.weights.items()}
    votes = {name: replace(own, slope=own.slope.copy()) for name, own in fitted.votes.items()}
    for a, b in softmax:
        value = truth(labels[:, a:b])

        def slope(rows: np.ndarray, a: int = a, b: int = b, value: np.ndarray = value) -> float:
            return calibration.softmax_slope([(fitted.logits[rows, a:b], value[rows])])

        whole = slope(fold >= 0)
        logits[:, a:b] *= whole
        for k in range(fold_count(fold)):
            rows = np.flatnonzero((fold == k) & (value != -1))
            logits[rows, a:b] = fitted.logits[rows, a:b] * slope((fold >= 0) & (fold != k))
        offsets[a:b] *= whole
        for own in weights.values():
            own[:, a:b] *= whole
        for vote in votes.values():
            vote.slope[a:b] *= whole
    return replace(fitted, logits=logits, offsets=offsets, weights=weights, votes=votes)


def _regression(
    name: str,
    model: str,
    block: Matrix,
    labels: np.ndarray,
    fold: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
) -> _Member:
    """One regression, its logits [K + 1, N, A] written to ``out``."""
    folds, penalties = fold_count(fold), np.array(PENALTIES[model])
    found = []
    for refit in range(folds + 1):
        rows = np.flatnonzero((fold >= 0) & (fold != refit))
        if len(rows) > 2 * MOST_FITTED:
            rng = np.random.default_rng([len(rows), refit])
            rows = np.sort(rng.choice(rows, 2 * MOST_FITTED, replace=False))
        x = block[rows]
        y, w = (targets[refit] if targets.ndim == 3 else targets)[rows], weights[rows]
        if model == "ridge":
            found.append(ridge(x, y, w, penalties))
            continue
        path: list[Floats] = []
        for penalty in penalties:
            path.append(logistic(x, y, w, penalty, path[-1] if path else None))
        found.append(np.stack(path))
    # At every penalty the scores that choose, and of the chosen one alone those of all refits.
    out_of_fold = np.empty((len(penalties), *labels.shape), dtype=np.float32)
    for refit, theta in enumerate(found):
        rows = np.flatnonzero(np.where(fold >= 0, fold, folds) == refit)
        out_of_fold[:, rows] = np.clip(_scores(theta, block, rows), -BOUND, BOUND)
    chosen, _ = choose_penalties(out_of_fold, labels, fold, scaled=model != "logistic")
    del out_of_fold
    each = np.arange(labels.shape[1])
    best = np.stack([theta[chosen, :, each].T for theta in found])
    out[:] = _scores(best, block)
    return _Member(name, model, best[-1, :-1], best[-1, -1])


def _scores(theta: Floats, block: Matrix, rows: np.ndarray | None = None) -> np.ndarray:
    """Logits float32 [M, n, A] of a block's ``rows``, None for all, by models [M, d + 1, A]."""
    models, width, outputs = theta.shape
    flat = theta[:, :-1].transpose(1, 0, 2).reshape(width - 1, -1).astype(np.float32)
    offsets = theta[:, -1].ravel().astype(np.float32)
    scores = in_blocks(lambda part: np.asarray(part, np.float32) @ flat + offsets, block, rows)
    return scores.reshape(-1, models, outputs).transpose(1, 0, 2)


def _votes(
    neighbours: Neighbours,
    fold: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
) -> Votes:
    """The neighbours' votes, after what they say has spread among them, with a slope of 1; their
    logits [K + 1, N, A] are written to ``out``."""
    for refit in range(len(out)):
        asked = ((fold >= 0) & (fold != refit))[:, None]
        own = targets[refit] if targets.ndim == 3 else targets
        said, believed = neighbours.spread_votes(own, np.where(asked, weights, 0.0))
        out[refit] = neighbours.votes(said, believed)
    # The last refit leaves no fold out.
    pool = neighbours.pool
    slope = np.ones(weights.shape[1])
    return Votes(said[pool], believed[pool], prior(believed * said, believed), slope)


def _combine(
    members: list[_Member],
    refits: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    keep_refits: bool,
) -> Fitted:
    """The members, their logits ``refits`` [M, K + 1, N, A], weighted and calibrated."""
    folds, images = fold_count(fold), np.arange(len(labels))
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    own = np.where(fold >= 0, fold, folds)
    stacked, weight, offsets = _weighted(refits, labels, fold, SHRINKAGE, TOWARDS_EQUAL)
    # Where pictures hardly tell, the weights are noise, and the mean of the logistic ones is safer.
    share = np.array([member.model == "logistic" for member in members], dtype=np.float64)
    share /= share.sum()
    # In blocks, since all at once is copied in double precision.
    starts = range(0, len(labels), BLOCK)
    mean = np.empty((1, *refits.shape[1:]), dtype=np.float32)
    for start in starts:
        part = slice(start, start + BLOCK)
        mean[0, :, part] = np.tensordot(share, refits[:, :, part], axes=1)
    plain, slopes, shifts = _weighted(mean, labels, fold, ONE_SLOPE, TOWARDS_EQUAL)
    if not worth_it(stacked[own, images], plain[own, images], labels, fold):
        stacked, weight, offsets = plain, slopes * share, shifts
    logits = stacked[own, images].astype(np.float64)
    method, _ = calibration.select(logits, labels, fold, AFFINE)
    slope, shift = np.ones(labels.shape[1]), np.zeros(labels.shape[1])
    out, losses = logits.copy(), []
    for a, cells in enumerate(known.T):
        y = labels[cells, a]
        if not len(y):
            continue
        # On all labels; of the affine methods two points tell slope and shift.
        at_zero, at_one = logit(calibration.fit(method, logits[cells, a], y)(np.array([0.0, 1.0])))
        slope[a], shift[a] = at_one - at_zero, at_zero
        out[:, a] = slope[a] * logits[:, a] + shift[a]
        held_out = calibration.cross_calibrate(logits[cells, a], y, fold[cells], method)
        out[cells, a] = logit(held_out, bound=30.0)
        losses.append(log_loss(held_out, y))
    combined: dict[str, Floats] = {}
    for number, member in enumerate(members):
        share = weight[:, number] * slope
        combined[member.block] = combined.get(member.block, 0.0) + member.weights * share
        offsets = offsets + weight[:, number] * member.offsets
    return Fitted(
        logits=out,
        weights=combined,
        offsets=(offsets * slope) + shift,
        refits=stacked if keep_refits else None,
        calibration=method,
        loss=np.concatenate(losses) if losses else np.zeros(0),
    )


def _weighted(
    refits: np.ndarray, labels: np.ndarray, fold: np.ndarray, shrinkage: float, equal: float
) -> tuple[npt.NDArray[np.float32], Floats, Floats]:
    """Weighted sums float32 [K + 1, N, A] of candidates [M, K + 1, N, A], the weights of refit k
    learned without the labels of fold k; weights [A, M] and offsets [A] of the last."""
    folds = fold_count(fold)
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    unseen = refits[:, np.where(fold >= 0, fold, folds), np.arange(len(labels))]
    out = np.empty(refits.shape[1:], dtype=np.float32)
    for refit in range(folds + 1):
        cells = known & (fold != refit)[:, None]
        stack = fit_stack(unseen, labels, cells, shrinkage, equal, OFFSET)
        out[refit] = np.einsum("mna,am->na", refits[:, refit], stack.weights) + stack.offsets
    return out, stack.weights, stack.offsets
