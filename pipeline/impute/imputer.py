"""The whole imputation of a table, from cached features and partly known labels.

Pictures first (`pictures`), then the other labels of the image (`label_models`), both combined by
weights learned on labels that no candidate had seen (`stack`), calibrated, audited and cut into
values. No model that scores a cell has been fitted on that cell's label, nor on scores that had
seen it; a handful of numbers (weights, penalties, gates) are learned from all labels' scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data import splits
from pipeline.data.categories import Attribute
from pipeline.data.categories import attributes as attributes_of
from pipeline.data.splits import out_of_fold
from pipeline.impute import (
    audit,
    calibration,
    categorical,
    fill,
    image_scores,
    label_models,
    masking,
    missingness,
)
from pipeline.impute.components import Matrix, components
from pipeline.impute.learnable import Verdict, judge_all
from pipeline.impute.missingness import Missingness
from pipeline.impute.parallel import each
from pipeline.impute.self_training import SelfTraining
from pipeline.impute.stacking import cross_stack, worth_it

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """Knobs of the procedure; names as in params.yaml.

    rounds : self-training rounds at most.
    confidence : of a pseudo-label, see `pipeline.impute.self_training`.
    threshold : rule or number, see `pipeline.metrics.scores.thresholds.choose`.
    prior : attribute -> share of positives among its unknown cells, where the user knows it.
    min_confidence : expected correctness below which cells will be left empty; the audit is then of
        the others. None = every cell is filled.
    """

    folds: int = 5
    rounds: int = 3
    confidence: float = 0.95
    threshold: str | float = "prevalence"
    prior: Mapping[str, float] = field(default_factory=dict)
    min_confidence: float | None = None


@dataclass(frozen=True)
class Imputation:
    """A filled table and what is to be thought of it; [N, A] each unless said otherwise.

    probability : of 1, calibrated; in known cells the estimate made without their label.
    values : 0 or 1, known cells as given.
    correctness : expected probability that the filled value is right; 1 in known cells.
    weight : how far a filled cell is to be believed in training, 0 to 1; 1 in known cells.
    evidence : see `pipeline.impute.fill`; empty in known cells.
    threshold : [A].
    learnable : bool [A].
    verdicts : the tests behind it, one per attribute.
    audit : one row per attribute, see `pipeline.impute.audit`.
    held_out : probability of known training cells by calibrators that have not seen them, with as
        many other labels hidden as around unknown cells; NaN elsewhere.
    decided : value that known training cells would have been given; NaN elsewhere.
    scores : logits before calibration; image_scores : those of the pictures alone.
    missingness : one per attribute.
    warnings : in words, for the end of a run.
    candidates : the stack's candidates, and what weight all attributes together give them.
    calibration : the method chosen, and the held-out log-loss of each.
    courses : per attribute how self-training went.
    rounds : int [A], scorings behind its cells: 1, and the self-training rounds where they count.
    categorical : one row per categorical attribute, see `pipeline.impute.categorical`.
    """

    probability: Floats
    values: npt.NDArray[np.int8]
    correctness: Floats
    weight: Floats
    evidence: npt.NDArray[np.str_]
    threshold: Floats
    learnable: npt.NDArray[np.bool_]
    verdicts: list[Verdict]
    audit: pd.DataFrame
    held_out: Floats
    decided: Floats
    scores: Floats
    image_scores: Floats
    missingness: list[Missingness]
    warnings: list[str]
    candidates: dict[str, float]
    calibration: tuple[str, dict[str, float]]
    courses: list[SelfTraining]
    rounds: npt.NDArray[np.int64]
    categorical: pd.DataFrame


CLASSES = (12, 48)
"""Numbers of latent classes, a candidate each."""
TRUST = 0.6
"""See `pipeline.impute.latent_classes.evidence_of`."""


def impute(
    features: Matrix,
    labels: np.ndarray,
    *,
    seed: int = 0,
    settings: Settings | None = None,
    attributes: list[str] | None = None,
    fold: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    spatial: Matrix | None = None,
    heads: np.ndarray | None = None,
    categories: Sequence[Attribute] = (),
    folder: Path | None = None,
) -> Imputation:
    """Fill every unknown cell.

    Parameters
    ----------
    features : float [N, C] pooled features.
    labels : [N, A] of 1, 0 and NaN for unknown.
    attributes : [A] names.
    fold
        [N] from 0 on for training images, -1 for images whose labels may not shape any model, only
        tell of the rest of their row; None makes folds of all images.
    groups : [N] equal numbers for identical images: they stay in one fold, and none of them becomes
        a pseudo-label where another's label is known.
    spatial : float [N, D] flattened maps, a second set of features, or None.
    heads : [A, N] out-of-fold logits of further image models, or None.
    categories : the categorical attributes, whose columns are known and unknown together.
    folder : where a large table's components lie meanwhile; None keeps them in memory.
    """
    settings = settings or Settings()
    labels = np.asarray(labels, dtype=np.float32)
    names = attributes or [f"attribute {a}" for a in range(labels.shape[1])]
    if fold is None:
        units = np.arange(len(labels)) if groups is None else groups
        rng = np.random.default_rng([seed, settings.folds])
        fold = splits.balanced_folds(labels, units, settings.folds, rng)
    training = fold >= 0
    sets = {"pooled": features} | ({} if spatial is None else {"map": spatial})
    blocks = {
        name: components(
            matrix, training, seed, file=None if folder is None else folder / f"{name}.npy"
        )
        for name, matrix in sets.items()
    }
    twins = None if groups is None else _twin_known(labels, groups)
    worlds, best = image_scores.score(blocks, labels, fold)
    courses = image_scores.self_trained(
        blocks, best, labels, fold, settings.rounds, settings.confidence, twins
    )
    image = worlds[-1]

    first = next(iter(blocks.values()))
    inputs = label_models.Inputs(first, worlds, labels, fold, (seed,))
    candidates = {"pictures": image}
    if heads is not None:
        candidates["heads"] = np.asarray(heads, dtype=np.float64).T
    if any(len(course.logits) > 1 for course in courses):
        candidates["self-trained"] = _self_trained(image, courses, fold)
    scores, combined = image, None
    if len(candidates) > 1:
        scores, combined = cross_stack(np.stack(list(candidates.values())), labels, fold)
    used, reads_labels = tuple(candidates), False
    if labels.shape[1] > 1:
        candidates |= _with_labels(inputs, categories)
        stacked, whole = cross_stack(np.stack(list(candidates.values())), labels, fold)
        # Where other labels tell nothing, models that read them would only add noise.
        if worth_it(stacked, scores, labels, fold):
            scores, combined, used, reads_labels = stacked, whole, tuple(candidates), True
    weights = np.ones((labels.shape[1], 1)) if combined is None else combined.weights
    shared = [1.0] if combined is None else combined.shared[:-1].round(4).tolist()
    verdicts = judge_all(scores, labels, fold, (seed,))
    method, losses = calibration.select(scores, labels, fold)
    filled = fill.fill_table(
        scores,
        labels,
        fold,
        np.array([verdict.learnable for verdict in verdicts]),
        method,
        settings.threshold,
        [settings.prior.get(name) for name in names],
        reads_labels,
    )
    categorical.settle(filled, labels, fold, categories)
    found = missingness.examine(first, labels, fold, names, (seed,))
    return Imputation(
        probability=filled.probability,
        values=filled.values,
        correctness=filled.correctness,
        weight=filled.weight,
        evidence=filled.evidence,
        threshold=filled.threshold,
        learnable=filled.learnable,
        verdicts=verdicts,
        audit=audit.table(names, labels, fold, filled, scores, (seed,), settings.min_confidence),
        held_out=filled.held_out,
        decided=filled.decided,
        scores=scores,
        image_scores=image,
        missingness=found,
        warnings=_warnings(attributes_of(names, categories), found),
        candidates=dict(zip(used, shared, strict=True)),
        calibration=(method, losses),
        courses=courses,
        rounds=_rounds(courses, used, weights),
        categorical=categorical.audit(
            filled, labels, fold, categories, (seed,), settings.min_confidence
        ),
    )


def _with_labels(inputs: label_models.Inputs, categories: Sequence[Attribute]) -> dict[str, Floats]:
    """Candidates that read the other labels, [N, A] logits each."""
    work = 50.0 * inputs.labels.size * sum(CLASSES)
    classes = [label_models.ClassModels(inputs, count, TRUST) for count in CLASSES]
    columns = range(inputs.labels.shape[1])
    found = each(_of_target, [(inputs, classes, a, categories) for a in columns], work)
    return {name: np.stack([scores[name] for scores in found], axis=1) for name in found[0]}


def _of_target(
    inputs: label_models.Inputs,
    classes: list[label_models.ClassModels],
    target: int,
    categories: Sequence[Attribute],
) -> dict[str, Floats]:
    """Logits [N] of one attribute by every method."""
    training, known = inputs.fold >= 0, ~np.isnan(inputs.labels[:, target])
    context = masking.like_unknown(
        categorical.without_siblings(inputs.labels, target, categories),
        target,
        np.flatnonzero(training & known),
        np.flatnonzero(training & ~known),
        inputs.seed,
    )
    methods: dict[str, label_models.LabelModel] = {
        "chain": label_models.chained_logistic,
        "shrunk chain": label_models.shrunk_logistic,
        "ridge": label_models.chained_ridge,
        "neighbours": label_models.neighbours,
        **{f"{count} classes": model for count, model in zip(CLASSES, classes, strict=True)},
    }
    return {name: method(inputs, context, target) for name, method in methods.items()}


def _warnings(attributes: Sequence[Attribute], found: list[missingness.Missingness]) -> list[str]:
    """One sentence at most of each attribute: a category's columns are unknown together."""
    warned = []
    for one in attributes:
        told = [missingness.sentence(one.name, test) for test in found[one.start : one.stop]]
        warned += [sentence for sentence in told if sentence][:1]
    return warned


def _twin_known(labels: np.ndarray, groups: np.ndarray) -> npt.NDArray[np.bool_]:
    """bool [N, A]: whether an identical image, or the image itself, has a known label."""
    known = np.zeros((int(groups.max()) + 1, labels.shape[1]), dtype=bool)
    np.logical_or.at(known, groups, ~np.isnan(labels))
    return known[groups]


def _self_trained(image: Floats, courses: list[SelfTraining], fold: np.ndarray) -> Floats:
    """Logits [N, A] of the last round kept; where none was, those of the pictures."""
    out = image.copy()
    for a, course in enumerate(courses):
        if len(course.logits) > 1:
            out[:, a] = out_of_fold(course.logits[-1], fold)
    return out


def _rounds(
    courses: list[SelfTraining], used: tuple[str, ...], weights: np.ndarray
) -> npt.NDArray[np.int64]:
    """int [A]: scorings behind an attribute's cells."""
    out = np.ones(len(courses), dtype=np.int64)
    if "self-trained" in used:
        share = weights[:, used.index("self-trained")]
        for a, course in enumerate(courses):
            if share[a] > 0.01:
                out[a] = max(1, len(course.logits))
    return out
