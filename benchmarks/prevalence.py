"""python -m benchmarks.prevalence: are shares with intervals those of ppi-python?

Draws tables whose images have an attribute with a chance that predictions know more or less of, and
asks `pipeline.impute.prevalence` and ``ppi_py`` (``pip install ppi-python``, part of no extra) for
its share. The package speaks of the population behind the table and not of the table: what it lacks
is that known cells are counted, so that its standard errors have the table's own sampling in them.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.impute.prevalence import share

SIZES = ((50, 50), (200, 800), (900, 900), (1400, 600))
SLOPES = (0.0, 1.0, 4.0)
KEYS = ["known", "unknown", "slope"]


def compare(known: int, unknown: int, slope: float, rng: np.random.Generator) -> dict[str, float]:
    """One draw: the difference of estimates in standard errors, at our lambda and at the package's,
    our standard error with the table's sampling by the package's, and which intervals hold."""
    from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

    z = slope * rng.normal(size=known + unknown) - 1
    truth = (rng.random(len(z)) < expit(z)).astype(float)
    y, f, rest = truth[:known], expit(0.8 * z[:known]), expit(0.8 * z[known:])
    ours = share(y, f, rest)
    weight = ours.weight * unknown / len(z)
    low, high = (float(end[0]) for end in ppi_mean_ci(y, f, rest, alpha=0.05, lam=weight))
    theirs = (high - low) / 2 / norm.ppf(0.975)
    population = np.sqrt(ours.error**2 + y.mean() * (1 - y.mean()) / len(z))
    at_ours = float(np.ravel(ppi_mean_pointestimate(y, f, rest, lam=weight))[0])
    at_theirs = float(np.ravel(ppi_mean_pointestimate(y, f, rest))[0])
    return {
        "off at our lambda": abs(ours.estimate - at_ours) / theirs,
        "off at its lambda": abs(ours.estimate - at_theirs) / theirs,
        "error by its": population / theirs,
        "covered": float(ours.low - 1e-12 <= truth.mean() <= ours.high + 1e-12),
        "covered by its": float(low <= truth.mean() <= high),
        "width by its": (ours.high - ours.low) / (high - low),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prevalence", description=__doc__)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    args = parser.parse_args()
    rows = []
    for (known, unknown), slope in product(SIZES, SLOPES):
        rng = np.random.default_rng([known, unknown, int(slope)])
        for _ in range(args.draws):
            key = {"known": known, "unknown": unknown, "slope": slope}
            rows.append({**key, **compare(known, unknown, slope, rng)})
    groups = pd.DataFrame(rows).groupby(KEYS, sort=False)
    found = groups.mean()
    found.insert(0, "draws", groups.size())
    write_csv(found.reset_index().round(4), args.out)


if __name__ == "__main__":
    run(main)
