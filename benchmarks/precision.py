"""python -m benchmarks.precision: what the backbone's numbers cost and what they are worth.

For float32, bfloat16 and int8: passes per second of the bare network on arrays in memory (medians
of turns, one after the other, in one process), the cosine of each image's pooled features with
those in float32, and our imputation of cells hidden at random, mean over attributes and seeds.
Writes benchmarks/precision_NAME_BACKBONE.csv.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import datasets, masks, ours, scoring
from benchmarks.workshop import record
from pipeline import runtime
from pipeline.data.loading import Request, loader
from pipeline.errors import run

PRECISIONS = ("float32", "bfloat16", "int8")
SCORES = ["auc", "ap", "mcc", "brier"]


def rates(a: argparse.Namespace, files: list[str]) -> dict[str, float]:
    """Passes per second of the network in each precision, medians over turns."""
    size = tuple(a.image_size)
    load = loader(a.images, size, 0)
    work = [
        Request(file, hashlib.sha256((a.images / file).read_bytes()).hexdigest(), (0,))
        for file in files[:128]
    ]
    found: dict[str, list[float]] = {name: [] for name in PRECISIONS}
    with tempfile.TemporaryDirectory() as space:
        networks = {
            name: datasets.network(
                datasets.build(a.backbone, a.weights, size, name), name, work, load, Path(space)
            )
            for name in PRECISIONS
        }
        for turn in range(-1, a.turns):  # the first one warms up
            for name, network in networks.items():
                shape = (network.batch, *size, 3)
                batch = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
                started = time.perf_counter()
                for _ in range(a.batches):
                    network(batch)
                if turn >= 0:
                    taken = time.perf_counter() - started
                    found[name].append(a.batches * network.batch / taken)
    return {name: float(np.median(values)) for name, values in found.items()}


def worth(data: datasets.Dataset, fraction: float, seeds: int) -> dict[str, float]:
    """Scores of our imputation, means over attributes and seeds."""
    frames = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        hidden = masks.hide(data.labels, "random", fraction, rng, data.brightness)
        shown = np.where(hidden, np.nan, data.labels).astype(np.float32)
        filled = ours.impute(data.features, shown, seed)
        decided = np.asarray(filled.values) == 1
        probability = np.asarray(filled.probability, dtype=np.float64)
        frames.append(
            scoring.score(data.attributes, data.labels, hidden, probability, decided).iloc[:-1]
        )
    means = pd.concat(frames)[SCORES].mean()
    return {name: round(float(means[name]), 5) for name in SCORES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", required=True, help="imagenet, random or a weights file")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--image-size", type=int, nargs=2, default=(224, 224))
    parser.add_argument("--at-least", type=int, default=100, help="rows for and against a value")
    parser.add_argument("--fraction", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=12, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=datasets.CACHE)
    a = parser.parse_args()
    runtime.prepare(0)
    loaded = {
        precision: datasets.load(
            a.labels,
            a.images,
            backbone=a.backbone,
            weights=a.weights,
            image_size=tuple(a.image_size),
            precision=precision,
            at_least=a.at_least,
            cache=a.cache,
        )
        for precision in PRECISIONS
    }
    reference = loaded[PRECISIONS[0]]
    speed = rates(a, reference.images)
    rows = []
    for precision, data in loaded.items():
        pair = data.features.astype(np.float64), reference.features.astype(np.float64)
        lengths = [np.linalg.norm(features, axis=1) for features in pair]
        cosine = (pair[0] * pair[1]).sum(axis=1) / (lengths[0] * lengths[1])
        row = {"data": data.name, "backbone": a.backbone, "precision": precision}
        row |= {"passes_per_second": round(speed[precision], 1)}
        row |= {"cosine": round(float(cosine.mean()), 4), "smallest": round(cosine.min(), 4)}
        rows.append({**row, "hidden": a.fraction, **worth(data, a.fraction, a.seeds)})
        print(rows[-1], flush=True)
    record(rows, Path(f"benchmarks/precision_{reference.name}_{a.backbone}.csv"))


if __name__ == "__main__":
    run(main)
