"""Scores of all attributes from the pictures, in every refit: image models, and all combined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from pipeline.impute import calibration, linear_models
from pipeline.impute.components import Matrix
from pipeline.impute.cross_fitting import fold_count, logit, without_fold
from pipeline.impute.neighbours import Neighbours
from pipeline.impute.parallel import each
from pipeline.impute.self_training import History, self_train
from pipeline.impute.stacking import cross_stack, worth_it

Floats = npt.NDArray[np.float64]
ALONE = "logistic"
"""The model that stands alone where combining does not pay, and trains itself."""


@dataclass(frozen=True)
class Inputs:
    """One set of features, as components [N, d], the labels [N, A] of 1, 0, NaN, and the fold [N]
    of each image, -1 outside training."""

    components: Matrix
    labels: np.ndarray
    fold: np.ndarray

    @cached_property
    def neighbours(self) -> Neighbours:
        """Sought once for all models that ask them."""
        return Neighbours.of(self.components, self.fold >= 0)


@dataclass(frozen=True)
class Scores:
    """Logits [K + 1, N, A] in every refit; of a model with a penalty, the one chosen for each
    attribute, [A], and its held-out log-loss."""

    logits: npt.NDArray[np.floating]
    penalties: Sequence[float] = ()
    losses: Sequence[float] = ()


@dataclass(frozen=True)
class ImageModel:
    """A function that scores all cells, on every set of features or on the first alone."""

    score: Callable[[Inputs], Scores]
    every_set: bool = True


def logistic(inputs: Inputs) -> Scores:
    """Logistic regression."""
    return _linear("logistic", inputs)


def ridge(inputs: Inputs) -> Scores:
    """Ridge regression, which ranks better where a class has a dozen labels."""
    return _linear("ridge", inputs)


def votes(inputs: Inputs) -> Scores:
    """The share of positives among the most similar images."""
    return Scores(inputs.neighbours.neighbours(inputs.labels, inputs.fold))


def spreading(inputs: Inputs) -> Scores:
    """Labels spread over the graph of neighbours."""
    return Scores(inputs.neighbours.spread(inputs.labels, inputs.fold))


IMAGE_MODELS: dict[str, ImageModel] = {
    ALONE: ImageModel(logistic),
    "ridge": ImageModel(ridge),
    "neighbours": ImageModel(votes, every_set=False),
    "spreading": ImageModel(spreading, every_set=False),
}
"""Candidate -> its model."""


def score(
    sets: Mapping[str, Matrix], labels: np.ndarray, fold: np.ndarray
) -> tuple[Floats, list[tuple[str, float]]]:
    """Logits [K + 1, N, A] in every refit, and the features and penalty best for each attribute.

    Parameters
    ----------
    sets : name of a set of features -> its components [N, d].
    labels, fold : [N, A] of 1, 0, NaN, and [N], -1 outside training.
    """
    first = next(iter(sets))
    inputs = {name: Inputs(components, labels, fold) for name, components in sets.items()}
    candidates = {
        (name, model): IMAGE_MODELS[model].score(inputs[name])
        for every_set in (True, False)
        for name in (sets if every_set else [first])
        for model in IMAGE_MODELS
        if IMAGE_MODELS[model].every_set == every_set
    }
    del inputs  # the graph of neighbours, of a large table hundreds of megabytes
    best = [_best(candidates, list(sets), a) for a in range(labels.shape[1])]
    # The best logistic regression of each attribute, alone.
    chosen = [candidates[name or first, ALONE].logits for name, _ in best]
    by_itself = np.stack([logits[..., a] for a, logits in enumerate(chosen)], axis=-1).astype(float)
    folds = fold_count(fold)
    out = np.empty((folds + 1, *labels.shape))
    for k in reversed(range(folds + 1)):
        of_refit = {" ".join(key): scores.logits[k] for key, scores in candidates.items()}
        out[k] = cross_stack(of_refit, labels, without_fold(fold, k)).logits
        # Where pictures hardly tell, most candidates are noise, and so are their weights.
        if k == folds and not worth_it(out[k], by_itself[k], labels, fold):
            out = by_itself
            break
    known = ~np.isnan(labels)
    for k in range(folds):
        # The weights, too, come from a refit that never had the fold's labels.
        own = known & (fold == k)[:, None]
        out[-1][own] = out[k][own]
    return out, best


def _best(
    candidates: Mapping[tuple[str, str], Scores], sets: Sequence[str], a: int
) -> tuple[str, float]:
    """The features on which `ALONE` has the least held-out loss, and its penalty; no features where
    there is no label to measure it on."""
    best, least = ("", 0.0), np.inf
    for name in sets:
        scores = candidates[name, ALONE]
        if scores.losses[a] < least:
            best, least = (name, scores.penalties[a]), scores.losses[a]
    return best


def _linear(model: str, inputs: Inputs) -> Scores:
    """At the best of the model's `PENALTIES`."""
    components, labels, fold = inputs.components, inputs.labels, inputs.fold
    work = 10.0 * np.prod(components.shape) * labels.shape[1]
    tasks = [(model, components, column, fold) for column in labels.T]
    paths = each(linear_models.path, tasks, work, f"{model}, penalties")
    # A choice among four, made by all labels: what it tells of any one of them is nothing.
    out_of_fold = np.stack([_out_of_fold(path, fold) for path in paths], axis=2)
    chosen, losses = choose_penalties(out_of_fold, labels, fold, scaled=model != ALONE)
    penalties = [linear_models.PENALTIES[model][c] for c in chosen]
    # Copies, so that the others, most of a large table's scores, can go.
    best = [
        (model, components, labels[:, a], fold, penalties[a], paths[a][c].copy())
        for a, c in enumerate(chosen)
    ]
    del paths, out_of_fold
    logits = np.stack(each(linear_models.refits, best, work, f"{model}, refits"), axis=2)
    return Scores(logits, penalties, losses)


def _out_of_fold(path: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """[C, N] of [C, K + 1, N]: training images by the model without their fold."""
    refit = np.where(fold >= 0, fold, path.shape[1] - 1)
    return path[:, refit, np.arange(path.shape[2])]


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
    sets: Mapping[str, Matrix],
    best: Sequence[tuple[str, float]],
    labels: np.ndarray,
    fold: np.ndarray,
    rounds: int,
    confidence: float,
    duplicate_known: np.ndarray | None = None,
) -> list[History]:
    """How self-training of each attribute's best logistic regression went.

    Parameters
    ----------
    best : [A] of `score`.
    rounds, confidence : see `pipeline.impute.self_training`; duplicate_known : bool [N, A] or None.
    """
    tasks = []
    for a, (name, penalty) in enumerate(best):
        duplicates = None if duplicate_known is None else duplicate_known[:, a]
        block = sets[name] if name and rounds else None
        tasks.append((block, labels[:, a], fold, penalty, rounds, confidence, duplicates))
    work = 5.0 * sum(np.prod(task[0].shape) for task in tasks if task[0] is not None)
    return each(_self_train, tasks, work, "self-training")


def _self_train(
    block: Matrix | None,
    labels: np.ndarray,
    fold: np.ndarray,
    penalty: float,
    rounds: int,
    confidence: float,
    duplicate_known: np.ndarray | None,
) -> History:
    if block is None:
        return History(np.zeros(0), 0, "no_rounds")
    fit_folds = partial(linear_models.logistic_by_fold, block, labels, fold, penalty)
    first = fit_folds(np.full((fold_count(fold), len(labels)), np.nan))
    return self_train(labels, fold, first, fit_folds, rounds, confidence, duplicate_known)
