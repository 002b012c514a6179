"""python -m benchmarks.risk_control: are promises of recall and precision kept?

Scores of all known cells out of fold, by plain logistic regression on pooled features. In each of
many draws, a threshold is chosen on one half of an attribute's cells, and looked at on the other
half, and on the population that both are of. Writes OUT.csv, a row per wish and attribute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import datasets
from benchmarks.workshop import record
from pipeline.data import splits
from pipeline.errors import run
from pipeline.impute import linear_models
from pipeline.impute.components import components
from pipeline.impute.image_scores import choose_penalties
from pipeline.metrics.risk_control import PRECISION, RECALL, Target, UnkeptError
from pipeline.metrics.thresholds import choose

WISHES: tuple[Target, ...] = ({RECALL: 0.95}, {RECALL: 0.8}, {PRECISION: 0.9}, {PRECISION: 0.7})
FIGURES = ["promised", "broken", "broken_unseen", "score", "beside"]
FOLDS = 5


def out_of_fold(features: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Logits [N, A], those of known cells by models without their fold."""
    rng = np.random.default_rng([seed, FOLDS])
    fold = splits.balanced_folds(labels, np.arange(len(labels)), FOLDS, rng)
    inputs = components(features, np.ones(len(labels), dtype=bool), seed)
    paths = [linear_models.path("logistic", inputs, y, fold) for y in labels.T]
    scores = np.stack([path[:, fold, np.arange(len(fold))] for path in paths], axis=2)
    chosen, _ = choose_penalties(scores, labels, fold)
    return np.stack([scores[c, :, a] for a, c in enumerate(chosen)], axis=1)


def score(name: str, decided: np.ndarray, labels: np.ndarray) -> float:
    """Recall or precision of bool [n] on labels [n]; 1 where no cell is decided as 1."""
    whole = labels == 1 if name == RECALL else decided
    return float((decided & (labels == 1)).sum() / whole.sum()) if whole.any() else 1.0


def kept(
    target: Target, scores: np.ndarray, labels: np.ndarray, draws: int, seed: int
) -> dict[str, float]:
    """What became of a promise in ``draws`` halves of the cells, [n] logits and labels.

    Returns
    -------
    promised : share of the draws with a threshold.
    broken : share of all draws in which the score of all cells is below the wish, each half a
        sample of them with replacement, so that they are its population.
    broken_unseen : the same for halves without replacement, and for the score of the other half
        only, which misses the wish by its own luck, too.
    score, beside : mean score of all cells where promised, and the mean of recall for precision and
        of precision for recall.
    """
    ((name, wanted),) = target.items()
    other = PRECISION if name == RECALL else RECALL
    n, found = len(labels), []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        sample, half = rng.integers(0, n, n // 2), rng.permutation(n) < n // 2
        row = {"promised": 0.0, "broken": 0.0, "broken_unseen": 0.0}
        try:
            decided = scores >= choose(target, scores[sample], labels[sample])
            reached = score(name, decided, labels)
            row |= {"promised": 1.0, "broken": float(reached < wanted), "score": reached}
            row["beside"] = score(other, decided, labels)
        except UnkeptError:
            pass
        try:
            decided = (scores >= choose(target, scores[half], labels[half]))[~half]
            row["broken_unseen"] = float(score(name, decided, labels[~half]) < wanted)
        except UnkeptError:
            pass
        found.append(row)
    return pd.DataFrame(found).reindex(columns=FIGURES).mean().round(4).to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="binary or categorical table")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--weights", required=True, help="imagenet, random or a weights file")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="path without a suffix")
    parser.add_argument("--cache", type=Path, default=datasets.CACHE)
    a = parser.parse_args()
    data = datasets.load(a.labels, a.images, backbone=a.backbone, weights=a.weights, cache=a.cache)
    logits = out_of_fold(data.features, data.labels, a.seed)
    rows = []
    for target in WISHES:
        for number, name in enumerate(data.attributes):
            known = ~np.isnan(data.labels[:, number])
            y = data.labels[known, number]
            found = kept(target, logits[known, number], y, a.draws, a.seed)
            wish = "{} {}".format(*next(iter(target.items())))
            counts = {"cells": len(y), "positives": int(y.sum()), "draws": a.draws}
            rows.append({"wish": wish, "attribute": name, **counts, **found})
            print(rows[-1], flush=True)
    record(rows, a.out.with_suffix(".csv"))


if __name__ == "__main__":
    run(main)
