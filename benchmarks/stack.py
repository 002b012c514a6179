"""python -m benchmarks.stack: the final classifier of linear members against what it replaces.

Hides known cells, imputes, fits every classifier on the training images and scores it on images
that none has seen, with all their labels. Writes OUT.csv, a row per fraction, seed and method,
appended as it goes: a run adds the methods that the file lacks, so that one that was interrupted
goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef
from threadpoolctl import threadpool_limits

from benchmarks import datasets, masks, workshop
from pipeline import runtime
from pipeline.data import categories, splits
from pipeline.errors import run
from pipeline.features.matrices import Grid, MeanOfViews
from pipeline.features.store import FeatureStore
from pipeline.impute import calibration, soft_regressions, stacking
from pipeline.impute.components import Matrix, project, projected
from pipeline.impute.image_classifier import Fitted
from pipeline.impute.imputer import Imputation, Imputer, Settings, Table
from pipeline.impute.neighbours import Neighbours
from pipeline.impute.treatments import Completed, fit_treatments, refit_targets
from pipeline.metrics import scores, thresholds
from pipeline.metrics.ranking import auc, average_precision
from pipeline.training import heads, saved_model, targets
from pipeline.training.fitting import FitSettings, Task
from pipeline.training.head_bank import HeadBank
from pipeline.training.losses import Objective

EPOCH_HEADS = tuple(name for name in heads.HEADS if name != "stack")
SHARES = (0.7, 0.1, 0.2)
"""Of the images: training, validation, test."""
STRENGTH = 1e-3
"""C of the plain logistic regression."""
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Of the multinomial one, which chooses."""
EPOCHS = 20
"""Of the heads, at most."""
KEYS = ["data", "hidden", "seed"]
DRAWS = 200
"""Of labels, to know what calibration error chance gives."""
LEAST = 1e-6
"""Of a probability in the log-loss."""
STACK = "stack"
"""The shipped classifier; the methods that need no epochs are added with it."""
PREDICTED = "stack, unlearnable: prevalence"
"""The same as `predict` gives it: a binary attribute that is not learnable has its prevalence."""


