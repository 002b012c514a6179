"""Stage classify: one binary head per attribute and fold, and scores out of fold."""

from __future__ import annotations

import logging
import re

import numpy as np
import pandas as pd

from pipeline import npy, params, progress, runtime
from pipeline.data import splits
from pipeline.data.clean_table import read_clean, read_groups
from pipeline.data.labels import LabelTable
from pipeline.data.splits import out_of_fold
from pipeline.errors import run
from pipeline.features.store import FeatureStore
from pipeline.files import replace_directory, write_csv
from pipeline.metrics import scores
from pipeline.metrics.scores import shown
from pipeline.training import attribute_heads, heads

log = logging.getLogger("classify")


@progress.task("classify")
def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    runtime.prepare(p.seed)
    table = read_clean("data/clean/labels.csv")
    store = FeatureStore("data/features")
    fold = _folds(table, p)
    ensemble = attribute_heads.AttributeHeads(
        table,
        store,
        fold,
        heads.configure(p.attribute_head, store, 1, p.dropout, p.dense_units),
        attribute_heads.settings_for(
            p.epochs, p.batch_size, p.learning_rate, p.patience, p.imbalance
        ),
        p.imbalance,
        p.seed,
    )
    known = ~np.isnan(table.values)
    history: list[dict[str, object]] = []
    logits = np.empty((len(table.attributes), p.impute.folds, len(fold)), dtype=np.float32)
    places: dict[str, str] = {}
    with replace_directory(splits.FOLDS) as folder:
        for number, attribute in enumerate(progress.track(table.attributes, "heads", "attribute")):
            fitted = ensemble.fit(attribute)
            logits[number] = fitted.logits
            slug = re.sub(r"[^A-Za-z0-9_-]+", "_", attribute)[:40]
            places[attribute] = f"{number:03d}_{slug}"
            (folder / places[attribute]).mkdir()
            for k, model in enumerate(ensemble.bank.models):
                heads.shift_logits(model, fitted.shifts[k])
                heads.save(model, folder / places[attribute] / f"fold_{k}.weights.h5")
                history += [
                    {"attribute": attribute, "fold": k, "epoch": epoch, **values}
                    for epoch, values in enumerate(fitted.fits[k].epochs)
                ]
            cells = known[:, number] & (fold >= 0)
            area = scores.auc(table.values[cells, number], out_of_fold(fitted.logits, fold)[cells])
            log.info(
                "%s: %d known training labels, AUC out of fold %s, best epochs %s",
                *(attribute, cells.sum(), shown(area), [fit.best_epoch + 1 for fit in fitted.fits]),
            )
        npy.save(folder / "logits.npy", logits)
        splits.write_folds(table, fold, folder)
        attribute_heads.write_card(folder, ensemble.bank.config, places, store.meta["backbone"])
        write_csv(pd.DataFrame(history), folder / "history.csv")


def _folds(table: LabelTable, p: params.Params) -> np.ndarray:
    """Fold of each training image, -1 for the others; identical images share one."""
    training = np.flatnonzero(np.array(table.split) == "train")
    groups = read_groups("data/clean", [table.images[i] for i in training])
    fold = np.full(len(table.images), -1, dtype=int)
    rng = np.random.default_rng([p.seed, p.impute.folds])
    fold[training] = splits.balanced_folds(table.values[training], groups, p.impute.folds, rng)
    return fold


if __name__ == "__main__":
    run(main)
