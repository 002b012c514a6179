"""python -m benchmarks.review_rounds: what labels bought in the order of the review list bring.

Hides known cells, fills the table by the guarantees' cheap procedure, lets a person who knows the
truth look at 50, 100, 200 and 400 cells, and fills it again. Orders: that of reports/review.csv
(``list``), plain uncertainty of the probability, and chance. Figures: share of right ones among all
cells that were hidden, mean average precision of the classifier (here the regression itself) on
images outside training, and for the list how often the audit's intervals hold the accuracy of the
cells that are left.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score

from benchmarks import datasets, masks
from benchmarks.guarantees import COMPONENTS, cheap
from pipeline.data.categories import attributes
from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.impute import audit, budget

ORDERS = ("list", "uncertainty", "chance")
BOUGHT = (0, 50, 100, 200, 400)


def orders(filled, shown: np.ndarray, fold: np.ndarray, layout: list, rng) -> dict[str, np.ndarray]:
    """Of each order the cells [m, 2], first ones first."""
    every = np.ones(shown.shape, dtype=bool)
    doubts, row = budget.doubts(filled, shown, fold, every, layout)
    cells = np.stack([row, doubts.attribute], axis=1)
    p = filled.probability[row, doubts.attribute]
    return {
        "list": cells[np.argsort(-doubts.rank, kind="stable")],
        "uncertainty": cells[np.argsort(np.abs(p - 0.5), kind="stable")],
        "chance": cells[rng.permutation(len(cells))],
    }


def rounds(data: datasets.Dataset, x: np.ndarray, fraction: float, number: int) -> list[dict]:
    """A row per order and number of labels."""
    rng = np.random.default_rng([number, 3])
    truth = data.labels
    hidden = masks.hide(truth, "random", fraction, rng, data.brightness)
    shown = np.where(hidden, np.nan, truth).astype(np.float32)
    layout = attributes(data.attributes, [])
    filled, fold, _ = cheap(x, shown, number)
    rows = []
    for name, cells in orders(filled, shown, fold, layout, rng).items():
        for count in BOUGHT:
            known, looked = shown.copy(), np.zeros(shown.shape, dtype=bool)
            at = tuple(cells[:count].T)
            known[at], looked[at] = truth[at], True
            after, _, scores = cheap(x, known, number, looked_at=looked)
            right = after.values == truth
            test = fold < 0
            ap = [
                average_precision_score(truth[test, a], after.probability[test, a])
                for a in range(truth.shape[1])
                if 0 < truth[test, a].sum() < test.sum()
            ]
            figures = audit.table(data.attributes, known, fold, after, scores, (number,))
            left = [right[hidden[:, a] & ~looked[:, a], a].mean() for a in range(truth.shape[1])]
            inside = (figures["accuracy_low"] <= left) & (figures["accuracy_high"] >= left)
            judged = figures["accuracy"].notna()
            rows.append(
                {
                    "order": name,
                    "bought": count,
                    "accuracy": (right | looked)[hidden].mean(),
                    "map": np.mean(ap),
                    "expected inside": inside[judged].mean(),
                    "expected less true": (figures["accuracy"] - left)[judged].mean(),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.review_rounds", description=__doc__)
    parser.add_argument("--labels", type=Path, nargs="+", required=True, help="label tables")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="their folders")
    parser.add_argument("--weights", required=True, help="imagenet, random or a weights file")
    parser.add_argument("--fraction", type=float, default=0.5)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--cache", type=Path, default=datasets.CACHE)
    args = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    rows: list[dict] = []
    for labels, images in zip(args.labels, args.images, strict=True):
        data = datasets.load(labels, images, weights=args.weights, cache=args.cache)
        x = PCA(COMPONENTS, random_state=0).fit_transform(data.features)
        x /= x.std(axis=0)[:1]
        for number in range(args.draws):
            own = rounds(data, x, args.fraction, number)
            rows += [{"data": data.name, "hidden": args.fraction, **one} for one in own]
            print(data.name, number, file=sys.stderr, flush=True)
            groups = pd.DataFrame(rows).groupby(["data", "hidden", "order", "bought"], sort=False)
            means = groups.mean()
            means.insert(0, "draws", groups.size())
            for figure in ("accuracy", "map"):
                error = groups[figure].std() / np.sqrt(groups.size())
                means[f"{figure} error"] = error
            write_csv(means.reset_index().round(4), args.out)


if __name__ == "__main__":
    run(main)
