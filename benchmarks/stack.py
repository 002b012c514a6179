"""python -m benchmarks.stack: the final classifier of linear members against what it replaces.

Hides known cells, imputes, fits every classifier on the training images and scores it on images
that none has seen, with all their labels. Writes OUT.csv, a row per fraction, seed and method,
appended as it goes; a run that is interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import matthews_corrcoef
from threadpoolctl import threadpool_limits

from benchmarks import datasets, masks, workshop
from pipeline import runtime
from pipeline.data import splits
from pipeline.errors import run
from pipeline.features.matrices import Grid, MeanOfViews
from pipeline.features.store import FeatureStore
from pipeline.impute import calibration, image_classifier, soft_regressions
from pipeline.impute.components import project, projected
from pipeline.impute.image_classifier import Completed
from pipeline.impute.imputer import Imputer, Settings, Table
from pipeline.impute.neighbours import Neighbours
from pipeline.metrics import scores, thresholds
from pipeline.metrics.ranking import auc, average_precision
from pipeline.training import heads, targets
from pipeline.training.fitting import FitSettings, Task
from pipeline.training.head_bank import HeadBank

EPOCH_HEADS = tuple(name for name in heads.HEADS if name != "stack")
SHARES = (0.7, 0.1, 0.2)
"""Of the images: training, validation, test."""
STRENGTH = 1e-3
"""C of the plain logistic regression."""


def measure(truth: np.ndarray, probability: np.ndarray, cuts: Sequence[float]) -> dict[str, float]:
    """Means over the attributes with both classes, and ECE over all cells.

    Parameters
    ----------
    truth, probability : [n, A]; cuts : [A] thresholds.
    """
    rows = []
    for y, p, cut in zip(truth.T, probability.T, cuts):
        known = ~np.isnan(y)
        y, p = y[known], p[known]
        if len(np.unique(y)) < 2:
            continue
        rows.append(
            {
                "auc": auc(y, p),
                "map": average_precision(y, p),
                "mcc": float(matthews_corrcoef(y, p >= cut)),
                "brier": float(np.mean((p - y) ** 2)),
                "accuracy": float(np.mean((p >= cut) == y)),
            }
        )
    known = ~np.isnan(truth)
    ece = scores.expected_calibration_error(truth[known], probability[known])
    return {**pd.DataFrame(rows).mean().to_dict(), "ece": ece}


def compare(
    data: datasets.Dataset, fraction: float, seed: int, kinds: Sequence[str], epochs: int
) -> list[dict[str, Any]]:
    """Every method on one table with holes; rows of method, scores and seconds."""
    store = FeatureStore(data.store)
    rows = store.rows(data.images)
    rng = np.random.default_rng(seed)
    hidden = masks.hide(data.labels, "random", fraction, rng, data.brightness)
    labels = np.where(hidden, np.nan, data.labels).astype(np.float32)
    alone = np.arange(len(labels))
    rng = np.random.default_rng([seed, 1])
    part = splits.iterative_split(labels, alone, SHARES, rng)
    training, validation, test = (part == number for number in range(3))
    fold = np.full(len(labels), -1)
    fold[training] = splits.balanced_folds(labels[training], alone[: training.sum()], 5, rng)
    sets = {"pooled": MeanOfViews(store, rows, 1), "map": Grid(store, rows)}
    filled = Imputer(Settings(seed=seed)).fill(
        Table(sets["pooled"], labels, data.attributes, fold=fold, spatial=sets["map"])
    )
    known = ~np.isnan(labels)
    inside = known & training[:, None]
    held_out = np.where(validation[:, None], labels, np.nan)
    found: list[dict[str, Any]] = []

    def add(method: str, p: np.ndarray, started: float, by: np.ndarray | None = None) -> None:
        cells = inside if by is None else by
        cuts = [thresholds.expected(p[own, a]) for a, own in enumerate(cells.T)]
        seconds = round(time.perf_counter() - started, 1)
        row = measure(data.labels[test], p[test], cuts)
        found.append({"method": method, **row, "seconds": seconds})

    started = time.perf_counter()
    share = np.array([y[own].mean() for y, own in zip(labels.T, inside.T)])
    add("prevalence", np.tile(share, (len(labels), 1)), started)
    image, scored = filled.image_scores, np.empty(labels.shape)
    method, _ = calibration.select(image, labels, fold)
    for a, cells in enumerate(inside.T):
        y, z = labels[cells, a], image[cells, a]
        scored[:, a] = calibration.fit(method, z, y)(image[:, a])
        scored[cells, a] = calibration.cross_calibrate(z, y, fold[cells], method)
    add("imputer, image only", scored, started)

    started = time.perf_counter()
    projections = {name: project(one, training) for name, one in sets.items()}
    blocks = {name: projected(sets[name], one) for name, one in projections.items() if one}
    completed = Completed(filled.probability, image, filled.weight)
    with threadpool_limits(1):
        near = Neighbours.of(blocks["pooled"], training)
        variants, _ = image_classifier.treatments(
            *(blocks, labels, fold, completed, validation), neighbours=near
        )
    for name, method in (
        (targets.IMPUTE, "stack"),
        (targets.MASK, "stack, known labels"),
        (targets.NEGATIVE, "stack, unknown as 0"),
    ):
        add(method, expit(variants[name].logits), started)

    started = time.perf_counter()
    x = np.asarray(blocks["pooled"][alone])
    w = known[training].astype(np.float64)
    theta = soft_regressions.logistic(x[training], np.nan_to_num(labels[training]), w, STRENGTH)
    add("plain logistic", expit(x @ theta[:-1] + theta[-1]), started, by=validation_cells(held_out))
    for kind in kinds:
        started = time.perf_counter()
        logits = head(kind, store, rows, labels, filled, part, epochs, seed)
        add(f"head {kind}, not calibrated", expit(logits), started, by=validation_cells(held_out))
        slope, shift = calibration.of_classifier(
            # As of all methods here, the scores of attributes that are not learnable are kept.
            *(logits[validation], labels[validation], labels[training]),
            np.ones(labels.shape[1], dtype=bool),
        )
        add(f"head {kind}", expit(slope * logits + shift), started, by=validation_cells(held_out))
    return found


def validation_cells(held_out: np.ndarray) -> np.ndarray:
    """bool [N, A], those by which a fit's thresholds are set; all of a column without any."""
    cells = ~np.isnan(held_out)
    return cells | ~cells.any(axis=0)


