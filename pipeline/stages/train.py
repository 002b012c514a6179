"""Stage train: the final multi-label head on the completed table, its two baselines, and a plain
logistic regression to compare with."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from pipeline import params, progress, runtime
from pipeline.data import categories, imputed_arrays, splits
from pipeline.data.clean_table import read_clean
from pipeline.data.imputed_arrays import ImputedArrays
from pipeline.data.labels import LabelTable
from pipeline.errors import PipelineError, run
from pipeline.features import int8
from pipeline.features.matrices import Grid, MeanOfViews
from pipeline.features.store import FeatureStore
from pipeline.files import replace_directory, write_csv
from pipeline.impute import calibration, completion, image_classifier, soft_regressions
from pipeline.impute.components import BLOCK, Matrix, Projection, project, projected
from pipeline.impute.image_classifier import Fitted
from pipeline.impute.neighbours import Neighbours, compared, unit
from pipeline.impute.treatments import Completed, fit_treatments
from pipeline.metrics.scores import log_loss, shown
from pipeline.metrics.thresholds import choose_all
from pipeline.training import familiarity, fitting, heads, losses, saved_model, stacked, targets
from pipeline.training.fitting import Fit, FitSettings, Task
from pipeline.training.head_bank import HeadBank

FEATURES = Path("data/features")
INVERSE_PENALTY = 1e-3
"""C of the plain logistic regression, on standardised features."""
MOST_REGRESSED = 100_000
"""Training images at most that it is fitted to, a seeded draw of them: what memory holds. It has a
weight for every feature, and gains from each image."""
MOST_VOTERS = 20_000
"""Training images at most among which a new picture's neighbours are sought: they lie in the model,
at some 2 kB each."""
log = logging.getLogger("train")


@dataclass(frozen=True)
class Inputs:
    """The clean table and its features: what every head is fitted from.

    rows : [N] of the store; completed : the table with unknown cells filled.
    """

    p: params.Params
    clean: LabelTable
    completed: LabelTable
    arrays: ImputedArrays
    store: FeatureStore
    rows: npt.NDArray[np.intp]

    def of(self, split: str) -> npt.NDArray[np.bool_]:
        """bool [N]."""
        return np.array(self.clean.split) == split

    @property
    def softmax(self) -> tuple[tuple[int, int], ...]:
        """(start, stop) of each categorical attribute's columns."""
        return categories.spans(self.clean.categories)


@dataclass(frozen=True)
class Trained:
    """A head that gives calibrated logits, its probabilities [N, A] for images whose label it has
    not seen, NaN elsewhere, and how its fit went."""

    head: Any
    config: heads.HeadConfig
    held_out: npt.NDArray[np.float64]
    fit: Fit


@progress.task("train")
def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    runtime.prepare(p.seed, to_train=True)
    clean, completed = (
        read_clean("data/clean/labels.csv"),
        read_clean(imputed_arrays.FOLDER / "labels.csv"),
    )
    if clean.images != completed.images or clean.attributes != completed.attributes:
        raise PipelineError(
            "data/imputed/labels.csv: its images or attributes are not those of "
            "data/clean/labels.csv; run `dvc repro impute`"
        )
    store = FeatureStore(FEATURES)
    inputs = Inputs(p, clean, completed, imputed_arrays.read(), store, store.rows(clean.images))
    if p.frozen_head == "stack":
        # Its matrices are small: linear algebra on several threads is slower on them than on one.
        with threadpool_limits(1):
            found = stack(inputs)
    else:
        found = by_epochs(inputs)
    validation = inputs.of("val")
    val_targets = targets.of_learnable(clean.values[validation], inputs.arrays.learnable)
    decisive = ~np.isnan(val_targets)
    losses_of = {
        name: log_loss(one.held_out[validation][decisive], val_targets[decisive])
        for name, one in found.items()
    }
    kept = targets.keep(p.missing, losses_of)
    with replace_directory(saved_model.FOLDER) as folder:
        saved_model.keep_backbone(folder)
        if store.meta["precision"] == int8.PRECISION:
            int8.copy(FEATURES, folder)
        for name, one in {**found, saved_model.LOGISTIC: logistic(inputs)}.items():
            save(inputs, name, one, folder / saved_model.VARIANTS / name)
        card = save(inputs, kept, found[kept], folder, strict=True)
        completion.fit(
            held_out=found[kept].held_out,
            image_scores=inputs.arrays.image_scores,
            labels=clean.values,
            fold=splits.read_folds(),
            layout=clean.layout,
            learnable=inputs.arrays.learnable,
            thresholds=card.thresholds,
            rule=p.impute.threshold,
            seed=p.seed,
        ).write(folder)
        seen = MeanOfViews(store, inputs.rows[inputs.of("train")], 1)
        familiarity.write(familiarity.fit(seen, p.seed), folder)
        saved_model.seal(folder)
        curves = {name: fitting.curves(one.fit, clean.categories) for name, one in found.items()}
        write_csv(curves[kept], folder / fitting.CURVES)
        write_csv(fitting.steps(found[kept].fit), folder / fitting.STEPS)
        every = pd.concat(curves, names=["missing"]).reset_index(level=0)
        write_csv(every, folder / saved_model.VARIANTS / fitting.CURVES)
    judged_by = targets.compared(inputs.arrays.learnable)
    for name, one in found.items():
        log.info(
            "missing=%s: best epoch %d of %d, validation labels of %s: AUC %s, log-loss %.4f%s",
            *(name, one.fit.best_epoch + 1, len(one.fit.history), judged_by),
            *(shown(one.fit.best_auc), losses_of[name].mean()),
            " (kept)" if name == kept else "",
        )
    if kept != p.missing:
        log.warning(
            "missing=%s asked for, but on validation labels it does no better than %s: the "
            "classifier is the latter; the filled table is as asked",
            *(p.missing, kept),
        )


