"""python -m benchmarks.partial_labels: new rows of which half of the labels are known.

A quarter of the images is new: no model, threshold or calibration sees a label of theirs. Of their
labels half are given, the others told from the picture alone, as `predict` does, from picture and
labels, as `predict --labels` does, and by the whole imputation, which has all training images at
hand. Of the other images' labels some are hidden. All read the same pooled features. Writes
OUT.csv, a row per seed and method.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from benchmarks import datasets, scoring
from benchmarks.workshop import record
from pipeline.data import splits
from pipeline.errors import run
from pipeline.impute import image_classifier, label_completion
from pipeline.impute.components import components
from pipeline.impute.cross_fitting import logit
from pipeline.impute.imputer import Imputer, Settings, Table
from pipeline.impute.neighbours import Neighbours

NEW = 0.25
"""Share of the images that are new."""
GIVEN = 0.5
"""Share of their labels that are given."""
FOLDS = 5
SHOWN = ["ap", "auc", "brier", "ece"]


def compare(data: datasets.Dataset, fraction: float, seed: int) -> list[dict[str, float | str]]:
    """Scores on the labels of new images that were not given: means over attributes of AP and AUC,
    Brier score and calibration error of all these cells together.

    Parameters
    ----------
    fraction : of the other images' labels, hidden.
    """
    truth = data.labels
    rng = np.random.default_rng(seed)
    new = rng.random(len(truth)) < NEW
    hidden = rng.random(truth.shape) < np.where(new, 1 - GIVEN, fraction)[:, None]
    shown = np.where(hidden, np.nan, truth).astype(np.float32)
    old = np.flatnonzero(~new)
    fold = np.full(len(truth), -1)
    fold[old] = splits.balanced_folds(
        shown[old], np.arange(len(old)), FOLDS, np.random.default_rng([seed, FOLDS])
    )
    blocks = {"pooled": components(data.features, fold >= 0, seed)}
    near = Neighbours.of(blocks["pooled"], fold >= 0)
    picture = expit(image_classifier.fit(blocks, shown, fold, neighbours=near).logits)
    model, held_out = label_completion.fit(logit(picture), shown, fold, (seed,))
    if not label_completion.helps(held_out, logit(picture), shown):
        model = None
    imputation = Imputer(Settings(seed=seed)).fill(
        Table(data.features, shown, data.attributes, fold=fold)
    )
    scored = hidden & new[:, None] & ~np.isnan(truth)
    rows: list[dict[str, float | str]] = []
    for method, probability in {
        "picture": picture,
        "picture and labels": label_completion.completed(model, picture, shown),
        "imputation, image only": expit(imputation.image_scores),
        "imputation": imputation.probability,
    }.items():
        found = scoring.score(data.attributes, truth, scored, probability, probability >= 0.5)
        means = found.iloc[:-1][["ap", "auc"]].mean()
        pooled = found.iloc[-1][["brier", "ece"]]
        rows.append({"method": method, **pd.concat([means, pooled]).astype(float).round(4)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="binary or categorical table")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--weights", required=True, help="imagenet, random or a weights file")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument(
        "--fraction", type=float, default=0.5, help="of the training labels, hidden"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="path without a suffix")
    parser.add_argument("--cache", type=Path, default=datasets.CACHE)
    a = parser.parse_args()
    data = datasets.load(a.labels, a.images, backbone=a.backbone, weights=a.weights, cache=a.cache)
    rows: list[dict[str, object]] = []
    for seed in range(a.seeds):
        for row in compare(data, a.fraction, seed):
            rows.append({"hidden": a.fraction, "seed": seed, **row})
            print(rows[-1], flush=True)
        record(rows, a.out.with_suffix(".csv"))


if __name__ == "__main__":
    run(main)
