"""python -m benchmarks.imputation: hide known cells, fill them with every method, compare.

Writes OUT.csv (a row per pattern, fraction, seed, method and attribute), OUT_comparisons.csv and
OUT.md. A run that is interrupted goes on with --resume.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import datasets, imputation_report, masks, ours, scoring, significance
from benchmarks.peers import PEERS
from benchmarks.results import PERMUTED, Cell, Results
from pipeline.errors import run

PERMUTED_FRACTION = 0.3


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imputation", description=__doc__)
    datasets.add_options(parser)
    parser.add_argument("--precision", default="bfloat16", choices=("float32", "bfloat16", "int8"))
    parser.add_argument("--fractions", type=float, nargs="+", default=(0.1, 0.3, 0.5, 0.8, 0.9))
    parser.add_argument("--patterns", nargs="+", choices=masks.PATTERNS, default=("random",))
    parser.add_argument("--seeds", type=int, default=3, help="masks per pattern and fraction")
    names = (ours.NAME, *PEERS)
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    parser.add_argument("--permutations", type=int, default=0, metavar="K")
    parser.add_argument("--draws", type=int, default=significance.DRAWS, help="of the bootstrap")
    parser.add_argument("--out", type=Path, required=True, help="path without a suffix")
    parser.add_argument("--resume", action="store_true", help="keep what an earlier run wrote")
    return parser.parse_args(argv)


def compare(
    data: datasets.Dataset, cell: Cell, methods: list[str], weights: np.ndarray
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """One cell of the matrix: hide, fill and score with every method.

    Parameters
    ----------
    weights : [draws, N] of `significance.image_weights`.

    Returns
    -------
    Rows of `results.COLUMNS`, and the bootstrap draws [draws, metrics] of each method.
    """
    pattern, fraction, seed = cell
    truth = data.labels
    rng = np.random.default_rng(seed)
    hidden = masks.hide(truth, pattern, fraction, rng, data.brightness)
    shown = np.where(hidden, np.nan, truth).astype(np.float32)
    rows, draws = [], {}
    for method in methods:
        started = time.perf_counter()
        setting = ""
        if method == ours.NAME:
            imputation = ours.impute(data.features, shown, seed)
            probability = np.asarray(imputation.probability, dtype=np.float64)
            decided = np.asarray(imputation.values) == 1
        else:
            prediction = PEERS[method](data.features, shown, seed)
            probability, setting = prediction.probability, prediction.setting
            decided = probability >= prediction.threshold
        seconds = time.perf_counter() - started
        scores = scoring.score(data.attributes, truth, hidden, probability, decided)
        if method == ours.NAME:
            promises = ours.promises(data.attributes, truth, hidden, imputation)
            scores = scores.merge(promises, on="attribute", how="left")
        rows.append(scores.assign(method=method, setting=setting, seconds=round(seconds, 2)))
        draws[method] = significance.draw_scores(truth, hidden, probability, decided, weights)
        mean = scores.iloc[:-1][["auc", "ap", "mcc", "brier"]].mean()
        shown_mean = ", ".join(f"{name} {value:.4f}" for name, value in mean.items())
        print(f"  {method}: {shown_mean}, {seconds:.1f} s {setting}", file=sys.stderr, flush=True)
    return pd.concat(rows, ignore_index=True), draws


def main() -> None:
    args = arguments()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    data = datasets.load(
        args.labels,
        args.images,
        backbone=args.backbone,
        weights=args.weights,
        image_size=tuple(args.image_size),
        precision=args.precision,
        at_least=args.at_least,
        cache=args.cache,
    )
    results = Results(args.out, args.cache / "draws" / args.out.name, resume=args.resume)
    weights = significance.image_weights(len(data.images), args.draws)
    done = results.done()
    matrix = [(p, f, s) for p in args.patterns for f in args.fractions for s in range(args.seeds)]
    for number, cell in enumerate(matrix, start=1):
        print(f"{number}/{len(matrix)}: {cell}", file=sys.stderr, flush=True)
        if cell not in done:
            results.add(cell, *compare(data, cell, list(args.methods), weights))
            imputation_report.write(data, results, args.out)
    for number in range(args.permutations if ours.NAME in args.methods else 0):
        cell = (PERMUTED, PERMUTED_FRACTION, number)
        print(f"permutation {number + 1}/{args.permutations}", file=sys.stderr, flush=True)
        if cell not in done:
            flags = ours.learnable_without_signal(
                data.features, data.labels, data.attributes, number, PERMUTED_FRACTION
            )
            results.add(cell, flags.assign(method=ours.NAME), {})
    imputation_report.write(data, results, args.out)


if __name__ == "__main__":
    run(main)
