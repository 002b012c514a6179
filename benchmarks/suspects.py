"""python -m benchmarks.suspects: are wrong labels found, and are they counted?

Turns known labels, every class alike (``even``) or 1s three times as often as 0s (``ones``), and
ranks all known labels by how likely they are to be wrong: ours (`pipeline.impute.suspects`),
cleanlab's multi-label quality scores on the same held-out probabilities and on those of a plain
logistic regression of the picture, and the agreement of the ten nearest neighbours. ``cheap``
scores by that regression and, where that predicts better, by two of the imputation's models that
read the image's other labels; ``whole`` runs the imputation. Needs ``pip install cleanlab``, which
is AGPL and part of no extra. cleanlab knows no unknown cells: nothing is hidden here.
"""

from __future__ import annotations

import logging
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors

from benchmarks import datasets, draws, masks, ours
from benchmarks.guarantees import by_pictures, filled_by
from pipeline.data.categories import attributes
from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.impute import suspects
from pipeline.impute.cross_fitting import fold_count
from pipeline.impute.fill import Filled
from pipeline.impute.label_models import LABEL_MODELS, Inputs
from pipeline.impute.stacking import cross_stack, worth_it

NEIGHBOURS = 10
READING = ("chain", "shrunk chain")
"""Models that read labels, of ``cheap``."""
KEYS = ("data", "procedure", "turned", "rate", "method")
ERRORS = ("average precision",)


def cheap(x: np.ndarray, given: np.ndarray, seed: int) -> tuple[Filled, np.ndarray, Filled]:
    """The table filled by pictures and labels, with its scores, and by pictures alone.

    Models that read labels take the pictures' held-out scores for those of every refit, which saves
    most of the time and costs them some accuracy.
    """
    pictures, fold, _ = by_pictures(x, given, seed, every=True)
    refits = np.broadcast_to(pictures, (fold_count(fold) + 1, *pictures.shape))
    inputs = Inputs(x, refits, given, fold, (seed,))
    candidates = {"pictures": pictures}
    for name in READING:
        model = LABEL_MODELS[name](inputs)
        columns = [model(inputs, given, a) for a in range(given.shape[1])]
        candidates[name] = np.stack(columns, axis=1)
    stacked = cross_stack(candidates, given, fold).logits
    plain = filled_by(pictures, given, fold, seed)
    if not worth_it(stacked, pictures, given, fold):
        return plain, pictures, plain
    return filled_by(stacked, given, fold, seed), stacked, plain


def compare(
    data: datasets.Dataset, x: np.ndarray, procedure: str, kind: str, rate: float, number: int
) -> list[dict]:
    """A row per way of ranking."""
    rng = np.random.default_rng([number, 9])
    whole = ~np.isnan(data.labels).any(axis=1)
    truth, x = data.labels[whole], x[whole]
    flipped = masks.turned(truth, kind, rate, rng)
    given = np.where(flipped, 1 - truth, truth).astype(np.float32)
    if procedure == "whole":
        filled = ours.impute(data.features[whole], given, number)
        scores = filled.scores
        pictures, fold, _ = by_pictures(x, given, number, every=True)
        plain = filled_by(pictures, given, fold, number)
    else:
        filled, scores, plain = cheap(x, given, number)
    found, noise = suspects.find(
        *(filled, scores, given, [str(i) for i in range(len(given))], ["train"] * len(given)),
        *(attributes(data.attributes, []), np.zeros(given.shape, dtype=bool)),
        all_of_them=True,
    )
    place = {name: a for a, name in enumerate(data.attributes)}
    at = found["image"].astype(int).to_numpy(), found["attribute"].map(place).to_numpy()
    wrong = np.zeros(given.shape)
    wrong[at] = found["wrong_probability"]
    near = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(x).kneighbors(return_distance=True)[1]
    agree = (given[near[:, 1:]] == given[:, None, :]).mean(axis=1)
    ways = {
        "ours": (wrong, noise["wrong"].sum()),
        "cleanlab": cleanlab(given, filled.probability),
        "cleanlab, plain logistic": cleanlab(given, plain.probability),
        "neighbours": (1 - agree, np.nan),
    }
    rows = [{"method": name, **figures(flipped, *way)} for name, way in ways.items()]
    called = flipped[at][(found["called"] == "yes").to_numpy()]
    inside = [
        row["wrong_low"] - 0.5
        <= flipped[:, place[row["attribute"]]].sum()
        <= row["wrong_high"] + 0.5
        for _, row in noise.dropna().iterrows()
    ]
    rows[0] |= {
        "counted low": noise["wrong_low"].sum(),
        "counted high": noise["wrong_high"].sum(),
        "attributes inside": np.mean(inside) if inside else np.nan,
        "called": len(called),
        "called right": called.mean() if len(called) else np.nan,
    }
    return rows


def cleanlab(given: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, float]:
    """cleanlab's doubt [N, A] in each label, and how many it takes for wrong."""
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
    from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class

    listed = [np.flatnonzero(row).tolist() for row in given == 1]
    quality = get_label_quality_scores_per_class(listed, probability)
    issues = find_multilabel_issues_per_class(listed, probability)
    return 1 - np.asarray(quality), float(np.asarray(issues).sum())


def figures(flipped: np.ndarray, doubt: np.ndarray, count: float) -> dict[str, float]:
    """Of one ranking: how well it finds the turned labels, and how many it says there are.

    A person goes through a list one by one, so equal cells are in random order; left equal, a
    column of which nothing is known would have the precision at its end for all of its cells.
    """
    own = {"wrong": float(flipped.sum()), "counted": count, "average precision": np.nan}
    by_chance = np.random.default_rng(flipped.size).random(flipped.size)
    order = np.lexsort([by_chance, -doubt.ravel()])
    found = flipped.ravel()[order]
    if flipped.any():
        own["average precision"] = average_precision_score(found, -np.arange(len(found)))
    if flipped.any() and not np.isnan(count):
        own["precision at the count"] = found[: max(1, round(count))].mean()
    return own


def main() -> None:
    parser = draws.parser("suspects", __doc__, 3)
    parser.add_argument("--rates", type=float, nargs="+", default=(0.0, 0.02, 0.05, 0.1, 0.2))
    parser.add_argument("--kinds", nargs="+", choices=masks.KINDS, default=masks.KINDS)
    parser.add_argument("--procedure", choices=("cheap", "whole"), default="cheap")
    args = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    folder, rows = args.cache / "suspects", []
    for data, x in draws.tables(args):
        for number, kind, rate in product(range(args.draws), args.kinds, args.rates):
            if kind != masks.KINDS[0] and not rate:
                continue
            key = {"data": data.name, "procedure": args.procedure, "turned": kind, "rate": rate}
            path = folder / f"{data.name}-{args.procedure}-{kind}-{rate:g}-{number}.csv"
            draw = partial(compare, data, x, args.procedure, kind, rate, number)
            own = draws.kept(path, lambda draw=draw, key=key: pd.DataFrame(draw()).assign(**key))
            rows.append(own)
            found = draws.means(pd.concat(rows), KEYS, ERRORS)
            write_csv(draws.beside_others(found, KEYS, args.out), args.out)


if __name__ == "__main__":
    run(main)