def head(
    kind: str,
    store: FeatureStore,
    rows: np.ndarray,
    labels: np.ndarray,
    filled: Any,
    part: np.ndarray,
    epochs: int,
    seed: int,
) -> np.ndarray:
    """Logits [N, A] of a head fitted epoch by epoch, as the train stage does."""
    training, validation = part == 0, part == 1
    config = heads.configure(kind, store, labels.shape[1], 0.3)
    settings = FitSettings(epochs=epochs, batch_size=32, learning_rate=1e-3, patience=5)
    moments = heads.moments(kind, store, rows[training])
    bank = HeadBank(store, config, 1, settings, moments)
    target = targets.targets(
        targets.IMPUTE,
        labels[training],
        filled.probability[training],
        filled.values[training].astype(np.float64),
        filled.weight[training],
        True,
    )
    held_out = targets.of_learnable(labels[validation], np.asarray(filled.learnable))
    task = Task(
        rows=rows[training],
        targets=target.values,
        weights=target.weights,
        val_rows=rows[validation],
        val_targets=held_out,
        seed=(seed, labels.shape[1]),
    )
    bank.fit([task])
    return np.asarray(bank.predict([rows])[0], dtype=np.float64)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stack", description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="binary or categorical table")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--weights", required=True, help="imagenet, random or a weights file")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument(
        "--image-size", type=int, nargs=2, default=(224, 224), metavar=("HEIGHT", "WIDTH")
    )
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--at-least", type=int, default=100, help="rows for and against a value")
    parser.add_argument("--fractions", type=float, nargs="+", default=(0.3, 0.5, 0.8, 0.9))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--heads", nargs="*", choices=EPOCH_HEADS, default=("conv",))
    parser.add_argument("--epochs", type=int, default=20, help="of the heads, at most")
    parser.add_argument("--out", type=Path, required=True, help="path of the .csv")
    parser.add_argument("--cache", type=Path, default=datasets.CACHE)
    return parser.parse_args(argv)


def main() -> None:
    args = arguments()
    # Before features that are not cached are computed.
    runtime.prepare(datasets.SEED, to_train=True)
    data = datasets.load(
        args.labels,
        args.images,
        backbone=args.backbone,
        weights=args.weights,
        image_size=tuple(args.image_size),
        at_least=args.at_least,
        views=args.views,
        cache=args.cache,
    )
    done: set[tuple[str, float, int]] = set()
    if args.out.is_file():
        table = pd.read_csv(args.out)
        done = set(zip(table["data"], table["hidden"], table["seed"]))
    for seed in args.seeds:
        for fraction in args.fractions:
            if (data.name, fraction, seed) in done:
                continue
            found = pd.DataFrame(compare(data, fraction, seed, args.heads, args.epochs)).round(4)
            for column, value in (("seed", seed), ("hidden", fraction), ("data", data.name)):
                found.insert(0, column, value)
            found["machine"] = workshop.machine()
            with args.out.open("a", encoding="utf-8") as file:
                found.to_csv(file, index=False, header=not file.tell(), lineterminator="\n")
            print(found.drop(columns=["machine"]).to_string(index=False), flush=True)


if __name__ == "__main__":
    run(main)
