"""python -m benchmarks.missing: what the final classifier gains from filling holes.

Against leaving them out, against taking them for 0, and against losses made for missing labels.
Images are divided 70/10/20 into training, validation and test images; cells of the first two are
hidden. Every method trains the same linear head on the same features with the same trainer and
grid, chosen by the known validation cells, and is scored on all labels of the test images.

Writes OUT.csv, a row per run and score and the means over seeds (seed ``all``), and OUT.md; both
again after every run. `--resume` goes on where an interrupted call ended.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.datasets import CACHE, Dataset, load
from benchmarks.linear_head import Grid, standardised
from benchmarks.masks import PATTERNS, hide
from benchmarks.missing_methods import CHOOSERS, SOURCES, Imputer, Setting, product_imputer
from benchmarks.missing_results import DRAWS, Results
from benchmarks.missing_scores import SCORES, both_classes, scores, weighted_scores
from benchmarks.missing_tables import difference
from benchmarks.significance import image_weights
from pipeline.data.splits import iterative_split
from pipeline.errors import run

SHARES = (0.7, 0.1, 0.2)
FRACTIONS = (0.3, 0.5, 0.8, 0.9)


def divided(
    data: Dataset,
    pattern: str,
    fraction: float,
    seed: int,
    *,
    source: str = SOURCES[0],
    imputer: Imputer = product_imputer,
    grid: Grid | None = None,
) -> Setting:
    """Divide the images of ``data`` by ``seed`` and hide cells of training and validation ones."""
    labels = data.labels.astype(np.float64)
    part = iterative_split(
        labels, np.arange(len(labels)), SHARES, np.random.default_rng([seed, 10])
    )
    train, val, test = (np.flatnonzero(part == number) for number in range(3))
    rows = np.r_[train, val]
    rng = np.random.default_rng([seed, 11, round(1000 * fraction)])
    observed = labels.copy()
    hidden = hide(labels[rows], pattern, fraction, rng, data.brightness[rows])
    observed[rows] = np.where(hidden, np.nan, labels[rows])
    # Nothing that a method is given holds a label of a test image.
    observed[test] = np.nan
    ready = standardised(data.features, train)
    parts = (data.features, ready, labels, observed, train, val, test, seed)
    return Setting(*parts, imputer=imputer, source=source, grid=grid or Grid())


def evaluate(setting: Setting, method: str, weights: np.ndarray) -> tuple[dict, np.ndarray]:
    """Scores of one method, and its bootstrap draws [draws, 3] under ``weights`` [draws, n]."""
    started = time.perf_counter()
    head = setting.head(method)
    seconds = time.perf_counter() - started
    truth = setting.truth[setting.test]
    logits = head.logits(setting.standardised[setting.test])
    values: dict[str, Any] = dict(zip(SCORES, scores(truth, logits).tolist()))
    left_out = int((~both_classes(truth)).sum())
    values |= {"labels_scored": truth.shape[1] - left_out, "labels_left_out": left_out}
    values |= {"validation_map": head.rank[0], "validation_log_loss": -head.rank[1]}
    values |= {"strength": head.strength, "epochs": head.epochs, "seconds": round(seconds, 2)}
    return values, weighted_scores(truth, logits, weights)


def benchmark(
    data: Dataset,
    results: Results,
    *,
    pattern: str = PATTERNS[0],
    fractions: Sequence[float] = FRACTIONS,
    seeds: int = 3,
    methods: Sequence[str] = tuple(CHOOSERS),
    source: str = SOURCES[0],
    imputer: Imputer = product_imputer,
    grid: Grid | None = None,
) -> pd.DataFrame:
    """Run what ``results`` lacks, `mask` and `oracle` first; returns the rows of all runs."""
    ordered = [m for m in CHOOSERS if m in {*methods, "mask", "oracle"}]
    for seed in range(seeds):
        for fraction in fractions:
            if all((fraction, seed, method) in results.draws for method in ordered):
                continue
            setting = divided(
                data, pattern, fraction, seed, source=source, imputer=imputer, grid=grid
            )
            weights = image_weights(len(setting.test), DRAWS, seed)
            for method in ordered:
                if (fraction, seed, method) in results.draws:
                    continue
                values, draws = evaluate(setting, method, weights)
                base = results.draws.get((fraction, seed, "mask"), draws)
                low, high = difference(draws, base)
                for column, score in enumerate(SCORES if method != "mask" else ()):
                    gain = values[score] - results.value(fraction, seed, "mask", score)
                    values[f"{score}_difference"] = (gain, low[column], high[column])
                results.add(fraction, seed, method, values, draws)
                print(f"{fraction:g} {seed} {method}: mAP {values['map']:.4f}", flush=True)
    return results.rows


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks.missing", description=__doc__)
    p.add_argument("--labels", type=Path, required=True, help="a label table")
    p.add_argument("--images", type=Path, required=True, help="folder of its images")
    p.add_argument("--weights", required=True, help="file of the backbone's weights")
    p.add_argument("--backbone", default="mobilenet_v2")
    p.add_argument("--image-size", type=int, nargs=2, default=(224, 224), metavar=("H", "W"))
    p.add_argument("--at-least", type=int, default=100, help="rows with and without a value")
    p.add_argument("--pattern", choices=PATTERNS, default=PATTERNS[0])
    p.add_argument("--fractions", type=float, nargs="+", default=list(FRACTIONS))
    p.add_argument("--seeds", type=int, default=3, help="how many")
    p.add_argument("--methods", nargs="+", choices=list(CHOOSERS), default=list(CHOOSERS))
    p.add_argument(
        "--source", choices=SOURCES, default=SOURCES[0], help="fill holes from labels of"
    )
    p.add_argument("--cache", type=Path, default=CACHE)
    p.add_argument("--out", type=Path, required=True, help="results without suffix")
    p.add_argument("--resume", action="store_true", help="keep finished runs")
    return p


def main() -> None:
    a = parser().parse_args()
    size = (a.image_size[0], a.image_size[1])
    features = {"backbone": a.backbone, "weights": a.weights, "image_size": size}
    data = load(a.labels, a.images, **features, at_least=a.at_least, cache=a.cache)
    settings = {
        **{"dataset": data.name, "images": len(data.images), "labels": len(data.attributes)},
        "features": f"{a.backbone} at {size[0]} x {size[1]}",
        "sha256": hashlib.sha256(data.labels.tobytes() + data.features.tobytes()).hexdigest(),
        **{"pattern": a.pattern, "source": a.source, "grid": asdict(Grid())},
    }
    results = Results(a.out, a.cache, settings, a.resume)
    chosen = {"fractions": a.fractions, "seeds": a.seeds, "methods": a.methods}
    benchmark(data, results, pattern=a.pattern, source=a.source, **chosen)


if __name__ == "__main__":
    run(main)