def save(
    inputs: Inputs, missing: str, one: Trained, folder: Path, strict: bool = False
) -> saved_model.Card:
    """Write the head and its card; strict : see `choose_all`."""
    p, store, labels = inputs.p, inputs.store, inputs.clean.values
    parameters, trainable = heads.counts(one.head)
    card = saved_model.Card(
        head=one.config,
        attributes=tuple(inputs.clean.attributes),
        thresholds=choose_all(
            p.impute.threshold,
            one.held_out,
            np.where(np.isnan(one.held_out), np.nan, labels),
            inputs.clean.layout,
            strict=strict,
        ),
        image_size=p.image_size,
        backbone=store.meta["backbone"],
        precision=store.meta["precision"],
        missing=missing,
        grid=store.meta["grid"],
        categories=inputs.clean.categories,
        learnable=tuple(inputs.arrays.verdicts.tolist()),
        parameters=parameters,
        trainable=trainable,
        versions=runtime.versions(saved_model.PACKAGES),
    )
    folder.mkdir(parents=True, exist_ok=True)
    saved_model.save(one.head, card, folder)
    return card


def by_epochs(inputs: Inputs) -> dict[str, Trained]:
    """A head for each treatment of unknown cells, fitted epoch by epoch on training images,
    calibrated on validation images."""
    p, clean, store, softmax = inputs.p, inputs.clean, inputs.store, inputs.softmax
    training, validation = inputs.of("train"), inputs.of("val")
    config = _config(inputs, p.frozen_head)
    settings = FitSettings(
        p.epochs,
        p.batch_size,
        p.learning_rate,
        p.patience,
        objective=losses.objective(p.loss, clean.values[training], softmax),
        schedule=p.schedule,
        clip_norm=p.clip_norm,
        training_scores=True,
    )
    moments = heads.moments(config.kind, store, inputs.rows[training])
    bank = HeadBank(store, config, len(targets.VARIANTS), settings, moments)
    tasks = []
    for variant in targets.VARIANTS:
        target = targets.targets(
            variant,
            clean.values[training],
            inputs.arrays.probability[training],
            inputs.completed.values[training],
            inputs.arrays.weight[training],
            p.impute.soft_targets,
            softmax,
        )
        tasks.append(
            Task(
                rows=inputs.rows[training],
                targets=target.values,
                weights=target.weights,
                val_rows=inputs.rows[validation],
                val_targets=targets.of_learnable(clean.values[validation], inputs.arrays.learnable),
                # The same for all: they differ in nothing but their targets.
                seed=(p.seed, len(clean.attributes)),
            )
        )
    fits = bank.fit(tasks)
    of_validation = bank.logits([inputs.rows[validation]] * len(tasks))
    found = {}
    for variant, head, fit, logits in zip(
        targets.VARIANTS, bank.models, fits, of_validation, strict=True
    ):
        slope, shift = calibration.of_classifier(
            logits,
            clean.values[validation],
            clean.values[training],
            inputs.arrays.learnable,
            softmax,
            losses.balance(settings.objective),
        )
        heads.transform_logits(head, slope, shift)
        held_out = np.full(clean.values.shape, np.nan)
        held_out[validation] = saved_model.of_logits(slope * logits + shift, clean.categories)
        found[variant] = Trained(head, config, held_out, fit)
    return found


