"""Stage fine_tune: the final classifier's backbone trained, too, on pictures; off by default."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np

from pipeline import params, progress, runtime
from pipeline.data import categories, imputed_arrays
from pipeline.data.clean_table import read_clean, read_hashes
from pipeline.data.labels import LabelTable
from pipeline.data.loading import Pictures
from pipeline.errors import run
from pipeline.features import weights
from pipeline.features.store import FeatureStore
from pipeline.files import replace_directory, write_csv, write_json
from pipeline.impute import calibration, completion
from pipeline.impute.decisions import Decisions
from pipeline.metrics.scores import shown
from pipeline.metrics.thresholds import choose_all
from pipeline.training import (
    familiarity,
    fine_tuning,
    fitting,
    heads,
    losses,
    network,
    saved_model,
    targets,
)
from pipeline.training.fine_tuning import NetworkTrainer
from pipeline.training.fitting import FitSettings, Task

CLEAN = Path("data/clean")
BACKBONE = Path("models/backbone")
log = logging.getLogger("fine_tune")


@progress.task("fine_tune")
def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    if not p.fine_tune.epochs:
        with replace_directory(saved_model.FINE_TUNED) as folder:
            write_json({"epochs": 0}, folder / "fine_tune.json")
        log.info("off")
        return
    runtime.prepare(p.seed, to_train=True)
    clean = read_clean(CLEAN / "labels.csv")
    head, card = saved_model.load()
    split = np.array(clean.split)
    training, validation = np.flatnonzero(split == "train"), np.flatnonzero(split == "val")
    pictures = Pictures(
        folder=Path(p.data.images),
        names=clean.images,
        sha256=read_hashes(CLEAN, clean.images),
        size=p.image_size,
        seed=p.seed,
    )
    task = _task(p, clean, card.missing, training, validation)
    softmax = categories.spans(clean.categories)
    settings = FitSettings(
        p.fine_tune.epochs,
        p.batch_size,
        p.fine_tune.learning_rate,
        p.fine_tune.patience,
        objective=losses.objective(p.loss, clean.values[training], softmax),
        schedule=p.schedule,
        clip_norm=p.clip_norm,
    )
    names = [clean.images[row] for row in training]
    store = FeatureStore("data/features")
    if p.fine_tune.start == "fresh":
        config = heads.configure(p.epoch_head, store, card.head.outputs, p.dropout, p.dense_units)
        card = dataclasses.replace(card, head=config)
    moments = heads.moments(card.head.kind, store, store.rows(names))
    trainer = NetworkTrainer(
        card,
        pictures,
        task,
        settings,
        moments=fine_tuning.bounded_variance(*moments),
        # Pretrained moments are worth more than those of small batches, and a head that was
        # fitted on the frozen network has seen its moments; random ones are worth nothing.
        batch_statistics=p.fine_tune.start == "fresh" and not _pretrained(),
        views=p.features.views > 1,
    )
    trained = fine_tuning.NETWORKS[p.fine_tune.network](
        trainer,
        [one.span for one in clean.layout],
        head if p.fine_tune.start == "head" else None,
    )
    branches = [branch for branch, _ in trained]
    fits = [fit for _, fits in trained for fit in fits]
    spans = [span for branch in branches for span in branch.spans]
    whole = network.WholeNetwork(branches, p.image_size)
    logits = fine_tuning.predict(whole, pictures, validation, len(clean.attributes))
    slope, shift = calibration.of_classifier(
        logits,
        clean.values[validation],
        clean.values[training],
        imputed_arrays.read().learnable,
        softmax,
        losses.balance(settings.objective),
    )
    for branch in branches:
        for own, (start, stop) in zip(branch.heads, branch.spans, strict=True):
            heads.transform_logits(own, slope[start:stop], shift[start:stop])
    probability = saved_model.of_logits(slope * logits + shift, clean.categories)
    card = dataclasses.replace(
        card,
        thresholds=choose_all(
            p.impute.threshold, probability, clean.values[validation], clean.layout
        ),
        branches=tuple(tuple(branch.spans) for branch in branches),
        parameters=sum(branch.parameters for branch in branches),
        trainable=sum(branch.trainable for branch in branches),
        versions=runtime.versions(saved_model.PACKAGES),
    )
    with replace_directory(saved_model.FINE_TUNED) as folder:
        network.save(branches, folder)
        seen = fine_tuning.means(whole, pictures, training[: familiarity.MOST])
        familiarity.write(familiarity.fit(seen, p.seed), folder)
        saved_model.keep_backbone(folder, trained=True)
        saved_model.write_card(card, folder)
        # What labels add is fitted to the frozen network's held-out probabilities of many images.
        frozen = completion.read(saved_model.FOLDER)
        judge = Decisions.judged_by(card.thresholds, probability, clean.values[validation])
        dataclasses.replace(frozen, by_picture=judge).write(folder)
        write_json({"epochs": p.fine_tune.epochs}, folder / "fine_tune.json")
        curves = [
            fitting.curves(fit, [one for one in clean.categories if start <= one.start < stop])
            for fit, (start, stop) in zip(fits, spans, strict=True)
        ]
        write_csv(fitting.mean(curves), folder / fitting.CURVES)
        saved_model.seal(folder)
        steps = [fitting.steps(fit) for fit in fits]
        write_csv(fitting.joined(steps), folder / fitting.STEPS)
    best = [fit.best_auc for fit in fits if not np.isnan(fit.best_auc)]
    log.info(
        "%d branch(es), %d head(s), best epochs %s (0: as it began), validation AUC %s",
        *(len(branches), len(fits)),
        *([fit.best_epoch + 1 for fit in fits], shown(float(np.mean(best)) if best else np.nan)),
    )


def _pretrained() -> bool:
    return weights.description(BACKBONE).pretrained


def _task(
    p: params.Params, clean: LabelTable, missing: str, training: np.ndarray, validation: np.ndarray
) -> Task:
    """The targets that the kept classifier had, on rows of the table."""
    arrays = imputed_arrays.read()
    target = targets.targets(
        missing,
        clean.values[training],
        arrays.probability[training],
        read_clean(imputed_arrays.FOLDER / "labels.csv").values[training],
        arrays.weight[training],
        p.impute.soft_targets,
        categories.spans(clean.categories),
    )
    known = clean.values[validation]
    val_targets = targets.of_learnable(known, arrays.learnable)
    if p.fine_tune.network != "single":
        # Even a network for an attribute that can't be learned has to end somewhere.
        for one in clean.layout:
            if np.isnan(val_targets[:, one.start]).all():
                val_targets[:, one.start : one.stop] = known[:, one.start : one.stop]
    return Task(
        rows=training,
        targets=target.values,
        weights=target.weights,
        val_rows=validation,
        val_targets=val_targets,
        seed=(p.seed, len(clean.attributes)),
    )


if __name__ == "__main__":
    run(main)
