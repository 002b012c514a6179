"""python -m benchmarks.backbones: what features of other backbones are worth on a table.

    python -m benchmarks.backbones --labels labels.csv --images images --hidden 0.3 \\
        mobilenet_v2=weights.h5 efficientnet_lite0=imagenet efficientnet_lite2=imagenet:260

Hides known cells at random and fills them by a plain logistic regression on pooled features, and by
the project's imputation. The classifier is a logistic regression, too, fitted on the images
that are not for testing with their hidden cells filled by the imputation, and scored on the cells
of the others. Appends to benchmarks/backbones.csv: pictures per second of the network
alone, float32, and mean average precision.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from benchmarks import datasets, masks, ours, peer_linear, scoring
from benchmarks.workshop import machine
from pipeline import runtime
from pipeline.errors import run
from pipeline.features.extract import Encoder
from pipeline.files import write_csv

RESULT = Path("benchmarks/backbones.csv")
STRENGTHS = (1e-3, 1e-2, 1e-1)
"""C of the regressions; the best on hidden cells counts, for each backbone."""
TEST = 0.2
"""Of the images, for the classifier."""
CALLS = 15
"""Of the network, timed; the fastest counts, as others may be at work on the machine."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backbones")
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--hidden", type=float, default=0.3)
    parser.add_argument("--at-least", type=int, default=100, help="rows for and against a value")
    parser.add_argument("--rows", type=int, help="the first so many of the table; all without it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("backbones", nargs="+", metavar="NAME=WEIGHTS[:SIDE]")
    a = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    rows, cases = [], []
    for asked in a.backbones:
        name, _, source = asked.partition("=")
        weights, _, side = source.partition(":")
        size = (int(side or 224),) * 2
        data = datasets.load(
            a.labels,
            a.images,
            backbone=name,
            weights=weights,
            image_size=size,
            precision="float32",
            at_least=a.at_least,
            rows=a.rows,
        )
        row = {"data": data.name, "hidden": a.hidden, "backbone": name, "side": size[0]}
        rows.append(row | scores(data, a.hidden, a.seed))
        cases.append((name, weights, size))
        print(rows[-1], flush=True)
        keep(rows[-1])  # should a later one be interrupted
    for row, rate in zip(rows, rates(cases), strict=True):
        keep({**row, "pictures_per_second": round(rate, 1)})


def scores(data: datasets.Dataset, fraction: float, seed: int) -> dict[str, Any]:
    """Mean average precision on hidden cells, and of a classifier on test images."""
    rng = np.random.default_rng(seed)
    hidden = masks.hide(data.labels, "random", fraction, rng, data.brightness)
    shown = np.where(hidden, np.nan, data.labels).astype(np.float32)
    features = StandardScaler().fit_transform(data.features)
    plain = peer_linear.regression(features, shown, STRENGTHS, balanced=False)
    imputation = ours.impute(data.features, shown, seed)
    test = rng.random(len(shown)) < TEST
    filled = np.where(np.isnan(shown), imputation.probability, shown)
    targets = np.where(test[:, None], np.nan, filled >= 0.5)
    classifier = peer_linear.regression(features, targets, STRENGTHS, balanced=False)
    of_test = ~np.isnan(data.labels) & test[:, None]

    def best(tried: list[np.ndarray], cells: np.ndarray) -> float:
        return max(mean_ap(data, cells, probability) for probability in tried)

    return {
        "hidden_cells_map_logistic": round(best(plain, hidden), 4),
        "hidden_cells_map": round(mean_ap(data, hidden, imputation.probability), 4),
        "classifier_map": round(best(classifier, of_test), 4),
    }


def mean_ap(data: datasets.Dataset, cells: np.ndarray, probability: np.ndarray) -> float:
    """Mean over attributes of the average precision on ``cells``, bool [N, A]."""
    found = scoring.score(data.attributes, data.labels, cells, probability, probability >= 0.5)
    return float(found[found["attribute"] != scoring.POOLED]["ap"].mean())


def rates(cases: Sequence[tuple[str, str, tuple[int, int]]]) -> list[float]:
    """Pictures per second of each network alone, of name, weights and size; in turns."""
    runtime.prepare(0)
    encoders = [Encoder(datasets.build(*case, "float32"), case[2]) for case in cases]
    rng = np.random.default_rng(0)
    pictures = [
        rng.integers(0, 256, (one.batch, *one.image_size, 3), dtype=np.uint8) for one in encoders
    ]
    seconds = np.empty((1 + CALLS, len(cases)))
    for turn in seconds:  # the first one warms up
        for number, (encoder, shown) in enumerate(zip(encoders, pictures, strict=True)):
            started = time.perf_counter()
            encoder(shown)
            turn[number] = time.perf_counter() - started
    fastest = seconds[1:].min(axis=0)
    return [one.batch / taken for one, taken in zip(encoders, fastest, strict=True)]


def keep(row: dict[str, Any]) -> None:
    """Add ``row`` to the result, in the place of one of the same table, backbone and size."""
    case = ["data", "hidden", "backbone", "side"]
    new = pd.DataFrame([{**row, "machine": machine()}])
    if RESULT.is_file():
        new = pd.concat([pd.read_csv(RESULT), new]).drop_duplicates(case, keep="last")
    write_csv(new, RESULT)


if __name__ == "__main__":
    run(main)
