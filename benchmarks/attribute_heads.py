"""python -m benchmarks.attribute_heads: what attribute heads and augmented views bring.

Hides known cells, fits the attribute heads of each kind on each number of views as stage classify
does, fills the table with them as one more image model, and trains the final classifier on it. The
kind `none` leaves the heads out. Scores of hidden cells, filled, of the heads alone on them, and of
the classifier on images that none has seen; processor seconds of the heads and of the imputation,
and the weight that the stack gives the heads. Writes OUT.csv, a row per fraction, seed, kind and
number of views, appended as it goes: a run adds the rows that the file lacks.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from benchmarks import datasets, masks, scoring, workshop
from benchmarks.stack import SHARES, Draw, components, stacks
from pipeline import runtime
from pipeline.data import splits
from pipeline.data.labels import LabelTable
from pipeline.errors import run
from pipeline.features.matrices import Grid, MeanOfViews
from pipeline.features.store import FeatureStore
from pipeline.impute.imputer import Imputer, Settings, Table
from pipeline.training import attribute_heads, heads, targets

NONE = "none"
KINDS = (NONE, "linear", "dense", "conv")
VIEWS = (1, 2, 4)
FOLDS, EPOCHS, BATCH, RATE, PATIENCE, DROPOUT, IMBALANCE = 5, 20, 32, 1e-3, 5, 0.3, "oversample"
"""As in params.yaml."""
KEYS = ["data", "side", "hidden", "seed", "heads", "views"]
PART = np.array(["train", "val", "test"])


def mean_scores(
    data: datasets.Dataset, cells: np.ndarray, p: np.ndarray, decided: np.ndarray
) -> dict[str, float]:
    """Means over attributes of the scores of ``cells``, bool [N, A]."""
    table = scoring.score(data.attributes, data.labels, cells, p, decided)
    means = table[table["attribute"] != scoring.POOLED].mean(numeric_only=True)
    return {"map": means["ap"], **means[["mcc", "brier", "accuracy"]].to_dict()}


def fitted_heads(
    kind: str, store: FeatureStore, table: LabelTable, fold: np.ndarray, seed: int
) -> np.ndarray:
    """Logits [A, N] of heads that have not seen the image's labels, on all views of ``store``."""
    ensemble = attribute_heads.AttributeHeads(
        *(table, store, fold, heads.configure(kind, store, 1, DROPOUT)),
        attribute_heads.settings_for(EPOCHS, BATCH, RATE, PATIENCE, IMBALANCE),
        *(IMBALANCE, seed),
    )
    return np.stack([np.nanmean(ensemble.fit(name).logits, axis=0) for name in table.attributes])


def measure(
    data: datasets.Dataset, side: int, fraction: float, seed: int, kind: str, views: int
) -> dict[str, Any]:
    """A row of scores, processor seconds and the heads' weight."""
    rng = np.random.default_rng(seed)
    hidden = masks.hide(data.labels, "random", fraction, rng, data.brightness)
    labels = np.where(hidden, np.nan, data.labels).astype(np.float32)
    alone = np.arange(len(labels))
    rng = np.random.default_rng([seed, 1])
    part = splits.iterative_split(labels, alone, SHARES, rng)
    training, test = part == 0, part == 2
    fold = np.full(len(labels), -1)
    fold[training] = splits.balanced_folds(labels[training], alone[: training.sum()], FOLDS, rng)
    table = LabelTable.binary(data.images, data.attributes, labels, PART[part].tolist())
    store = FeatureStore(data.store)
    store.views = views
    places = store.rows(data.images)
    sets = {"pooled": MeanOfViews(store, places), "map": Grid(store, places)}
    row: dict[str, Any] = dict(zip(KEYS, (data.name, side, fraction, seed, kind, views)))
    row["heads_map"] = np.nan
    logits, started = None, time.process_time()
    if kind != NONE:
        logits = fitted_heads(kind, store, table, fold, seed)
        alone_p = expit(logits.T)
        row["heads_map"] = mean_scores(data, hidden, alone_p, alone_p >= 0.5)["map"]
    row["heads_cpu_seconds"] = time.process_time() - started
    started = time.process_time()
    filled = Imputer(Settings(seed=seed)).fill(
        Table(
            *(sets["pooled"], labels, data.attributes),
            **{"fold": fold, "spatial": sets["map"], "heads": logits},
        )
    )
    row["impute_cpu_seconds"] = time.process_time() - started
    plain = {"pooled": MeanOfViews(store, places, 1), "map": sets["map"]}
    one = Draw(data, labels, part, fold, store, places, plain, filled, seed)
    p = expit(stacks(one, components(one))[targets.IMPUTE].logits)
    of_test = ~np.isnan(data.labels) & test[:, None]
    classifier = mean_scores(data, of_test, p, p >= 0.5)
    row |= mean_scores(data, hidden, filled.probability, filled.values >= 0.5)
    row |= {f"classifier_{name}": classifier[name] for name in ("map", "brier")}
    row["weight"] = filled.candidates.get("heads", 0.0)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attribute_heads")
    datasets.add_options(parser)
    parser.add_argument("--rows", type=int, help="the first so many of the table; all without it")
    parser.add_argument("--fractions", type=float, nargs="+", default=(0.3, 0.8))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--heads", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--views", type=int, nargs="+", default=VIEWS)
    parser.add_argument("--out", type=Path, required=True, help="path of the .csv")
    a = parser.parse_args()
    runtime.prepare(datasets.SEED, to_train=True)
    whole = datasets.load(
        *(a.labels, a.images),
        backbone=a.backbone,
        weights=a.weights,
        image_size=tuple(a.image_size),
        at_least=a.at_least,
        views=max(VIEWS),
        rows=a.rows,
        cache=a.cache,
    )
    # A part of a table is another table.
    data = replace(whole, name=f"{whole.name}, {a.rows} rows") if a.rows else whole
    there = pd.read_csv(a.out) if a.out.is_file() else pd.DataFrame(columns=KEYS)
    done = set(there[KEYS].itertuples(index=False, name=None))
    side = a.image_size[0]
    for seed in a.seeds:
        for fraction in a.fractions:
            for case in [(kind, views) for views in a.views for kind in a.heads]:
                if (data.name, side, fraction, seed, *case) in done:
                    continue
                row = measure(data, side, fraction, seed, *case)
                print(row, flush=True)
                frame = pd.DataFrame([row | {"machine": workshop.machine()}]).round(4)
                with a.out.open("a", encoding="utf-8") as file:
                    frame.to_csv(file, index=False, header=not file.tell(), lineterminator="\n")


if __name__ == "__main__":
    run(main)
