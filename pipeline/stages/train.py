"""Stage train: the final multi-label head on the completed table, and its two baselines."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import params, runtime
from pipeline.data import categories, imputed_arrays
from pipeline.data.clean_table import read_clean
from pipeline.errors import PipelineError, run
from pipeline.features import int8
from pipeline.features.store import FeatureStore
from pipeline.files import replace_directory, write_csv
from pipeline.impute import calibration
from pipeline.metrics.scores import log_loss
from pipeline.metrics.thresholds import choose_all
from pipeline.training import fitting, heads, losses, saved_model, targets
from pipeline.training.fitting import FitSettings, Task
from pipeline.training.head_bank import HeadBank

FEATURES = Path("data/features")
log = logging.getLogger("train")


def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    runtime.prepare(p.seed, to_train=True)
    clean, imputed = (
        read_clean("data/clean/labels.csv"),
        read_clean(imputed_arrays.FOLDER / "labels.csv"),
    )
    if clean.images != imputed.images or clean.attributes != imputed.attributes:
        raise PipelineError(
            "data/imputed/labels.csv: its images or attributes are not those of "
            "data/clean/labels.csv; run `dvc repro impute`"
        )
    arrays = imputed_arrays.read()
    store = FeatureStore(FEATURES)
    rows, split = store.rows(clean.images), np.array(clean.split)
    training, validation = split == "train", split == "val"
    known = clean.values[validation]
    val_targets = targets.of_learnable(known, arrays.learnable)
    kind = p.frozen_head
    config = heads.configure(kind, store, len(clean.attributes), p.dropout, p.dense_units)
    softmax = categories.spans(clean.categories)
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
    moments = heads.moments(kind, store, rows[training])
    bank = HeadBank(store, config, len(targets.VARIANTS), settings, moments)
    tasks = []
    for variant in targets.VARIANTS:
        target = targets.targets(
            variant,
            clean.values[training],
            arrays.probability[training],
            imputed.values[training],
            arrays.weight[training],
            p.impute.soft_targets,
            softmax,
        )
        tasks.append(
            Task(
                rows=rows[training],
                targets=target.values,
                weights=target.weights,
                val_rows=rows[validation],
                val_targets=val_targets,
                # The same for all: they differ in nothing but their targets.
                seed=(p.seed, len(clean.attributes)),
            )
        )
    fits = bank.fit(tasks)
    decisive = ~np.isnan(val_targets)
    outputs = {}
    of_validation = bank.logits([rows[validation]] * len(tasks))
    for variant, head, logits in zip(targets.VARIANTS, bank.models, of_validation, strict=True):
        slope, shift = calibration.of_classifier(
            logits,
            known,
            clean.values[training],
            arrays.learnable,
            softmax,
            losses.balance(settings.objective),
        )
        heads.transform_logits(head, slope, shift)
        outputs[variant] = saved_model.of_logits(slope * logits + shift, clean.categories)
    held_out = {
        name: log_loss(out[decisive], val_targets[decisive]) for name, out in outputs.items()
    }
    kept = targets.keep(p.missing, held_out)
    parameters, trainable = heads.counts(bank.models[0])
    with replace_directory(saved_model.FOLDER) as folder:
        if store.meta["precision"] == int8.PRECISION:
            int8.copy(FEATURES, folder)
        for number, variant in enumerate(targets.VARIANTS):
            card = saved_model.Card(
                head=config,
                attributes=tuple(clean.attributes),
                thresholds=choose_all(
                    *(p.impute.threshold, outputs[variant], known, clean.layout),
                    strict=variant == kept,
                ),
                image_size=p.image_size,
                backbone=store.meta["backbone"],
                precision=store.meta["precision"],
                missing=variant,
                grid=store.meta["grid"],
                categories=clean.categories,
                learnable=tuple(arrays.verdicts.tolist()),
                parameters=parameters,
                trainable=trainable,
            )
            place = folder / saved_model.VARIANTS / variant
            place.mkdir(parents=True)
            saved_model.save(bank.models[number], card, place)
            if variant == kept:
                saved_model.save(bank.models[number], card, folder)
        curves = {
            name: fitting.curves(fit, clean.categories)
            for name, fit in zip(targets.VARIANTS, fits, strict=True)
        }
        write_csv(curves[kept], folder / fitting.CURVES)
        steps = fitting.steps(fits[targets.VARIANTS.index(kept)])
        write_csv(steps, folder / fitting.STEPS)
        every = pd.concat(curves, names=["missing"]).reset_index(level=0)
        write_csv(every, folder / saved_model.VARIANTS / fitting.CURVES)
    for name, fit in zip(targets.VARIANTS, fits, strict=True):
        log.info(
            "missing=%s: best epoch %d of %d, validation labels of learnable attributes: AUC %.3f, "
            "log-loss %.4f%s",
            *(name, fit.best_epoch + 1, len(fit.history)),
            *(fit.best_auc, held_out[name].mean()),
            " (kept)" if name == kept else "",
        )
    if kept != p.missing:
        log.warning(
            "missing=%s asked for, but on validation labels it does no better than %s: the "
            "classifier is the latter; the filled table is as asked",
            *(p.missing, kept),
        )


if __name__ == "__main__":
    run(main)
