"""python -m benchmarks.decisions: two rules by which a calibrated probability becomes 1 or 0.

``expected``: as many 1s as the probabilities lead one to expect, the most probable cells first
(`impute.threshold: prevalence`). ``each cell``: the more probable value of every cell. Hides known
cells, fills them as the guarantees' cheap procedure does, and compares on hidden cells of learnable
attributes: accuracy, MCC, and how far the count of 1s is off.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from benchmarks import datasets, draws, masks
from benchmarks.guarantees import cheap
from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.metrics.scores import mcc

RULES = ("expected", "each cell")


def figures(y: np.ndarray, decided: np.ndarray) -> dict[str, float]:
    """Of hidden cells [n]: accuracy, MCC, and the count's error as a share of the cells."""
    counts = [((decided == d) & (y == t)).sum() for d, t in ((1, 1), (1, 0), (0, 0), (0, 1))]
    return {
        "accuracy": float((decided == y).mean()),
        "mcc": float(mcc(*counts)),
        "count off": abs(float(decided.mean() - y.mean())),
    }


def compare(data: datasets.Dataset, x: np.ndarray, fraction: float, number: int) -> pd.DataFrame:
    """A row per learnable attribute and rule."""
    rng = np.random.default_rng([number, 3])
    hidden = masks.hide(data.labels, "random", fraction, rng, data.brightness)
    shown = np.where(hidden, np.nan, data.labels).astype(np.float32)
    filled, _, _ = cheap(x, shown, number)
    rows = []
    for a in np.flatnonzero(filled.learnable & hidden.any(axis=0)):
        cells = hidden[:, a]
        y, p = data.labels[cells, a], filled.probability[cells, a]
        for rule, decided in zip(RULES, (filled.values[cells, a] == 1, p >= 0.5)):
            own = figures(y, decided.astype(float))
            rows.append(
                {"attribute": data.attributes[a], "rule": rule, "share of 1": y.mean(), **own}
            )
    return pd.DataFrame(rows).assign(data=data.name, hidden=fraction, draw=number)


def main() -> None:
    parser = draws.parser("decisions", __doc__, 5)
    parser.add_argument("--fractions", type=float, nargs="+", default=(0.3, 0.8))
    args = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    parts = []
    for data, x in draws.tables(args):
        for number in range(args.draws):
            parts += [compare(data, x, fraction, number) for fraction in args.fractions]
            means = (
                pd.concat(parts)
                .groupby(["data", "hidden", "rule"])[["accuracy", "mcc", "count off"]]
                .mean()
            )
            write_csv(means.reset_index().round(4), args.out)


if __name__ == "__main__":
    run(main)