def measure(truth: np.ndarray, probability: np.ndarray, cuts: Sequence[float]) -> dict[str, float]:
    """Means over the attributes with both classes, and ECE over all cells, with what of it is
    `by_chance`.

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
    return {
        **pd.DataFrame(rows).mean().to_dict(),
        "ece": scores.expected_calibration_error(truth[known], probability[known]),
        "ece_by_chance": by_chance(probability[known]),
    }


def by_chance(p: np.ndarray) -> float:
    """Mean expected calibration error that probabilities [n] have of as many labels drawn from
    them: that of perfect ones, which grows as cells get fewer."""
    drawn = np.random.default_rng(0).random((DRAWS, len(p))) < p
    return float(np.mean([scores.expected_calibration_error(y.astype(float), p) for y in drawn]))


def measure_values(
    truth: np.ndarray, probability: np.ndarray, softmax: Sequence[tuple[int, int]]
) -> dict[str, float]:
    """Means over the categorical attributes, of cells whose value has a column; the probabilities
    of each are divided by their sum.

    Parameters
    ----------
    truth, probability : [n, A]; softmax : (start, stop) of each attribute's columns.

    Returns
    -------
    accuracy, and log_loss, brier (of all values together), ece (of the most probable value's) and
    what of it is `by_chance`.
    """
    rows = []
    for start, stop in softmax:
        value = categories.truth(truth[:, start:stop])
        cells = np.flatnonzero(value >= 0)
        p, y = probability[cells, start:stop], value[cells]
        p = p / p.sum(axis=1, keepdims=True)
        right = categories.chosen(p) == y
        of_truth = p[np.arange(len(y)), y]
        rows.append(
            {
                "accuracy": float(right.mean()),
                "log_loss": float(-np.log(np.maximum(of_truth, LEAST)).mean()),
                "brier": float(((p - np.eye(stop - start)[y]) ** 2).sum(axis=1).mean()),
                "ece": scores.expected_calibration_error(right.astype(float), p.max(axis=1)),
                "ece_by_chance": by_chance(p.max(axis=1)),
            }
        )
    return {name: float(mean) for name, mean in pd.DataFrame(rows).mean().items()}


@dataclass(frozen=True, eq=False)
class Draw:
    """A table with holes and what the imputation made of it.

    labels : float32 [N, A], NaN where unknown or hidden.
    part : int [N], 0 for training, 1 for validation, 2 for test; fold : [N], -1 outside training.
    rows : int [N] of the store; sets : name -> features, see `pipeline.features.matrices`.
    seed : of the holes, the parts and the fits.
    """

    data: datasets.Dataset
    labels: np.ndarray
    part: np.ndarray
    fold: np.ndarray
    store: FeatureStore
    rows: np.ndarray
    sets: dict[str, Matrix]
    filled: Imputation
    seed: int

    @property
    def known(self) -> np.ndarray:
        """bool [N, A]."""
        return ~np.isnan(self.labels)

    @property
    def inside(self) -> np.ndarray:
        """bool [N, A], the known cells of training images."""
        return self.known & (self.part == 0)[:, None]

    @property
    def softmax(self) -> tuple[tuple[int, int], ...]:
        """(start, stop) of each categorical attribute's columns."""
        return categories.spans(self.data.categories)


def draw(data: datasets.Dataset, fraction: float, seed: int) -> Draw:
    """Hide ``fraction`` of the known cells, divide the images, and impute."""
    store = FeatureStore(data.store)
    rows = store.rows(data.images)
    rng = np.random.default_rng(seed)
    layout = categories.attributes(data.attributes, data.categories)
    hidden = masks.hide_attributes(data.labels, layout, "random", fraction, rng, data.brightness)
    labels = np.where(hidden, np.nan, data.labels).astype(np.float32)
    alone = np.arange(len(labels))
    rng = np.random.default_rng([seed, 1])
    part = splits.iterative_split(labels, alone, SHARES, rng)
    training = part == 0
    fold = np.full(len(labels), -1)
    fold[training] = splits.balanced_folds(labels[training], alone[: training.sum()], 5, rng)
    sets: dict[str, Matrix] = {"pooled": MeanOfViews(store, rows, 1), "map": Grid(store, rows)}
    filled = Imputer(Settings(seed=seed)).fill(
        Table(
            *(sets["pooled"], labels, data.attributes),
            fold=fold,
            spatial=sets["map"],
            categories=data.categories,
        )
    )
    return Draw(data, labels, part, fold, store, rows, sets, filled, seed)


def compare(
    one: Draw, kinds: Sequence[str], beside: Sequence[str], members: bool
) -> list[dict[str, Any]]:
    """Rows of method, scores and seconds: the heads of ``kinds``, the stack with each head of
    ``beside``, and all else if ``members``."""
    data, labels, inside = one.data, one.labels, one.inside
    test, validation = one.part == 2, one.part == 1
    judged = validation_cells(np.where(validation[:, None], labels, np.nan))
    found: list[dict[str, Any]] = []

    def add(method: str, p: np.ndarray, started: float, cells: np.ndarray = judged) -> None:
        seconds = round(time.perf_counter() - started, 1)
        if data.categories:
            row = measure_values(data.labels[test], p[test], one.softmax)
        else:
            cuts = [thresholds.expected(p[own, a]) for a, own in enumerate(cells.T)]
            row = measure(data.labels[test], p[test], cuts)
        found.append({"method": method, **row, "seconds": seconds})

    if members:
        started = time.perf_counter()
        share = np.array([y[own].mean() for y, own in zip(labels.T, inside.T)])
        add("prevalence", np.tile(share, (len(labels), 1)), started, inside)
        add("imputer, image only", image_only(one), started, inside)
    if members or beside:
        started = time.perf_counter()
        blocks = components(one)
        variants = stacks(one, blocks, keep_refits=bool(beside))
    if members:
        for name, method in (
            (targets.IMPUTE, STACK),
            (targets.MASK, "stack, known labels"),
            (targets.NEGATIVE, "stack, unknown as 0"),
        ):
            p = saved_model.of_logits(variants[name].logits, data.categories)
            add(method, p, started, inside)
            if name == targets.IMPUTE and not data.categories:
                add(PREDICTED, np.where(one.filled.learnable, p, share), started, inside)
        started = time.perf_counter()
        if data.categories:
            add("plain multinomial logistic", multinomial(one, blocks["pooled"]), started)
        else:
            add("plain logistic", plain_logistic(one, blocks["pooled"]), started)
    for kind in beside:
        started = time.perf_counter()
        add(f"stack and head {kind}", expit(stack_and_head(kind, one, variants)), started, inside)
    for kind in kinds:
        started = time.perf_counter()
        logits = head(kind, one)
        p = saved_model.of_logits(logits, data.categories)
        add(f"head {kind}, not calibrated", p, started)
        slope, shift = calibration.of_classifier(
            # As of all methods here, the scores of attributes that are not learnable are kept.
            *(logits[validation], labels[validation], labels[one.part == 0]),
            np.ones(labels.shape[1], dtype=bool),
            one.softmax,
        )
        p = saved_model.of_logits(slope * logits + shift, data.categories)
        add(f"head {kind}", p, started)
    return found


def image_only(one: Draw) -> np.ndarray:
    """Probabilities [N, A] of what fills the table from pictures alone; those of known training
    cells by calibrators that have not seen their fold."""
    image, out = one.filled.image_scores, np.empty(one.labels.shape)
    method, _ = calibration.select(image, one.labels, one.fold)
    for a, cells in enumerate(one.inside.T):
        y, z = one.labels[cells, a], image[cells, a]
        out[:, a] = calibration.fit(method, z, y)(image[:, a])
        out[cells, a] = calibration.cross_calibrate(z, y, one.fold[cells], method)
    return out


def components(one: Draw) -> dict[str, Matrix]:
    """Name -> principal components [N, d] of each set of features."""
    found = {name: project(features, one.part == 0) for name, features in one.sets.items()}
    return {name: projected(one.sets[name], own) for name, own in found.items() if own}


def stacks(one: Draw, blocks: dict[str, Matrix], keep_refits: bool = False) -> dict[str, Fitted]:
    """The stack under each treatment of unknown cells, with its refits for `stack_and_head`."""
    completed = Completed(one.filled.probability, one.filled.image_scores, one.filled.weight)
    with threadpool_limits(1):
        near = Neighbours.of(blocks["pooled"], one.part == 0)
        variants, _ = fit_treatments(
            *(blocks, one.labels, one.fold, completed, one.part == 1),
            one.softmax,
            neighbours=near,
            keep_refits=keep_refits,
        )
    return variants


def plain_logistic(one: Draw, block: Matrix) -> np.ndarray:
    """Probabilities [N, A] of a logistic regression of every column by known labels alone."""
    x, training = np.asarray(block[np.arange(len(one.labels))]), one.part == 0
    w = one.known[training].astype(np.float64)
    theta = soft_regressions.logistic(x[training], np.nan_to_num(one.labels[training]), w, STRENGTH)
    return np.asarray(expit(x @ theta[:-1] + theta[-1]))


def multinomial(one: Draw, block: Matrix) -> np.ndarray:
    """Probabilities [N, A] of a multinomial logistic regression of every categorical attribute, at
    the strength that validation labels favour; 0 for a value that it has not met."""
    x, out = np.asarray(block[np.arange(len(one.labels))]), np.zeros(one.labels.shape)
    for start, stop in one.softmax:
        value = categories.truth(one.labels[:, start:stop])
        fitted, judging = (np.flatnonzero((one.part == k) & (value >= 0)) for k in (0, 1))
        found = []
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
            model.fit(x[fitted], value[fitted])
            p = np.zeros((len(x), stop - start))
            p[:, model.classes_] = model.predict_proba(x)
            loss = -np.log(np.maximum(p[judging, value[judging]], LEAST)).mean()
            found.append((float(loss) if len(judging) else strength, strength, p))
        out[:, start:stop] = min(found, key=lambda each: each[:2])[2]
    return out


def validation_cells(held_out: np.ndarray) -> np.ndarray:
    """bool [N, A], those by which a fit's thresholds are set; all of a column without any."""
    cells = ~np.isnan(held_out)
    return cells | ~cells.any(axis=0)


def head(kind: str, one: Draw) -> np.ndarray:
    """Logits [N, A] of a head fitted epoch by epoch, as the train stage does."""
    target = targets.targets(
        targets.IMPUTE,
        one.labels,
        one.filled.probability,
        one.filled.values.astype(np.float64),
        one.filled.weight,
        True,
        one.softmax,
    )
    return fitted_heads(kind, one, [one.part == 0], [target.values], target.weights)[0]


def stack_and_head(kind: str, one: Draw, variants: dict[str, Fitted]) -> np.ndarray:
    """Logits [N, A] of the stack and a head, weighted by training labels that neither has seen.

    The head is fitted once more without each fold, to what the stack's refits learn.
    """
    filled, refits = one.filled, variants[targets.MASK].refits
    values = refit_targets(refits, one.labels, filled.probability, filled.image_scores)
    folds = len(refits) - 1
    rows = [(one.fold >= 0) & (one.fold != k) for k in range(folds + 1)]
    logits = fitted_heads(kind, one, rows, values, np.where(one.known, 1.0, filled.weight))
    own = np.where(one.fold >= 0, one.fold, folds)
    unseen = np.stack(
        [variants[targets.IMPUTE].logits, logits[own, np.arange(len(own))].astype(np.float64)]
    )
    stacked = stacking.fit_stack(unseen, one.labels, one.inside)
    return stacked(unseen)


def fitted_heads(
    kind: str,
    one: Draw,
    rows: Sequence[np.ndarray],
    values: Sequence[np.ndarray] | np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """Logits [n, N, A] of n heads, each with the training images bool [N] of ``rows`` and its
    targets [N, A]; ``weights`` [N, A] are those of all."""
    validation = one.part == 1
    config = heads.configure(kind, one.store, one.labels.shape[1], 0.3)
    settings = FitSettings(
        epochs=EPOCHS,
        batch_size=32,
        learning_rate=1e-3,
        patience=5,
        objective=Objective(softmax=one.softmax),
    )
    moments = heads.moments(kind, one.store, one.rows[one.part == 0])
    bank = HeadBank(one.store, config, len(rows), settings, moments)
    bank.fit(
        [
            Task(
                rows=one.rows[own],
                targets=target[own],
                weights=weights[own],
                val_rows=one.rows[validation],
                val_targets=targets.of_learnable(one.labels[validation], one.filled.learnable),
                seed=(one.seed, one.labels.shape[1]),
            )
            for own, target in zip(rows, values, strict=True)
        ]
    )
    return np.stack(bank.logits([one.rows] * len(rows))).astype(np.float64)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stack", description=__doc__)
    datasets.add_options(parser)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument(
        "--categorical", action="store_true", help="keep columns of several values as attributes"
    )
    parser.add_argument("--fractions", type=float, nargs="+", default=(0.3, 0.5, 0.8, 0.9))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--heads", nargs="*", choices=EPOCH_HEADS, default=("conv",))
    parser.add_argument(
        "--beside",
        nargs="*",
        choices=EPOCH_HEADS,
        default=(),
        help="heads that the stack is tried with as a member, of binary attributes",
    )
    parser.add_argument("--out", type=Path, required=True, help="path of the .csv")
    found = parser.parse_args(argv)
    if found.categorical and found.beside:
        parser.error("--beside: with --categorical there is no such member; leave one of them out")
    return found


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
        categorical=args.categorical,
        cache=args.cache,
    )
    there = pd.read_csv(args.out) if args.out.is_file() else pd.DataFrame(columns=[*KEYS, "method"])
    for seed in args.seeds:
        for fraction in args.fractions:
            own = (there[KEYS] == [data.name, fraction, seed]).all(axis=1)
            done = set(there.loc[own, "method"])
            kinds = [kind for kind in args.heads if f"head {kind}" not in done]
            beside = [kind for kind in args.beside if f"stack and head {kind}" not in done]
            if STACK in done and not kinds and not beside:
                continue
            rows = compare(draw(data, fraction, seed), kinds, beside, STACK not in done)
            found = pd.DataFrame(rows).round(4)
            for column, value in (("seed", seed), ("hidden", fraction), ("data", data.name)):
                found.insert(0, column, value)
            found["machine"] = workshop.machine()
            if len(there):
                found = found.reindex(columns=there.columns)
            with args.out.open("a", encoding="utf-8") as file:
                found.to_csv(file, index=False, header=not file.tell(), lineterminator="\n")
            print(found.drop(columns=["machine"]).to_string(index=False), flush=True)


if __name__ == "__main__":
    run(main)