def stack(inputs: Inputs) -> dict[str, Trained]:
    """An affine function of the map for each treatment of unknown cells, see
    `pipeline.impute.treatments`; fitted and calibrated across folds."""
    p, store, labels, softmax = inputs.p, inputs.store, inputs.clean.values, inputs.softmax
    fold, learnable = splits.read_folds(), inputs.arrays.learnable
    # Of the plain view alone, which is what a new picture has.
    whole_map = store.meta["grid"] is None
    pooled = MeanOfViews(store, inputs.rows, 1) if whole_map else Grid(store, inputs.rows, 1)
    sets: dict[str, Matrix] = {"pooled": pooled, "map": Grid(store, inputs.rows)}
    projections = {
        name: one
        for name, matrix in sets.items()
        if (one := project(matrix, fold >= 0, p.seed)) is not None
    }
    config = _config(inputs, "stack")
    with TemporaryDirectory(prefix=".components.", suffix=".partial", dir="data") as large:
        blocks = {
            name: projected(sets[name], one, Path(large) / f"{name}.npy")
            for name, one in projections.items()
        }
        neighbours = None
        if "pooled" in blocks:
            neighbours = Neighbours.of(blocks["pooled"], fold >= 0, most=MOST_VOTERS)
            width = compared(int((fold >= 0).sum()))
            points = unit(blocks["pooled"][neighbours.pool][:, :width])
        variants, share = fit_treatments(
            blocks,
            labels,
            fold,
            Completed(inputs.arrays.probability, inputs.arrays.image_scores, inputs.arrays.weight),
            inputs.of("val"),
            softmax,
            p.impute.soft_targets,
            neighbours,
        )
    log.info("share of the completed table in missing=%s: %.1f", targets.IMPUTE, share)
    found = {}
    for name, fitted in variants.items():
        fitted = image_classifier.guessing(fitted, labels, fold, ~learnable, softmax)
        weights, offsets = image_classifier.on_features(fitted, projections)
        kernel = stacked.kernel(store.map_shape, weights.get("pooled"), weights.get("map"))
        voting = None
        if fitted.votes:
            voting = _voters(fitted, projections["pooled"], points)
        own = stacked.configured(config, voting)
        head = stacked.build(own, kernel, offsets, voting)
        held_out = saved_model.of_logits(fitted.logits, inputs.clean.categories)
        held_out[inputs.of("test")] = np.nan  # whose labels are evaluate's alone
        found[name] = Trained(head, own, held_out, _scored(inputs, fitted))
    return found


def _voters(fitted: Fitted, projection: Projection, points: np.ndarray) -> stacked.Voters:
    """Those of ``fitted``, with components ``points`` [P, d] of length 1."""
    axes, offset = projection.on_features(np.eye(projection.width))
    votes = list(fitted.votes.values())
    compared_by = points.shape[1]
    return stacked.Voters(
        axes[:, :compared_by],
        offset[:compared_by],
        points,
        targets=np.hstack([one.targets for one in votes]),
        weights=np.hstack([one.weights for one in votes]),
        prior=np.concatenate([one.prior for one in votes]),
        slope=np.vstack([np.diag(one.slope) for one in votes]),
    )


def _scored(inputs: Inputs, fitted: Fitted) -> Fit:
    """A fit of one epoch: regressions are fitted to their end. Training labels are scored by what
    has not seen them, validation labels by the whole."""
    odds = categories.log_odds(fitted.logits, inputs.softmax)
    known = targets.of_learnable(inputs.clean.values, inputs.arrays.learnable)
    training, validation = (
        fitting.scores(known[rows], odds[rows], inputs.softmax)
        for rows in (inputs.of("train"), inputs.of("val"))
    )
    history = {**training, **{f"val_{name}": score for name, score in validation.items()}}
    return Fit(history=[history], iterations=[training["loss"]])


def logistic(inputs: Inputs) -> Trained:
    """A logistic regression of every column on the pooled features, by known labels alone: what a
    classifier has to beat. Not calibrated."""
    store, labels = inputs.store, inputs.clean.values
    training = inputs.of("train")
    config = _config(inputs, "linear")
    head = heads.build(config)
    mean, variance = heads.moments(config.kind, store, inputs.rows[training])
    heads.reset(head, (0,), (mean, variance))
    fitted = np.flatnonzero(training)
    if len(fitted) > MOST_REGRESSED:
        rng = np.random.default_rng([inputs.p.seed, len(fitted)])
        fitted = np.sort(rng.choice(fitted, MOST_REGRESSED, replace=False))
    x = heads.read_features(config.kind, store, inputs.rows[fitted])
    x -= mean  # in place: a large table's are hundreds of megabytes
    x /= np.sqrt(np.where(variance > heads.DEAD, variance, 1.0))
    known = ~np.isnan(labels[fitted])
    found = soft_regressions.logistic(
        x, np.nan_to_num(labels[fitted]), known.astype(np.float32), INVERSE_PENALTY
    )
    layer = head.get_layer(heads.LOGITS)
    layer.kernel.assign(found[:-1])
    layer.bias.assign(found[-1])
    del x
    held_out = np.full(labels.shape, np.nan)
    validation = np.flatnonzero(inputs.of("val"))
    for start in range(0, len(validation), BLOCK):
        own = validation[start : start + BLOCK]
        features = heads.read_features(config.kind, store, inputs.rows[own])
        logits = head(features, training=False).numpy()
        held_out[own] = saved_model.of_logits(logits, inputs.clean.categories)
    return Trained(head, config, held_out, Fit())


def _config(inputs: Inputs, kind: str) -> heads.HeadConfig:
    p, outputs = inputs.p, len(inputs.clean.attributes)
    return heads.configure(kind, inputs.store, outputs, p.dropout, p.dense_units)


if __name__ == "__main__":
    run(main)
