"""python -m benchmarks.suspects: are wrong labels found, and are they counted?

Turns known labels, every class alike (``even``) or 1s three times as often as 0s (``ones``), and
ranks all known labels by how likely they are to be wrong: ours (`pipeline.impute.suspects`),
cleanlab's multi-label quality scores and the probability of the given label on the same held-out
probabilities, and the agreement of the ten nearest neighbours. Needs ``pip install cleanlab``,
which is AGPL and part of no extra. cleanlab knows no unknown cells: nothing is hidden here.
"""

from __future__ import annotations

import logging
import sys

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors

from benchmarks import datasets, draws, ours
from benchmarks.guarantees import cheap
from pipeline.data.categories import attributes
from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.impute import suspects

NEIGHBOURS = 10
KINDS = ("even", "ones")


def turned(labels: np.ndarray, kind: str, rate: float, rng: np.random.Generator) -> np.ndarray:
    """bool [N, A], cells to turn: a share ``rate`` of the known ones in the mean."""
    known = ~np.isnan(labels)
    weight = np.where(labels == 1, 3.0 if kind == "ones" else 1.0, 1.0)
    chance = np.where(known, rate * weight / weight[known].mean(), 0)
    return rng.random(labels.shape) < np.minimum(chance, 0.45)


def compare(
    data: datasets.Dataset, x: np.ndarray, procedure: str, kind: str, rate: float, number: int
) -> list[dict]:
    """A row per way of ranking."""
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
    from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class

    rng = np.random.default_rng([number, 9])
    truth = data.labels[~np.isnan(data.labels).any(axis=1)]
    x, features = (one[~np.isnan(data.labels).any(axis=1)] for one in (x, data.features))
    flipped = turned(truth, kind, rate, rng)
    given = np.where(flipped, 1 - truth, truth).astype(np.float32)
    layout = attributes(data.attributes, [])
    if procedure == "whole":
        filled = ours.impute(features, given, number)
        scores = filled.scores
    else:
        filled, _, scores = cheap(x, given, number, every=True)
    images = [str(i) for i in range(len(given))]
    nobody = np.zeros(given.shape, dtype=bool)
    least, suspects.LEAST = suspects.LEAST, 0.0
    found, noise = suspects.find(
        filled, scores, given, images, ["train"] * len(given), layout, nobody
    )
    suspects.LEAST = least
    place = {name: a for a, name in enumerate(data.attributes)}
    wrong = np.zeros(given.shape)
    at = found["image"].astype(int), found["attribute"].map(place)
    wrong[at] = found["wrong_probability"]
    p = filled.probability
    listed = [np.flatnonzero(row).tolist() for row in given == 1]
    quality = get_label_quality_scores_per_class(listed, p)
    issues = np.asarray(find_multilabel_issues_per_class(listed, p)).T.sum()
    near = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(x).kneighbors(return_distance=True)[1]
    agree = (given[near[:, 1:]] == given[:, None, :]).mean(axis=1)
    number_of_wrong = noise["wrong"].sum()
    rows = []
    for name, doubt, count in (
        ("ours", wrong, number_of_wrong),
        ("cleanlab", -quality, issues),
        ("probability of the label", 1 - np.where(given == 1, p, 1 - p), np.nan),
        ("neighbours", 1 - agree, np.nan),
    ):
        first = np.argsort(-doubt.ravel(), kind="stable")
        own = {"method": name, "wrong": int(flipped.sum()), "counted": count}
        if rate:
            own["average precision"] = average_precision_score(flipped.ravel(), doubt.ravel())
            if not np.isnan(count):
                top = first[: max(1, round(count))]
                own["precision at the count"] = flipped.ravel()[top].mean()
        if name == "ours":
            own["counted low"], own["counted high"] = (
                noise["wrong_low"].sum(),
                noise["wrong_high"].sum(),
            )
            inside = [
                row["wrong_low"] - 0.5
                <= flipped[:, place[row["attribute"]]].sum()
                <= row["wrong_high"] + 0.5
                for _, row in noise.dropna().iterrows()
            ]
            own["attributes inside"] = np.mean(inside)
            own["called"] = int((found["called"] == "yes").sum())
            own["called right"] = (
                flipped[at][(found["called"] == "yes").to_numpy()].mean()
                if own["called"]
                else np.nan
            )
        rows.append(own)
    return rows


def main() -> None:
    parser = draws.parser("suspects", __doc__, 3)
    parser.add_argument("--rates", type=float, nargs="+", default=(0.0, 0.02, 0.05, 0.1, 0.2))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--procedure", choices=("cheap", "whole"), default="cheap")
    args = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    rows: list[dict] = []
    for data, x in draws.tables(args):
        for number in range(args.draws):
            for kind in args.kinds:
                for rate in args.rates:
                    if kind != KINDS[0] and not rate:
                        continue
                    key = {
                        "data": data.name,
                        "procedure": args.procedure,
                        "turned": kind,
                        "rate": rate,
                    }
                    own = compare(data, x, args.procedure, kind, rate, number)
                    rows += [{**key, **one} for one in own]
                    print(key, number, file=sys.stderr, flush=True)
                    write_csv(draws.means(pd.DataFrame(rows), [*key, "method"]), args.out)


if __name__ == "__main__":
    run(main)
