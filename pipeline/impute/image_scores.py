"""Scores of all attributes from the pictures, in every world: image models, and all combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from pipeline.impute import calibration, linear_models
from pipeline.impute.components import Matrix
from pipeline.impute.cross_fitting import fold_count, in_world, logit
from pipeline.impute.linear_models import PENALTIES
from pipeline.impute.neighbours import Neighbours
from pipeline.impute.parallel import each
from pipeline.impute.self_training import SelfTraining, self_train
from pipeline.impute.stacking import cross_stack, worth_it

Floats = npt.NDArray[np.float64]
ALONE = "logistic"
"""The model of `PENALTIES` that stands alone where combining does not pay, and trains itself."""


def score(
    blocks: Mapping[str, Matrix], labels: np.ndarray, fold: np.ndarray
) -> tuple[Floats, list[tuple[str, float]]]:
    """Logits [K + 1, N, A] in every world, and the features and penalty best for each attribute.

    Parameters
    ----------
    blocks : name -> components [N, d]; neighbours are sought in the first.
    labels, fold : [N, A] of 1, 0, NaN, and [N], -1 outside training.
    """
    worlds = range(fold_count(fold) + 1)
    first = next(iter(blocks))
    graph = Neighbours.of(blocks[first], fold >= 0)
    candidates: dict[tuple[str, str], Floats] = {}
    best = [("", 0.0, np.inf)] * labels.shape[1]
    for name, block in blocks.items():
        for model in PENALTIES:
            scores, penalties, losses = _linear(model, block, labels, fold)
            candidates[name, model] = scores
            for a, loss in enumerate(losses):
                if model == ALONE and loss < best[a][2]:
                    best[a] = (name, penalties[a], loss)
    # The best logistic regression of each attribute, alone.
    chosen = [name or first for name, _, _ in best]
    alone = np.stack([candidates[name, ALONE][..., a] for a, name in enumerate(chosen)], axis=-1)
    out = np.empty((len(worlds), *labels.shape))
    for world in reversed(worlds):
        inside = in_world(fold, world)
        votes = [graph.neighbours(labels, inside), graph.spread(labels, inside)]
        of_world = np.stack([*(candidate[world] for candidate in candidates.values()), *votes])
        out[world] = cross_stack(of_world, labels, inside)[0]
        # Where pictures hardly tell, most candidates are noise, and so are their weights.
        if world == worlds[-1] and not worth_it(out[world], alone[world], labels, fold):
            out = alone
            break
    known = ~np.isnan(labels)
    for k in worlds[:-1]:
        # The weights, too, come from a world that never had the fold's labels.
        own = known & (fold == k)[:, None]
        out[-1][own] = out[k][own]
    return out, [(name, penalty) for name, penalty, _ in best]


def _linear(
    model: str, block: Matrix, labels: np.ndarray, fold: np.ndarray
) -> tuple[Floats, list[float], list[float]]:
    """Logits [K + 1, N, A] in every world at the best penalties, these [A], and their losses."""
    work = 10.0 * np.prod(block.shape) * labels.shape[1]
    paths = each(linear_models.path, [(model, block, column, fold) for column in labels.T], work)
    # A choice among four, made by all labels: what it tells of any one of them is nothing.
    out_of_fold = np.stack([_out_of_fold(path, fold) for path in paths], axis=2)
    chosen, losses = choose_penalties(out_of_fold, labels, fold, scaled=model != "logistic")
    penalties = [PENALTIES[model][c] for c in chosen]
    tasks = [
        (model, block, labels[:, a], fold, penalties[a], paths[a][c]) for a, c in enumerate(chosen)
    ]
    return np.stack(each(linear_models.worlds, tasks, work), axis=2), penalties, losses


def _out_of_fold(path: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """[C, N] of [C, K + 1, N]: training images by the model without their fold."""
    world = np.where(fold >= 0, fold, path.shape[1] - 1)
    return path[:, world, np.arange(path.shape[2])]


def choose_penalties(
    paths: np.ndarray, labels: np.ndarray, fold: np.ndarray, scaled: bool = False
) -> tuple[list[int], list[float]]:
    """The index of each attribute's penalty, and its held-out log-loss.

    The table's best one, unless the attribute's own best is better by more than a standard error.

    Parameters
    ----------
    paths : [C, N, A] out-of-fold logits at each penalty.
    scaled
        Whether the loss is that after Platt's scaling. Ridge regression is no model of
        probabilities: what its scores are worth to the stack is their order, and by the plain loss
        a dozen positives would always take the strongest penalty.
    """
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    losses = [
        np.stack([_loss(z, labels[cells, a], scaled) for z in paths[:, cells, a]])
        for a, cells in enumerate(known.T)
    ]
    common = int(np.argmin(np.concatenate(losses, axis=1).mean(axis=1)))
    chosen = []
    for loss in losses:
        own = common
        if loss.shape[1] > 1:
            own = int(np.argmin(loss.mean(axis=1)))
            gain = loss[common] - loss[own]
            if gain.mean() <= gain.std(ddof=1) / np.sqrt(len(gain)):
                own = common
        chosen.append(own)
    means = [
        float(loss[c].mean()) if loss.size else np.inf
        for loss, c in zip(losses, chosen, strict=True)
    ]
    return chosen, means


def _loss(logits: np.ndarray, labels: np.ndarray, scaled: bool) -> Floats:
    if scaled and len(labels) and labels.min() < labels.max():
        logits = logit(calibration.platt(logits, labels)(logits))
    return np.asarray(np.logaddexp(0, np.where(labels == 1, -1, 1) * logits), dtype=np.float64)


def self_trained(
    blocks: Mapping[str, Matrix],
    best: Sequence[tuple[str, float]],
    labels: np.ndarray,
    fold: np.ndarray,
    rounds: int,
    confidence: float,
    twin_known: np.ndarray | None = None,
) -> list[SelfTraining]:
    """How self-training of each attribute's best logistic regression went.

    Parameters
    ----------
    best : [A] of `score`.
    rounds, confidence : see `pipeline.impute.self_training`; twin_known : bool [N, A] or None.
    """
    tasks = []
    for a, (name, penalty) in enumerate(best):
        twins = None if twin_known is None else twin_known[:, a]
        block = blocks[name] if name and rounds else None
        tasks.append((block, labels[:, a], fold, penalty, rounds, confidence, twins))
    work = 5.0 * sum(np.prod(task[0].shape) for task in tasks if task[0] is not None)
    return each(_self_train, tasks, work)


def _self_train(
    block: Matrix | None,
    labels: np.ndarray,
    fold: np.ndarray,
    penalty: float,
    rounds: int,
    confidence: float,
    twin_known: np.ndarray | None,
) -> SelfTraining:
    if block is None:
        return SelfTraining([], "no_rounds")
    refit = partial(linear_models.logistic_by_fold, block, labels, fold, penalty)
    first = refit(np.full((fold_count(fold), len(labels)), np.nan))
    return self_train(labels, fold, first, refit, rounds, confidence, twin_known)
