"""Stage fine_tune: the final classifier's backbone trained, too, on pictures; off by default."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import (
    backbones,
    categories,
    classifier,
    final_targets,
    fine_tuning,
    heads,
    histories,
    losses,
    network,
    params,
    runtime,
)
from pipeline.clean_table import read_clean
from pipeline.errors import run
from pipeline.features import FeatureStore
from pipeline.files import replace_directory, write_csv, write_json
from pipeline.fitting import Fit, Settings, Task
from pipeline.impute.thresholds import choose_all
from pipeline.label_table import LabelTable
from pipeline.pictures import Pictures

IMPUTED = Path("data/imputed")
BACKBONE = Path("models/backbone")
log = logging.getLogger("fine_tune")


def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    if not p.fine_tune.epochs:
        with replace_directory(classifier.FINE_TUNED) as folder:
            write_json({"epochs": 0}, folder / "fine_tune.json")
        return
    runtime.prepare(p.seed)
    clean = read_clean("data/clean/labels.csv")
    head, card = classifier.load()
    split = np.array(clean.split)
    training, validation = np.flatnonzero(split == "train"), np.flatnonzero(split == "val")
    hashes = pd.read_csv("data/clean/images.csv", dtype=str, keep_default_na=False)
    sha256 = dict(zip(hashes["image"], hashes["sha256"], strict=True))
    pictures = Pictures(
        folder=Path(p.data.images),
        names=clean.images,
        sha256=[sha256[image] for image in clean.images],
        size=p.image_size,
        seed=p.seed,
    )
    task = _task(p, clean, card.missing, training, validation)
    softmax = categories.spans(clean.categories)
    settings = Settings(
        p.fine_tune.epochs,
        p.batch_size,
        p.fine_tune.learning_rate,
        p.fine_tune.patience,
        objective=losses.objective(p.loss, clean.values[training], softmax),
        schedule=p.schedule,
        clip_norm=p.clip_norm,
    )
    trainer = _Trainer(p, card, pictures, task, settings)
    units = categories.attributes(clean.attributes, clean.categories)
    whole = [(0, len(clean.attributes))]
    if p.fine_tune.network == "single":
        branches = [trainer.train([head] if p.fine_tune.start == "head" else [], whole)]
    elif p.fine_tune.network == "independent":
        branches = [trainer.train([], [one.span]) for one in units]
    else:
        first = trainer.train([], [units[0].span])
        if len(units) > 1:
            first = trainer.join(first, [one.span for one in units[1:]])
        branches = [first]
    trained = network.WholeNetwork(branches, p.image_size)
    logits = fine_tuning.predict(trained, pictures, validation, len(clean.attributes))
    probability = classifier.of_logits(logits, clean.categories)
    card = dataclasses.replace(
        card,
        thresholds=choose_all(p.impute.threshold, probability, clean.values[validation]),
        branches=tuple(tuple(branch.spans) for branch in branches),
        parameters=sum(branch.parameters for branch in branches),
        trainable=sum(branch.trainable for branch in branches),
    )
    with replace_directory(classifier.FINE_TUNED) as folder:
        network.save(branches, folder)
        classifier.write_card(card, folder)
        write_json({"epochs": p.fine_tune.epochs}, folder / "fine_tune.json")
        curves = [
            histories.curves(fit, [one for one in clean.categories if start <= one.start < stop])
            for fit, (start, stop) in zip(trainer.fits, trainer.spans, strict=True)
        ]
        write_csv(histories.mean(curves), folder / histories.CURVES)
        steps = [histories.steps(fit) for fit in trainer.fits]
        write_csv(histories.joined(steps), folder / histories.STEPS)
    areas = [fit.history[fit.best_epoch]["val_auc"] for fit in trainer.fits]
    best = [area for area in areas if not np.isnan(area)]
    log.info(
        "%d branch(es), %d head(s), best epochs %s, validation AUC %.3f",
        *(len(branches), len(trainer.fits)),
        *([fit.best_epoch + 1 for fit in trainer.fits], np.mean(best) if best else np.nan),
    )


def _task(
    p: params.Params, clean: LabelTable, missing: str, training: np.ndarray, validation: np.ndarray
) -> Task:
    """The targets that the kept classifier had, on rows of the table."""
    target = final_targets.targets(
        missing,
        clean.values[training],
        np.load(IMPUTED / "probability.npy")[training],
        read_clean(IMPUTED / "labels.csv").values[training],
        np.load(IMPUTED / "weight.npy")[training],
        p.impute.soft_targets,
        categories.spans(clean.categories),
    )
    known = clean.values[validation]
    judged = final_targets.judged(known, np.load(IMPUTED / "learnable.npy"))
    if p.fine_tune.network != "single":
        # Even a network for an attribute that can't be learned has to end somewhere.
        for one in categories.attributes(clean.attributes, clean.categories):
            if np.isnan(judged[:, one.start]).all():
                judged[:, one.start : one.stop] = known[:, one.start : one.stop]
    return Task(
        rows=training,
        targets=target.values,
        weights=target.weights,
        val_rows=validation,
        val_targets=judged,
        seed=(p.seed, len(clean.attributes)),
    )


class _Trainer:
    """Makes branches and trains them; ``fits`` has the course of each head so far, ``spans`` its
    columns."""

    def __init__(
        self,
        p: params.Params,
        card: classifier.Card,
        pictures: Pictures,
        task: Task,
        settings: Settings,
    ):
        self.fits: list[Fit] = []
        self.spans: list[network.Span] = []
        self._card, self._pictures, self._task, self._settings = card, pictures, task, settings
        self._views = p.features.views > 1
        self._new = p.fine_tune.start == "fresh"
        self._pretrained = json.loads((BACKBONE / "backbone.json").read_text())["pretrained"]
        store = FeatureStore("data/features")
        names = [pictures.names[row] for row in task.rows]
        mean, variance = heads.moments(card.head.kind, store, store.rows(names))
        # The backbone will move: a channel that hardly varies now must not be blown up for good.
        self._moments = mean, np.maximum(variance, 0.01 * variance.mean())

    def train(self, built: list[object], spans: list[network.Span]) -> network.Branch:
        """A backbone with one head, trained together."""
        card = self._card
        backbone = backbones.load(card.backbone["name"], card.image_size, card.precision)
        branch = self._branch(backbone, spans, built)
        self._fit(branch, train_backbone=True)
        return branch

    def join(self, first: network.Branch, spans: list[network.Span]) -> network.Branch:
        """Further heads on the backbone of ``first``, which stays as it is."""
        more = self._branch(first.backbone, spans, [])
        self._fit(more, train_backbone=False)
        first.backbone.network.trainable = True  # it was fitted before, and counts so
        config = self._card.head
        return network.make_branch(
            first.backbone, config, [*first.spans, *more.spans], [*first.heads, *more.heads]
        )

    def _branch(
        self, backbone: object, spans: list[network.Span], built: list[object]
    ) -> network.Branch:
        branch = network.make_branch(backbone, self._card.head, spans, built)
        if not built:
            for head, (start, _) in zip(branch.heads, spans, strict=True):
                heads.reset(head, (*self._task.seed, start), self._moments)
        return branch

    def _fit(self, branch: network.Branch, train_backbone: bool) -> None:
        self.spans += branch.spans
        self.fits += fine_tuning.fit(
            branch,
            self._pictures,
            self._task,
            self._settings,
            train_backbone=train_backbone,
            # Pretrained moments are worth more than those of small batches, and a head that was
            # fitted on the frozen network has seen its moments; random ones are worth nothing.
            batch_statistics=train_backbone and self._new and not self._pretrained,
            views=self._views,
        )


if __name__ == "__main__":
    run(main)
