"""Scores of all attributes from the pictures, in every world: image models, and all combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from pipeline.impute.crossfitting import fold_count, in_world
from pipeline.impute.image_models import (
    PENALTIES,
    Graph,
    logistic_by_fold,
    logistic_path,
    logistic_worlds,
    ridge_worlds,
)
from pipeline.impute.parallel import each
from pipeline.impute.selftrain import SelfTraining, self_train
from pipeline.impute.stack import cross_stack

Floats = npt.NDArray[np.float64]


def score(
    blocks: Mapping[str, np.ndarray], labels: np.ndarray, fold: np.ndarray
) -> tuple[Floats, list[tuple[str, float]]]:
    """Logits [K + 1, N, A] in every world, and the features and penalty best for each attribute.

    Parameters
    ----------
    blocks : name -> components [N, d]; neighbours are sought in the first.
    labels, fold : [N, A] of 1, 0, NaN, and [N], -1 outside training.
    """
    worlds = range(fold_count(fold) + 1)
    graph = Graph(next(iter(blocks.values())), fold >= 0)
    candidates: list[Floats] = []
    best = [("", 0.0, np.inf)] * labels.shape[1]
    for name, block in blocks.items():
        work = 10.0 * block.size * labels.shape[1]
        paths = each(logistic_path, [(block, column, fold) for column in labels.T], work)
        # A choice among four, made by all labels: what it tells of any one of them is nothing.
        chosen, losses = choose_penalties(
            np.stack([_out_of_fold(path, fold) for path in paths], axis=2), labels, fold
        )
        tasks = [
            (block, labels[:, a], fold, PENALTIES[c], paths[a][c]) for a, c in enumerate(chosen)
        ]
        candidates.append(np.stack(each(logistic_worlds, tasks, work), axis=2))
        ridges = each(ridge_worlds, [(block, column, fold) for column in labels.T], work)
        candidates.append(np.stack(ridges, axis=2))
        for a, (index, loss) in enumerate(zip(chosen, losses, strict=True)):
            if loss < best[a][2]:
                best[a] = (name, PENALTIES[index], loss)
    out = np.empty((len(worlds), *labels.shape))
    for world in worlds:
        inside = in_world(fold, world)
        votes = [graph.neighbours(labels, inside), graph.spread(labels, inside)]
        of_world = np.stack([*(candidate[world] for candidate in candidates), *votes])
        out[world] = cross_stack(of_world, labels, inside)[0]
    known = ~np.isnan(labels)
    for k in worlds[:-1]:
        # The weights, too, come from a world that never had the fold's labels.
        own = known & (fold == k)[:, None]
        out[-1][own] = out[k][own]
    return out, [(name, penalty) for name, penalty, _ in best]


def _out_of_fold(path: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """[C, N] of [C, K + 1, N]: training images by the model without their fold."""
    world = np.where(fold >= 0, fold, path.shape[1] - 1)
    return path[:, world, np.arange(path.shape[2])]


def choose_penalties(
    paths: np.ndarray, labels: np.ndarray, fold: np.ndarray
) -> tuple[list[int], list[float]]:
    """The index of each attribute's penalty, and its held-out log-loss.

    The table's best one, unless the attribute's own best is better by more than a standard error.

    Parameters
    ----------
    paths : [C, N, A] out-of-fold logits at each penalty.
    """
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    losses = [
        np.logaddexp(0, np.where(labels[cells, a] == 1, -1, 1) * paths[:, cells, a])
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


def self_trained(
    blocks: Mapping[str, np.ndarray],
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
    rounds, confidence : see `pipeline.impute.selftrain`; twin_known : bool [N, A] or None.
    """
    tasks = []
    for a, (name, penalty) in enumerate(best):
        twins = None if twin_known is None else twin_known[:, a]
        block = blocks[name] if name and rounds else None
        tasks.append((block, labels[:, a], fold, penalty, rounds, confidence, twins))
    work = 5.0 * sum(task[0].size for task in tasks if task[0] is not None)
    return each(_self_train, tasks, work)


def _self_train(
    block: np.ndarray | None,
    labels: np.ndarray,
    fold: np.ndarray,
    penalty: float,
    rounds: int,
    confidence: float,
    twin_known: np.ndarray | None,
) -> SelfTraining:
    if block is None:
        return SelfTraining([], "no_rounds")
    refit = partial(logistic_by_fold, block, labels, fold, penalty)
    first = refit(np.full((fold_count(fold), len(labels)), np.nan))
    return self_train(labels, fold, first, refit, rounds, confidence, twin_known)
