"""python -m benchmarks.guarantees: are the guarantees kept, over many draws of hidden cells?

Hides known cells, fills the table, and compares what is promised with what was hidden: bounded
errors, budgets of looks, shares with intervals, expected accuracy. ``cheap`` fills with one
logistic regression per attribute on 60 components, so that hundreds of draws are affordable;
``whole`` runs the imputation. ``--turned`` turns a share of the labels that stay known: what is
promised by wrong labels is compared with the true ones. Every draw is a file below the cache, so
that an interrupted run goes on where it was; OUT.csv gets the means of all that are there, and
keeps its rows of others.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from benchmarks import datasets, draws, masks, ours
from pipeline.data.categories import Attribute, attributes, chosen
from pipeline.data.categories import truth as value_of
from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.impute import audit, budget, categorical, missingness, prevalence
from pipeline.impute.cross_fitting import cross_fit
from pipeline.impute.fill import Filled, fill_table
from pipeline.impute.learnable import assess
from pipeline.impute.promises import Promises, groups, promise

LEVELS = (0.02, 0.05, 0.1)
TARGET = 0.05
LEAST_DRAWS = 20
"""Draws without which nothing is said of a share that is to be kept in the mean."""
ACCURACY = ("accuracy", "accuracy_low", "accuracy_high")
"""Of the audit."""
KEYS = ["data", "procedure", "pattern", "turned", "hidden", "rows"]


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


def right(filled: Filled, truth: np.ndarray, layout: list[Attribute]) -> np.ndarray:
    """[N, attributes]: 1 where a cell has its true value, 0 where another, NaN where that is
    unknown."""
    columns = []
    for one in layout:
        values, true = (x[:, one.start : one.stop] for x in (filled.values, truth))
        same = chosen(values) == value_of(true) if one.values else (values == true)[:, 0]
        columns.append(np.where(np.isnan(true[:, 0]), np.nan, same))
    return np.stack(columns, axis=1)


def draw(
    data: datasets.Dataset, x: np.ndarray, args: argparse.Namespace, key: tuple
) -> pd.DataFrame:
    """What one draw of hidden cells shows: a row per attribute and figure."""
    pattern, fraction, rows, number = key
    rng = np.random.default_rng([number, 3])
    some = np.arange(len(x)) if not rows else np.sort(rng.permutation(len(x))[:rows])
    truth, x = data.labels[some], x[some]
    layout = attributes(data.attributes, data.categories)
    hidden = masks.hide_attributes(truth, layout, pattern, fraction, rng, data.brightness[some])
    wrong = masks.turned(truth, "even", args.turned, rng) if args.turned else False
    shown = np.where(hidden, np.nan, np.where(wrong, 1 - truth, truth)).astype(np.float32)
    if args.procedure == "whole":
        filled = ours.impute(data.features[some], shown, number, categories=data.categories)
        fold, found, figures = filled.fold, filled.promises, filled.audit
    else:
        filled, fold, alike = cheap(x, shown, number)
        filled = categorical.joined(filled, shown, fold, data.categories)
        tests = missingness.examine(x, shown, fold, data.attributes, (number,))
        withdrawn, weights = missingness.exchangeable(
            tests, x, alike, shown, fold, data.attributes, layout
        )
        found = promise(filled, shown, fold, layout, 0.05, withdrawn, weights)
        figures = audit.table(data.attributes, shown, fold, filled, alike, (number,))
    one = Drawn(layout, filled, found, shown, truth, fold, right(filled, truth, layout))
    return pd.DataFrame(
        [*_promised(one), *_budgets(one), *_shares(one), *_expected(one, figures)],
        columns=["attribute", "figure", "value"],
    )


@dataclass(frozen=True)
class Drawn:
    """A filled table, what is promised of it, and the truth.

    shown, truth : [N, A] of 1, 0, NaN; fold : [N]; same : [N, attributes], see `right`.
    """

    layout: list[Attribute]
    filled: Filled
    promises: Promises
    shown: np.ndarray
    truth: np.ndarray
    fold: np.ndarray
    same: np.ndarray


def _promised(drawn: Drawn) -> list[tuple]:
    withdrawn = drawn.promises.withdrawn
    out = [(one.name, "withdrawn", float(one.name in withdrawn)) for one in drawn.layout]
    place = {one.name: i for i, one in enumerate(drawn.layout)}
    for group in groups(drawn.filled, drawn.shown, drawn.fold, drawn.layout):
        known = drawn.same[group.unknown, place[group.attribute.name]]
        cells, known = group.unknown[~np.isnan(known)], known[~np.isnan(known)]
        q_value = drawn.promises.q_value[cells, group.attribute.start]
        if np.isnan(q_value).all():
            continue
        for level in LEVELS:
            kept = q_value <= level
            wrong = 1 - known[kept].mean() if kept.any() else 0.0
            name = f"{group.attribute.name}: {group.value}"
            out.append((name, f"wrong at {level:g}", wrong))
            out.append((name, f"filled at {level:g}", kept.mean()))
    return out


def _budgets(drawn: Drawn) -> list[tuple]:
    layout, withdrawn = drawn.layout, drawn.promises.withdrawn
    every = np.ones(drawn.shown.shape, dtype=bool)
    doubts, row = budget.doubts(drawn.filled, drawn.shown, drawn.fold, every, layout)
    bounded = [i for i, one in enumerate(layout) if one.name not in withdrawn]
    wrong = drawn.same[row, doubts.attribute] == 0
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


def _shares(drawn: Drawn) -> list[tuple]:
    filled, shown, truth = drawn.filled, drawn.shown, drawn.truth
    out = []
    for one in drawn.layout:
        learnable = float(filled.learnable[one.start : one.stop].any())
        for a, value in enumerate(one.values or ("1",), start=one.start):
            cells = ~np.isnan(truth[:, a])
            known = ~np.isnan(shown[:, a])
            rest = cells & ~known
            if one.name in drawn.promises.withdrawn or not rest.any():
                continue
            name, p = f"{one.name}: {value}", filled.probability[:, a]
            share = truth[cells, a].mean()
            best = prevalence.share(shown[known, a], p[known], p[rest], learnable)
            alone = prevalence.share(shown[known, a], p[known], p[rest], 0.0)
            for way, got in (("ppi", best), ("known", alone)):
                inside = got.low - 1e-9 <= share <= got.high + 1e-9
                out.append((name, f"share by {way}: covered", float(inside)))
                out.append((name, f"share by {way}: width", got.high - got.low))
            # The half width is 1.96 standard errors.
            error = (alone.high - alone.low) / 3.92
            for way, mean in (
                ("count", (filled.values[cells, a] == 1).mean()),
                ("sum", p[rest].sum() / cells.sum() + shown[known, a].sum() / cells.sum()),
                ("ppi", best.estimate),
                ("known", alone.estimate),
            ):
                out.append((name, f"share by {way}: off", abs(mean - share) / max(error, 1e-9)))
    return out


def _expected(drawn: Drawn, figures: pd.DataFrame) -> list[tuple]:
    """Of binary attributes: the audit has a row for each column."""
    out = []
    for i, one in enumerate(drawn.layout):
        same = drawn.same[np.isnan(drawn.shown[:, one.start]), i]
        of_cells = same[~np.isnan(same)]
        expected, low, high = figures.loc[one.start, list(ACCURACY)].to_numpy(float)
        if one.values or np.isnan(expected) or not len(of_cells):
            continue
        inside = low <= of_cells.mean() <= high
        for name, value in (
            *(("expected", expected), ("true", of_cells.mean()), ("covered", float(inside))),
        ):
            out.append((one.name, f"accuracy: {name}", value))
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
        names = [
            f for f in by_figure.index if f.startswith(("accuracy", "budget", "share", "withdrawn"))
        ]
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
    parser.add_argument(
        "--categorical", action="store_true", help="keep columns of several values as attributes"
    )
    parser.add_argument("--procedure", choices=("cheap", "whole"), default="cheap")
    parser.add_argument("--patterns", nargs="+", choices=masks.PATTERNS, default=("random",))
    parser.add_argument("--turned", type=float, default=0.0, help="share of known labels")
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
        args.labels,
        args.images,
        weights=args.weights,
        at_least=args.at_least,
        categorical=args.categorical,
        cache=args.cache,
    )
    name = f"{data.name}, categorical" if data.categories else data.name
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
        parts = [name, args.procedure, pattern, f"{fraction:g}", rows, number]
        parts += ["turned", f"{args.turned:g}"] if args.turned else []
        path = folder / f"{'-'.join(map(str, parts))}.csv"
        about = {
            "data": name, "procedure": args.procedure, "pattern": pattern, "turned": args.turned,
            "hidden": fraction, "rows": rows or len(data.images), "draw": number,
        }  # fmt: skip
        key = (pattern, fraction, rows, number)
        draws.kept(path, lambda key=key, about=about: draw(data, x, args, key).assign(**about))
    every = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("*.csv"))])
    found = summary(every).round(4)
    found = found[found["draws"] >= LEAST_DRAWS]
    out = args.out.with_suffix(".csv")
    write_csv(draws.beside_others(found, KEYS, out).sort_values(KEYS), out)


if __name__ == "__main__":
    run(main)
