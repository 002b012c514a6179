"""python -m benchmarks.review_rounds: what labels bought in the order of the review list bring,
and whether what is expected of the cells that are left still covers the truth.

Hides known cells, fills the table, lets a person who knows the truth look at some cells, and fills
it again. ``cheap`` fills as the guarantees' cheap procedure does, ``whole`` by the imputation.
Orders: that of reports/review.csv (``list``), plain uncertainty of the probability, and chance.
Figures: share of right ones among all cells that were hidden, mean average precision on images
outside training (``cheap`` alone: it is the classifier, too), how often the intervals of expected
accuracy hold the accuracy of the cells that are left, what is expected of the whole table against
the truth, and how far the list is ahead of the other orders in the same draws. Every draw is a file
below the cache, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from benchmarks import datasets, draws, masks, ours
from benchmarks.guarantees import cheap
from pipeline.data.categories import attributes
from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.impute import audit, budget
from pipeline.impute.fill import Filled

ORDERS = ("list", "uncertainty", "chance")
PROCEDURES = ("cheap", "whole")
KEYS = ("data", "procedure", "rows", "hidden", "order", "bought")
AHEAD = {"accuracy": "list ahead", "map": "list ahead in map"}
"""Figure -> its difference to the list's in the same draw, at as many labels."""
ERRORS = ("accuracy", "map", "covered", *AHEAD.values())


def in_order(
    order: str, filled: Filled, shown: np.ndarray, fold: np.ndarray, layout: list, number: int
) -> np.ndarray:
    """The filled cells [m, 2], first ones first."""
    doubts, row = budget.doubts(filled, shown, fold, np.ones(shown.shape, dtype=bool), layout)
    cells = np.stack([row, doubts.attribute], axis=1)
    if order == "chance":
        return cells[np.random.default_rng([number, 4]).permutation(len(cells))]
    p = filled.probability[row, doubts.attribute]
    worth = doubts.rank if order == "list" else -np.abs(p - 0.5)
    return cells[np.argsort(-worth, kind="stable")]


def expected_of(
    filled: Filled,
    figures: pd.DataFrame,
    truth: np.ndarray,
    hidden: np.ndarray,
    looked: np.ndarray,
) -> dict[str, float]:
    """What is expected of the cells that are left, and of the table, against the truth.

    Parameters
    ----------
    figures : the audit, a row per attribute.
    truth : [N, A]; hidden : bool [N, A], cells that were unknown; looked : bool [N, A], those of
        them that a person looked at since.
    """
    left = hidden & ~looked
    judged = np.flatnonzero(figures["accuracy"].notna().to_numpy() & left.any(axis=0))
    expected, low, high = (
        figures[name].to_numpy(float)[judged]
        for name in ("accuracy", "accuracy_low", "accuracy_high")
    )
    right = filled.values == truth
    true = np.array([right[left[:, a], a].mean() for a in judged])
    count = left.sum(axis=0)[judged]
    known, cells = looked[:, judged].sum(), hidden[:, judged].sum()
    return {
        "covered": float(((low <= true) & (true <= high)).mean()),
        "true below": float((true < low).mean()),
        "true above": float((true > high).mean()),
        "expected": float(expected.mean()),
        "true": float(true.mean()),
        "table expected": float((known + expected @ count) / cells),
        "table true": float((known + true @ count) / cells),
    }


def rounds(
    data: datasets.Dataset,
    x: np.ndarray,
    procedure: str,
    rows: int,
    fraction: float,
    orders: Sequence[str],
    bought: Sequence[int],
    number: int,
) -> pd.DataFrame:
    """A row per order and number of labels of one draw of ``rows`` rows, 0 for all."""
    rng = np.random.default_rng([number, 3])
    chosen = np.sort(rng.permutation(len(x))[: rows or None])
    truth, x, features = data.labels[chosen], x[chosen], data.features[chosen]
    hidden = masks.hide(truth, "random", fraction, rng, data.brightness[chosen])
    layout = attributes(data.attributes, [])

    def fill(
        known: np.ndarray, looked: np.ndarray, fold: np.ndarray | None = None
    ) -> tuple[Filled, np.ndarray, pd.DataFrame]:
        if procedure == "whole":
            found = ours.impute(features, known, number, looked_at=looked, fold=fold)
            return found, found.fold, found.audit
        filled, fold, scores = cheap(x, known, number, looked_at=looked)
        return filled, fold, audit.table(data.attributes, known, fold, filled, scores, (number,))

    nobody = np.zeros(hidden.shape, dtype=bool)
    shown = np.where(hidden, np.nan, truth).astype(np.float32)
    first = fill(shown, nobody)
    found = []
    for order in orders:
        cells = in_order(order, first[0], shown, first[1], layout, number)
        for count in bought:
            known, looked = shown.copy(), nobody.copy()
            at = tuple(cells[:count].T)
            known[at], looked[at] = truth[at], True
            filled, fold, figures = fill(known, looked, first[1]) if count else first
            test = fold < 0
            right = (filled.values == truth) | looked
            ap = [
                average_precision_score(truth[test, a], filled.probability[test, a])
                for a in range(truth.shape[1])
                if 0 < truth[test, a].sum() < test.sum()
            ]
            found.append(
                {
                    "order": order,
                    "bought": count,
                    "accuracy": right[hidden].mean(),
                    "map": np.mean(ap) if ap else np.nan,
                    **expected_of(filled, figures, truth, hidden, looked),
                }
            )
    return pd.DataFrame(found)


def beside_list(frame: pd.DataFrame) -> pd.DataFrame:
    """One draw's `rounds` with how far the list is ahead of each order."""
    own = frame[frame["order"] == ORDERS[0]].set_index("bought")
    return frame.assign(
        **{name: frame["bought"].map(own[figure]) - frame[figure] for figure, name in AHEAD.items()}
    )


def main() -> None:
    parser = draws.parser("review_rounds", __doc__, 5)
    parser.add_argument("--procedure", choices=PROCEDURES, default=PROCEDURES[0])
    parser.add_argument("--rows", type=int, default=0, help="of the table in each draw; 0 = all")
    parser.add_argument("--fraction", type=float, default=0.5)
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=ORDERS)
    parser.add_argument("--bought", type=int, nargs="+", default=(0, 50, 100, 200, 400))
    args = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    parts = []
    for data, x in draws.tables(args):
        key = (args.procedure, args.rows, args.fraction, args.orders, args.bought)
        name = "-".join([data.name, *(str(one) for one in key[:3]), *args.orders])
        name += "-" + "-".join(map(str, args.bought))
        for number in range(args.draws):
            path = args.cache / "review_rounds" / f"{name}-{number}.csv"
            one = draws.kept(path, partial(rounds, data, x, *key, number))
            about = {"data": data.name, "procedure": args.procedure, "hidden": args.fraction}
            parts.append(beside_list(one).assign(**about, rows=args.rows or len(x)))
            found = draws.means(pd.concat(parts), KEYS, ERRORS)
            write_csv(draws.beside_others(found, KEYS, args.out), args.out)


if __name__ == "__main__":
    run(main)
