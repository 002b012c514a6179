"""The whole imputation of a table, from cached features and partly known labels.

Pictures first (`image_scores`), then the other labels of the image (`label_models`), both combined
by weights learned on labels that no candidate had seen (`stacking`), calibrated and cut into values
(`fill`) and audited. No model that scores a cell has been fitted on that cell's label, nor on
scores that had seen it; a handful of numbers (weights, penalties, gates) are learned from all
labels' scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline import progress
from pipeline.data import splits
from pipeline.data.categories import Attribute
from pipeline.data.categories import attributes as attributes_of
from pipeline.data.verdicts import together
from pipeline.impute import (
    audit,
    calibration,
    categorical,
    image_scores,
    label_models,
    missingness,
    self_training,
)
from pipeline.impute.components import Matrix, components
from pipeline.impute.fill import Filled, UnkeptColumnsError, fill_table
from pipeline.impute.learnable import Learnability, assess
from pipeline.impute.missingness import Missingness
from pipeline.impute.promises import Promises, promise
from pipeline.impute.self_training import History
from pipeline.impute.stacking import Stacked, alone, cross_stack, worth_it
from pipeline.metrics import thresholds
from pipeline.metrics.risk_control import is_target
from pipeline.metrics.thresholds import Rule

Floats = npt.NDArray[np.float64]
SELF_TRAINED = "self-trained"
POLICIES = ("fill", "abstain", "guarantee")
"""Fill every cell, those that are expected to be right, or those of which at most a share will be
wrong (`pipeline.impute.promises`)."""


@dataclass(frozen=True)
class Settings:
    """Knobs of the procedure; names as in params.yaml.

    rounds : self-training rounds at most.
    confidence : of a pseudo-label, see `pipeline.impute.self_training`.
    threshold : rule, number or promise, or a mapping of attributes to these, see
        `pipeline.metrics.thresholds.of_columns`.
    prior : attribute -> share of positives among its unknown cells, where the user knows it.
    policy : which cells are filled, see `POLICIES`; the audit is of these.
    min_confidence : expected correctness from which ``abstain`` fills a cell.
    max_wrong : share of wrong ones up to which ``guarantee`` fills cells.
    folder : where a large table's components lie meanwhile; None keeps them in memory.
    """

    folds: int = 5
    rounds: int = 3
    confidence: float = 0.95
    threshold: Rule | Mapping[str, Rule] = "prevalence"
    prior: Mapping[str, float] = field(default_factory=dict)
    policy: str = "fill"
    min_confidence: float = 0.9
    max_wrong: float = 0.05
    seed: int = 0
    folder: Path | None = None


@dataclass(frozen=True)
class Table:
    """What is known of N images.

    features : float [N, C] pooled features.
    labels : [N, A] of 1, 0 and NaN for unknown.
    attributes : [A] names; numbered where None.
    fold : [N] from 0 on for training images, -1 for images whose labels may not shape any model,
        only stand beside the rest of their row; None makes folds of all images.
    groups : [N] equal numbers for identical images: they stay in one fold, and none of them becomes
        a pseudo-label where another's label is known.
    spatial : float [N, D] flattened maps, a second set of features, or None.
    heads : [A, N] out-of-fold logits of further image models, or None.
    categories : the categorical attributes, whose columns are known and unknown together.
    looked_at : bool [N, A], known cells that were unknown until a person looked at them, or None.
    """

    features: Matrix
    labels: np.ndarray
    attributes: Sequence[str] | None = None
    fold: np.ndarray | None = None
    groups: np.ndarray | None = None
    spatial: Matrix | None = None
    heads: np.ndarray | None = None
    categories: Sequence[Attribute] = ()
    looked_at: np.ndarray | None = None


@dataclass(frozen=True)
class Imputation(Filled):
    """A filled table and what is to be thought of it; [N, A] each unless said otherwise.

    fold : int [N], -1 outside training.
    kept : bool [N, A], unknown cells that the policy fills, and known training cells that it would
        have filled.
    promises : how large the share of wrong ones among which cells can be.
    learnability : the tests behind ``learnable``, one per attribute.
    audit : one row per attribute, see `pipeline.impute.audit`.
    scores : logits before calibration; image_scores : those of the pictures alone.
    missingness : one per attribute.
    verdicts : [A] of `pipeline.data.verdicts`, one for all columns of a categorical attribute.
    warnings : in words, for the end of a run.
    candidates : the stack's candidates, and what weight all attributes together give them.
    calibration : the method chosen, and the held-out log-loss of each.
    self_training : per attribute how self-training went.
    rounds : int [A], scorings behind its cells: 1, and the self-training rounds where they count.
    categorical : one row per categorical attribute, see `pipeline.impute.categorical`.
    """

    fold: npt.NDArray[np.int64]
    kept: npt.NDArray[np.bool_]
    promises: Promises
    learnability: list[Learnability]
    audit: pd.DataFrame
    scores: Floats
    image_scores: Floats
    missingness: list[Missingness]
    verdicts: list[str]
    warnings: list[str]
    candidates: dict[str, float]
    calibration: tuple[str, dict[str, float]]
    self_training: list[History]
    rounds: npt.NDArray[np.int64]
    categorical: pd.DataFrame


@dataclass(frozen=True)
class _Known:
    """A table ready for the steps: its labels, names and folds; the seed of its draws."""

    labels: npt.NDArray[np.float32]
    attributes: list[str]
    fold: np.ndarray
    categories: Sequence[Attribute]
    looked_at: npt.NDArray[np.bool_]
    seed: tuple[int, ...]


@dataclass(frozen=True)
class _ImageScores:
    """Components [N, d] of the features, logits [K + 1, N, A] in every refit, the histories of
    self-training [A], and the candidates that read pictures alone: name -> logits [N, A]."""

    components: Matrix
    refits: Floats
    self_training: list[History]
    candidates: dict[str, Floats]


@dataclass(frozen=True)
class Imputer:
    """Fills a table in five steps: `fill`."""

    settings: Settings = field(default_factory=Settings)

    def fill(self, table: Table) -> Imputation:
        """Every unknown cell filled, whatever is known around it.

        Raises
        ------
        PipelineError
            If the labels are too few for what is promised of an attribute.
        """
        known = self._with_folds(table)
        with progress.task("image models"):
            images = self._score_images(table, known)
        with progress.task("label models"):
            by_labels = self._score_labels(known, images)
        with progress.task("stacking"):
            stacked = self._stack(known, images.candidates, by_labels)
        with progress.task("calibration"):
            filled = self._fill_cells(known, images, stacked)
        with progress.task("audit"):
            return self._audit(known, images, stacked, *filled)

    def _with_folds(self, table: Table) -> _Known:
        labels, s = np.asarray(table.labels, dtype=np.float32), self.settings
        fold = table.fold
        if fold is None:
            units = np.arange(len(labels)) if table.groups is None else table.groups
            rng = np.random.default_rng([s.seed, s.folds])
            fold = splits.balanced_folds(labels, units, s.folds, rng)
        names = table.attributes or [f"attribute {a}" for a in range(labels.shape[1])]
        looked_at = table.looked_at
        if looked_at is None:
            looked_at = np.zeros(labels.shape, dtype=bool)
        return _Known(labels, list(names), fold, table.categories, looked_at, (s.seed,))

    def _score_images(self, table: Table, known: _Known) -> _ImageScores:
        """Step 1: image models on each set of features, and self-training of the best."""
        s, labels, fold = self.settings, known.labels, known.fold
        features = {"pooled": table.features}
        if table.spatial is not None:
            features["map"] = table.spatial
        sets = {}
        for name, matrix in features.items():
            file = None if s.folder is None else s.folder / f"{name}.npy"
            sets[name] = components(matrix, fold >= 0, s.seed, file=file)
        refits, best = image_scores.score(sets, labels, fold)
        duplicate_known = None if table.groups is None else _known_in_group(labels, table.groups)
        histories = image_scores.self_trained(
            sets, best, labels, fold, s.rounds, s.confidence, duplicate_known
        )
        candidates = {"pictures": refits[-1].copy()}  # which need not keep the other refits
        if table.heads is not None:
            candidates["heads"] = np.asarray(table.heads, dtype=np.float64).T
        if any(history.scorings > 1 for history in histories):
            candidates[SELF_TRAINED] = self_training.last_logits(histories, refits[-1])
        return _ImageScores(sets["pooled"], refits, histories, candidates)

    def _score_labels(self, known: _Known, images: _ImageScores) -> dict[str, Floats]:
        """Step 2: models that read the other labels of a row, if there are others."""
        if known.labels.shape[1] < 2:
            return {}
        inputs = label_models.Inputs(
            images.components, images.refits, known.labels, known.fold, known.seed
        )
        return label_models.score(inputs, known.categories)

    def _stack(
        self, known: _Known, by_image: dict[str, Floats], by_labels: dict[str, Floats]
    ) -> Stacked:
        """Step 3: all candidates combined, those that read labels where they are worth it."""
        of_images = alone(*next(iter(by_image.items())))
        if len(by_image) > 1:
            of_images = cross_stack(by_image, known.labels, known.fold)
        if not by_labels:
            return of_images
        whole = cross_stack(by_image | by_labels, known.labels, known.fold)
        # Where other labels say nothing, models that read them would only add noise.
        better = worth_it(whole.logits, of_images.logits, known.labels, known.fold)
        return whole if better else of_images

    def _fill_cells(
        self, known: _Known, images: _ImageScores, stacked: Stacked
    ) -> tuple[Filled, list[Learnability], tuple[str, dict[str, float]]]:
        """Step 4: scores calibrated and cut into values; those of chance take the prevalence."""
        labels, fold = known.labels, known.fold
        found = assess(stacked.logits, labels, fold, known.seed)
        chosen = calibration.select(stacked.logits, labels, fold)
        setting, names = self.settings.threshold, known.attributes
        try:
            filled = fill_table(
                stacked.logits,
                labels,
                fold,
                np.array([one.learnable for one in found]),
                chosen[0],
                thresholds.of_columns(setting, attributes_of(names, known.categories)),
                [self.settings.prior.get(name) for name in names],
                reads_labels=stacked.weights.keys() > images.candidates.keys(),
                looked_at=known.looked_at,
            )
        except UnkeptColumnsError as error:
            thresholds.refuse(setting, {names[a]: why for a, why in error.columns.items()})
        filled = categorical.joined(filled, labels, fold, known.categories, known.looked_at)
        return filled, found, chosen

    def _audit(
        self,
        known: _Known,
        images: _ImageScores,
        stacked: Stacked,
        filled: Filled,
        learnability: list[Learnability],
        chosen: tuple[str, dict[str, float]],
    ) -> Imputation:
        """Step 5: what to expect of the filled cells, and whether labels are missing at random."""
        labels, fold, seed = known.labels, known.fold, known.seed
        # Where people looked at cells is their choice, and says nothing of which were given.
        given = np.where(known.looked_at, np.nan, labels)
        missing = missingness.examine(images.components, given, fold, known.attributes, seed)
        share = stacked.weights.get(SELF_TRAINED)
        attributes = attributes_of(known.attributes, known.categories)
        own_refit = images.refits[np.where(fold >= 0, fold, -1), np.arange(len(labels))]
        withdrawn, weights = missingness.exchangeable(
            *(missing, images.components, own_refit, given, fold),
            *(known.attributes, attributes),
        )
        promises = promise(
            *(filled, labels, fold, attributes, self.settings.max_wrong),
            *(withdrawn, weights),
        )
        kept = self._kept(filled, promises)
        return Imputation(
            **vars(filled),
            fold=fold,
            kept=kept,
            promises=promises,
            learnability=learnability,
            audit=audit.table(known.attributes, labels, fold, filled, stacked.logits, seed, kept),
            scores=stacked.logits,
            image_scores=images.candidates["pictures"],
            missingness=missing,
            verdicts=_verdicts(attributes, learnability),
            warnings=_warnings(attributes, missing, self.settings.threshold),
            candidates=stacked.shared,
            calibration=chosen,
            self_training=images.self_training,
            rounds=self_training.rounds_behind(images.self_training, share),
            categorical=categorical.audit(filled, labels, fold, known.categories, seed, kept),
        )

    def _kept(self, filled: Filled, promises: Promises) -> npt.NDArray[np.bool_]:
        s = self.settings
        if s.policy == "guarantee":
            return promises.kept
        if s.policy == "abstain":
            sure = np.where(
                np.isnan(filled.held_out_correctness),
                filled.correctness,
                filled.held_out_correctness,
            )
            return np.asarray(sure >= s.min_confidence)
        return np.ones(filled.values.shape, dtype=bool)


def _verdicts(attributes: Sequence[Attribute], found: list[Learnability]) -> list[str]:
    verdicts: list[str] = []
    for one in attributes:
        of_columns = [test.verdict for test in found[one.start : one.stop]]
        verdicts += [together(of_columns)] * len(of_columns)
    return verdicts


def _warnings(
    attributes: Sequence[Attribute],
    found: list[Missingness],
    threshold: Rule | Mapping[str, Rule],
) -> list[str]:
    """One sentence at most of each attribute: a category's columns are unknown together; and one
    where its threshold is to keep a promise."""
    warned = []
    rules = thresholds.of_columns(threshold, attributes)
    for one in attributes:
        all_of_it = [missingness.sentence(one.name, test) for test in found[one.start : one.stop]]
        sentences = [sentence for sentence in all_of_it if sentence]
        rule = rules[one.start]
        warned += sentences[:1]
        if sentences and is_target(rule):
            ((score, least),) = rule.items()
            warned.append(
                f"{one.name}: so impute.threshold keeps a {score} of {least} among cells like the "
                "known ones; of the filled ones it is not promised"
            )
    return warned


def _known_in_group(labels: np.ndarray, groups: np.ndarray) -> npt.NDArray[np.bool_]:
    """bool [N, A]: whether an identical image, or the image itself, has a known label."""
    known = np.zeros((int(groups.max()) + 1, labels.shape[1]), dtype=bool)
    np.logical_or.at(known, groups, ~np.isnan(labels))
    return known[groups]
