"""python -m benchmarks.guarantees: are the guarantees kept, over many draws of hidden cells?

Hides known cells, fills the table, and compares what is promised with what was hidden: bounded
errors, budgets of looks, shares with intervals. ``cheap`` fills with one logistic regression per
attribute on 60 components, so that hundreds of draws are affordable; ``whole`` runs the imputation.
Every draw is a file below the cache, so that an interrupted run goes on where it was; OUT.csv and
OUT.md have the means of all that are there.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from benchmarks import datasets, draws, masks, ours
from pipeline.data.categories import Attribute, attributes
from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.impute import budget, missingness, prevalence
from pipeline.impute.cross_fitting import cross_fit
from pipeline.impute.fill import Filled, fill_table
from pipeline.impute.learnable import assess
from pipeline.impute.promises import Promises, promise

LEVELS = (0.02, 0.05, 0.1)
TARGET = 0.05
LEAST_DRAWS = 20
"""Draws without which nothing is said of a share that is to be kept in the mean."""
KEYS = ["data", "procedure", "pattern", "hidden", "rows"]


def cheap(
    x: np.ndarray,
    shown: np.ndarray,
    seed: int,
    every: bool = False,
    looked_at: np.ndarray | None = None,
) -> tuple[Filled, np.ndarray, np.ndarray]:
    """A filled table, its folds, 30 % of the images outside training or none, and the scores
    [N, A] of every image by models without its fold."""
    logits, fold, alike = by_pictures(x, shown, seed, every)
    return filled_by(logits, shown, fold, seed, looked_at), fold, alike


def by_pictures(
    x: np.ndarray, shown: np.ndarray, seed: int, every: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores [N, A] that have not seen the label of their cell, folds [N] and, of all cells of an
    image alike, scores by models without its fold."""
    rng = np.random.default_rng([seed, 1])
    training = rng.random(len(x)) < (1 if every else 0.7)
    fold = np.where(training, rng.integers(0, 5, len(x)), -1)

    alike = np.zeros(shown.shape)

    def scores(a: int) -> np.ndarray:
        def fit_and_score(refit: int, fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
            model = LogisticRegression(C=0.05, max_iter=100).fit(x[fitted], shown[fitted, a])
            if (fold == refit).any():
                alike[fold == refit, a] = model.decision_function(x[fold == refit])
            return model.decision_function(x[scored])

        return cross_fit(shown[:, a], fold, fit_and_score)

    logits = np.stack([scores(a) for a in range(shown.shape[1])], axis=1)
    return logits, fold, alike


def filled_by(
    logits: np.ndarray,
    shown: np.ndarray,
    fold: np.ndarray,
    seed: int,
    looked_at: np.ndarray | None = None,
) -> Filled:
    """The table filled by scores [N, A]."""
    learnable = np.array([one.learnable for one in assess(logits, shown, fold, (seed,))])
    rules = ["prevalence"] * shown.shape[1]
    return fill_table(logits, shown, fold, learnable, "platt", rules, looked_at=looked_at)


def draw(
    data: datasets.Dataset, x: np.ndarray, args: argparse.Namespace, key: tuple
) -> pd.DataFrame:
    """What one draw of hidden cells shows: a row per attribute and figure."""
    pattern, fraction, rows, number = key
    rng = np.random.default_rng([number, 3])
    chosen = np.arange(len(x)) if not rows else np.sort(rng.permutation(len(x))[:rows])
    truth, x = data.labels[chosen], x[chosen]
    hidden = masks.hide(truth, pattern, fraction, rng, data.brightness[chosen])
    shown = np.where(hidden, np.nan, truth).astype(np.float32)
    layout = attributes(data.attributes, [])
    if args.procedure == "whole":
        filled = ours.impute(data.features[chosen], shown, number)
        fold, found = filled.fold, filled.promises
    else:
        filled, fold, alike = cheap(x, shown, number)
        tests = missingness.examine(x, shown, fold, data.attributes, (number,))
        withdrawn, weights = missingness.exchangeable(
            tests, x, alike, shown, fold, data.attributes, layout
        )
        found = promise(filled, shown, fold, layout, 0.05, withdrawn, weights)
    return pd.DataFrame(
        [
            *_promised(layout, filled, found, truth, hidden),
            *_budgets(layout, filled, found, shown, fold, truth),
            *_shares(layout, filled, found, shown, truth),
        ],
        columns=["attribute", "figure", "value"],
    )


def _promised(
    layout: list[Attribute], filled: Filled, found: Promises, truth: np.ndarray, hidden: np.ndarray
) -> list[tuple]:
    out = []
    for one in layout:
        a = one.start
        out.append((one.name, "withdrawn", float(one.name in found.withdrawn)))
        for value in (1, 0):
            cells = hidden[:, a] & (filled.values[:, a] == value)
            if np.isnan(found.q_value[cells, a]).all():
                continue
            for level in LEVELS:
                kept = cells & (found.q_value[:, a] <= level)
                wrong = (truth[kept, a] != value).mean() if kept.any() else 0.0
                out.append((f"{one.name}: {value}", f"wrong at {level:g}", wrong))
                out.append(
                    (f"{one.name}: {value}", f"filled at {level:g}", kept.sum() / cells.sum())
                )
    return out


def _budgets(
    layout: list[Attribute],
    filled: Filled,
    found: Promises,
    shown: np.ndarray,
    fold: np.ndarray,
    truth: np.ndarray,
) -> list[tuple]:
    every = np.ones(shown.shape, dtype=bool)
    doubts, row = budget.doubts(filled, shown, fold, every, layout)
    bounded = [i for i, one in enumerate(layout) if one.name not in found.withdrawn]
    wrong = filled.values[row, doubts.attribute] != truth[row, doubts.attribute]
    wrong &= ~np.isnan(truth[row, doubts.attribute])
    out = []
    for name, numbers in [("", bounded), *((layout[i].name, [i]) for i in bounded)]:
        own = np.isin(doubts.attribute, numbers)
        part = doubts.of(numbers)
        curve = budget.curve(part, TARGET)
        if curve.enough is None or not own.any():
            continue
        left = np.argsort(-part.rank, kind="stable")[curve.enough :]
        kind = "budget of an attribute" if name else "budget of the table"
        out.append((name, f"{kind}: fails", float(wrong[own][left].sum() > TARGET * own.sum())))
        out.append((name, f"{kind}: looked at", curve.enough / own.sum()))
        # In random order the bound falls in proportion to the cells not looked at.
        high = float(curve.wrong_left_high[0]) if curve.looked_at[0] == 0 else 1.0
        out.append((name, f"{kind}: random order", max(0.0, 1 - TARGET / max(high, 1e-9))))
        out.append((name, f"{kind}: wrong before", float(wrong[own].mean())))
    return out


def _shares(
    layout: list[Attribute], filled: Filled, found: Promises, shown: np.ndarray, truth: np.ndarray
) -> list[tuple]:
    out = []
    for one in layout:
        a = one.start
        cells = ~np.isnan(truth[:, a])
        known = ~np.isnan(shown[:, a])
        rest = cells & ~known
        share, p = truth[cells, a].mean(), filled.probability[:, a]
        if one.name in found.withdrawn or not rest.any():
            continue
        learnable = float(filled.learnable[a])
        best = prevalence.share(shown[known, a], p[known], p[rest], learnable)
        alone = prevalence.share(shown[known, a], p[known], p[rest], 0.0)
        for name, got in (("ppi", best), ("known", alone)):
            inside = got.low - 1e-9 <= share <= got.high + 1e-9
            out.append((one.name, f"share by {name}: covered", float(inside)))
            out.append((one.name, f"share by {name}: width", got.high - got.low))
        # The half width is 1.96 standard errors.
        error = (alone.high - alone.low) / 3.92
        for name, got in (
            ("count", (filled.values[cells, a] == 1).mean()),
            ("sum", p[rest].sum() / cells.sum() + shown[known, a].sum() / cells.sum()),
            ("ppi", best.estimate),
            ("known", alone.estimate),
        ):
            out.append((one.name, f"share by {name}: off", abs(got - share) / max(error, 1e-9)))
    return out


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per table and way of hiding: means over draws and attributes, and how many of the
    attributes' filled values have a mean share of wrong cells above the level by two standard
    errors."""
    rows = []
    for key, part in frame.groupby(KEYS, sort=False):
        row: dict[str, object] = dict(zip(KEYS, key))
        row["draws"] = part["draw"].nunique()
        by_figure = part.groupby("figure")["value"].mean()
        for level in LEVELS:
            wrong = part[part["figure"] == f"wrong at {level:g}"].groupby("attribute")["value"]
            means, errors = wrong.mean(), wrong.std().fillna(0) / np.sqrt(wrong.count())
            row[f"wrong at {level:g}"] = means.mean()
            row[f"worst at {level:g}"] = means.max()
            row[f"above {level:g}"] = f"{int((means > level + 2 * errors).sum())} of {len(means)}"
            row[f"filled at {level:g}"] = by_figure.get(f"filled at {level:g}", np.nan)
        names = [f for f in by_figure.index if f.startswith(("budget", "share", "withdrawn"))]
        row |= {name: by_figure[name] for name in names}
        if "share by ppi: width" in by_figure:
            row["width, ppi / known"] = (
                by_figure["share by ppi: width"] / by_figure["share by known: width"]
            )
        rows.append(row)
    return pd.DataFrame(rows)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guarantees", description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="binary or categorical table")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--weights", required=True, help="imagenet, random or a weights file")
    parser.add_argument("--at-least", type=int, default=100, help="rows for and against a value")
    parser.add_argument("--procedure", choices=("cheap", "whole"), default="cheap")
    parser.add_argument("--patterns", nargs="+", choices=masks.PATTERNS, default=("random",))
    parser.add_argument("--fractions", type=float, nargs="+", default=(0.3, 0.5, 0.8))
    parser.add_argument("--rows", type=int, nargs="+", default=(0,), help="of the table; 0 = all")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True, help="path without a suffix")
    parser.add_argument("--cache", type=Path, default=datasets.CACHE)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    data = datasets.load(
        args.labels, args.images, weights=args.weights, at_least=args.at_least, cache=args.cache
    )
    x = draws.components(data.features)
    folder = args.cache / "guarantees"
    keys = [
        (pattern, fraction, rows, number)
        for number in range(args.draws)
        for pattern in args.patterns
        for fraction in args.fractions
        for rows in args.rows
    ]
    for pattern, fraction, rows, number in keys:
        path = folder / f"{data.name}-{args.procedure}-{pattern}-{fraction:g}-{rows}-{number}.csv"
        about = {
            "data": data.name, "procedure": args.procedure, "pattern": pattern, "hidden": fraction,
            "rows": rows or len(data.images), "draw": number,
        }  # fmt: skip
        key = (pattern, fraction, rows, number)
        draws.kept(path, lambda key=key, about=about: draw(data, x, args, key).assign(**about))
    every = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("*.csv"))])
    found = summary(every).sort_values(KEYS).round(4)
    found = found[found["draws"] >= LEAST_DRAWS]
    write_csv(found, args.out.with_suffix(".csv"))


if __name__ == "__main__":
    run(main)
