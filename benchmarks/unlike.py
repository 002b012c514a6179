"""python -m benchmarks.unlike: how often pictures are called unlike the training pictures.

Seven tenths of the photos of each data set are the training pictures; the rest of them, the photos
of the other data sets, and drawn pictures (noise, one colour, soft blobs) are asked about. Writes
benchmarks/unlike.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import datasets, workshop
from pipeline import runtime
from pipeline.errors import run
from pipeline.features import extract
from pipeline.features.store import FeatureStore, stored
from pipeline.files import write_csv
from pipeline.training import familiarity

RESULT = Path("benchmarks/unlike.csv")
TRAINING = 0.7
DRAWN = 64


def drawn(size: tuple[int, int], seed: int = 0) -> dict[str, np.ndarray]:
    """uint8 [DRAWN, h, w, 3] of each kind."""
    rng = np.random.default_rng(seed)
    height, width = size
    blobs = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
        )
        for _ in range(DRAWN)
    ]
    colours = rng.integers(0, 256, (DRAWN, 1, 1, 3), dtype=np.uint8)
    return {
        "noise": rng.integers(0, 256, (DRAWN, height, width, 3), dtype=np.uint8),
        "one colour": np.broadcast_to(colours, (DRAWN, height, width, 3)),
        "soft blobs": np.stack(blobs),
    }


def rates(sets: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> pd.DataFrame:
    """A row per data set: the share called unlike among its own held-out photos and all others.

    Parameters
    ----------
    sets, others : name -> pooled features [n, C], of photos and of drawn pictures.
    """
    rows = []
    for name, features in sets.items():
        order = np.random.default_rng(1).permutation(len(features))
        cut = int(TRAINING * len(features))
        found = familiarity.fit(features[order[:cut]], seed=0)
        asked = {"held out": features[order[cut:]], **sets, **others}
        shares = {
            kind: np.nan if kind == name else found.unlike(x).mean() for kind, x in asked.items()
        }
        rows.append({"training": name, "photos": cut, **shares})
    return pd.DataFrame(rows).round(3)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unlike", description=__doc__)
    parser.add_argument(
        "--data", nargs=2, action="append", required=True, metavar=("LABELS", "IMAGES"), type=Path
    )
    parser.add_argument("--weights", required=True, help="imagenet, random or a weights file")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--cache", type=Path, default=datasets.CACHE)
    args = parser.parse_args()
    runtime.prepare(datasets.SEED)
    sets = {}
    for labels, images in args.data:
        data = datasets.load(
            labels, images, backbone=args.backbone, weights=args.weights, cache=args.cache
        )
        store = FeatureStore(data.store)
        sets[data.name] = store.pooled(store.rows(data.images))
    size, precision = (224, 224), store.meta["precision"]
    model = datasets.build(args.backbone, args.weights, size, precision)
    encoder = extract.Encoder(model, size)
    others = {
        kind: np.concatenate(
            [
                stored(encoder(pictures[start : start + encoder.batch]))[1]
                for start in range(0, DRAWN, encoder.batch)
            ]
        )
        for kind, pictures in drawn(size).items()
    }
    found = rates(sets, others)
    found["machine"] = workshop.machine()
    write_csv(found, RESULT)
    print(found.drop(columns="machine").to_string(index=False))


if __name__ == "__main__":
    run(main)
