"""Stage train: the final multi-label head on the completed table."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from scipy.special import expit

from pipeline import classifier, heads, params, runtime
from pipeline.errors import PipelineError, run
from pipeline.features import FeatureStore
from pipeline.files import replace_directory, write_csv
from pipeline.fitting import Settings, SideBySide, Task
from pipeline.impute.thresholds import choose
from pipeline.labels import read_clean

log = logging.getLogger("train")


def training_targets(missing: str, known: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Targets of the training images, float32 [n, A].

    Parameters
    ----------
    missing
        ``impute``: the filled table; ``mask``: unknown cells stay NaN and out of the loss;
        ``negative``: unknown cells count as 0.
    known, filled : [n, A], the clean and the imputed table.
    """
    if missing == "impute":
        return filled.astype(np.float32)
    if missing == "negative":
        return np.nan_to_num(known, nan=0.0).astype(np.float32)
    return known.astype(np.float32)


def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    runtime.prepare(p.seed)
    clean, imputed = read_clean("data/clean/labels.csv"), read_clean("data/imputed/labels.csv")
    if clean.images != imputed.images or clean.attributes != imputed.attributes:
        raise PipelineError(
            "data/imputed/labels.csv: its images or attributes are not those of "
            "data/clean/labels.csv; run `dvc repro impute`"
        )
    store = FeatureStore("data/features")
    rows, split = store.rows(clean.images), np.array(clean.split)
    training, validation = split == "train", split == "val"
    config = heads.configure(p.head, store, len(clean.attributes), p.dropout)
    settings = Settings(p.epochs, p.batch_size, p.learning_rate, p.patience, training_scores=True)
    moments = heads.moments(p.head, store, rows[training])
    bank = SideBySide(store, config, 1, settings, moments)
    task = Task(
        rows=rows[training],
        targets=training_targets(p.missing, clean.values[training], imputed.values[training]),
        val_rows=rows[validation],
        val_targets=clean.values[validation],
        seed=(p.seed, len(clean.attributes)),
    )
    (fit,) = bank.fit([task])
    thresholds = _thresholds(p.impute.threshold, bank, rows[validation], clean.values[validation])
    card = classifier.Card(
        head=config,
        attributes=tuple(clean.attributes),
        thresholds=thresholds,
        image_size=p.image_size,
        backbone=store.meta["backbone"],
        precision=store.meta["precision"],
        missing=p.missing,
    )
    with replace_directory(classifier.FOLDER) as folder:
        classifier.save(bank.models[0], card, folder)
        history = pd.DataFrame(fit.history)
        history.insert(0, "epoch", range(1, len(history) + 1))
        write_csv(history.round(6), folder / "history.csv")
    best = fit.history[fit.best_epoch]
    log.info(
        "missing=%s, best epoch %d of %d, validation AUC %.3f",
        *(p.missing, fit.best_epoch + 1, len(fit.history), best["val_auc"]),
    )


def _thresholds(
    rule: str | float, bank: SideBySide, rows: np.ndarray, known: np.ndarray
) -> tuple[float, ...]:
    """One threshold per attribute, from known validation labels: training scores are in-sample."""
    probability = expit(bank.predict([rows])[0].astype(np.float64))
    chosen = []
    for number in range(known.shape[1]):
        cells = ~np.isnan(known[:, number])
        chosen.append(choose(rule, probability[cells, number], known[cells, number]))
    return tuple(chosen)


if __name__ == "__main__":
    run(main)
