"""python -m benchmarks.chance: how often the normal tail calls a coin learnable.

In a table of many attributes a small p-value comes from a normal tail, not from permutations: see
`pipeline.impute.learnable`. Here labels are coins, scores are those of ridge regressions on
features that say nothing, out of fold as in stage impute, and every p-value at or below the level
of one attribute among A is a false alarm. Writes benchmarks/chance.csv.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import beta, norm, rankdata

from pipeline.files import write_csv
from pipeline.impute.learnable import DEPENDENCE, ERROR_RATE, lacking

RESULT = Path("benchmarks/chance.csv")
ROWS, SHARES = (100, 500), (0.5, 0.1)
ATTRIBUTES = (41, 300, 1000)
COINS = 60_000
"""Of each number of rows and share of positives."""
FOLDS, FEATURES, PENALTY = 5, 40, 100.0
TABLES = 300
"""Coins that share features."""


def tails(rows: int, share: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """p-values by the normal tail of `TABLES` coins that the features do not show."""
    x = rng.normal(size=(rows, FEATURES))
    labels = (rng.random((rows, TABLES)) < share).astype(float)
    fold = np.arange(rows) % FOLDS
    scores = np.empty(labels.shape)
    for k in range(FOLDS):
        own, rest = fold == k, fold != k
        gram = x[rest].T @ x[rest] + PENALTY * np.eye(FEATURES)
        centre = labels[rest].mean(axis=0)
        scores[own] = x[own] @ np.linalg.solve(gram, x[rest].T @ (labels[rest] - centre)) + centre
    kept = [a for a in range(TABLES) if lacking(labels[:, a]) is None]
    rank = rankdata(scores[:, kept], axis=0)
    above, variance = np.zeros(len(kept)), np.zeros(len(kept))
    for k in range(FOLDS):
        own, y = rank[fold == k], labels[fold == k][:, kept]
        size, positive = len(own), y.sum(axis=0)
        above += (own * y).sum(axis=0) - positive * own.mean(axis=0)
        variance += positive * (1 - positive / size) * own.var(axis=0) * size / (size - 1)
    # Without spread, where all positives are of one fold, nothing is told from chance.
    spread = np.sqrt(DEPENDENCE * np.maximum(variance, 1e-12))
    return np.asarray(norm.sf(np.where(variance > 0, above / spread, 0.0)))


def main() -> None:
    found = []
    for rows in ROWS:
        for share in SHARES:
            rng = np.random.default_rng([rows, int(100 * share)])
            p = np.concatenate([tails(rows, share, rng) for _ in range(COINS // TABLES)])
            for count in ATTRIBUTES:
                level = ERROR_RATE / count
                alarms = int((p <= level).sum())
                found.append(
                    {
                        "rows": rows,
                        "positives": share,
                        "attributes": count,
                        "level": level,
                        "coins": len(p),
                        "alarms": alarms,
                        "rate": alarms / len(p),
                        "rate_at_most": beta.ppf(0.95, alarms + 1, len(p) - alarms),
                        "any_in_a_table": 1 - (1 - alarms / len(p)) ** count,
                    }
                )
    frame = pd.DataFrame(found)
    write_csv(frame.round(7), RESULT)
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
