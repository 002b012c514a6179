"""Ours against each peer, and against the best of them, from a benchmark's results."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks import ours, significance
from benchmarks.results import PERMUTED, Results
from benchmarks.scoring import POOLED

BEST = "best peer"
"""Of each pattern, fraction and seed, and by each metric, chosen with the truth in sight."""

COLUMNS = [
    *("pattern", "fraction", "peer", "metric", "ours", "theirs", "difference"),
    *("p", "p_holm", "verdict"),
]


def comparisons(results: Results) -> pd.DataFrame:
    """Every comparison of the table, Holm's correction over all of them.

    Returns
    -------
    A row per pattern, fraction, peer (`BEST` too) and metric of `significance.METRICS`: the means
    over attributes and seeds of both, ours - theirs, p, p_holm, verdict (of ours). No rows where
    ours or every peer is missing.
    """
    frame = results.frame()
    frame = frame[(frame["pattern"] != PERMUTED) & (frame["attribute"] != POOLED)]
    rows: list[dict] = []
    for (pattern, fraction), part in frame.groupby(["pattern", "fraction"], sort=False):
        seeds = [int(seed) for seed in part["seed"].unique()]
        draws = [results.draws((str(pattern), float(str(fraction)), seed)) for seed in seeds]
        common = set.intersection(*(set(one) for one in draws))
        peers = [name for name in part["method"].unique() if name in common - {ours.NAME}]
        if ours.NAME not in common or not peers:
            continue
        for number, metric in enumerate(significance.METRICS):
            table = part.pivot_table(metric, "seed", "method").reindex(index=seeds)
            if not {ours.NAME, *peers} <= set(table) or table.isna().to_numpy().any():
                continue  # no attribute has both classes hidden
            theirs_all = table[peers].to_numpy()
            place = (
                theirs_all.argmin if metric in significance.LOWER_IS_BETTER else theirs_all.argmax
            )
            best = [peers[number] for number in place(axis=1)]
            for peer in [*peers, BEST]:
                chosen = best if peer == BEST else [peer] * len(seeds)
                theirs = np.mean([table.loc[s, name] for s, name in zip(seeds, chosen)])
                mine = float(table[ours.NAME].mean())
                pairs = zip(draws, chosen)
                spread = np.mean([d[ours.NAME] - d[name] for d, name in pairs], axis=0)[:, number]
                key = {"pattern": pattern, "fraction": fraction, "peer": peer, "metric": metric}
                difference = mine - float(theirs)
                p = significance.p_value(difference, spread)
                rows.append(
                    {**key, "ours": mine, "theirs": theirs, "difference": difference, "p": p}
                )
    found = pd.DataFrame(rows, columns=COLUMNS)
    if rows:
        found["p_holm"] = significance.holm(found["p"].tolist())
        triples = zip(found["metric"], found["difference"], found["p_holm"])
        found["verdict"] = [significance.verdict(m, d, p) for m, d, p in triples]
    return found


def shares(frame: pd.DataFrame) -> pd.DataFrame:
    """In what share of cells ours is at least as good as each peer, and as the best of them.

    Parameters
    ----------
    frame : rows of `results.COLUMNS`, no permuted ones.

    Returns
    -------
    A row per peer (`BEST` too) and metric: ``tables`` and ``table share`` count hidden tables
    (pattern, fraction and seed; means over attributes), ``attributes`` and ``attribute share`` each
    attribute of each of them.
    """
    single = frame[frame["attribute"] != POOLED]
    keys = ["pattern", "fraction", "seed"]
    rows = []
    for metric in significance.METRICS:
        sign = -1 if metric in significance.LOWER_IS_BETTER else 1
        scores = sign * single.pivot_table(metric, [*keys, "attribute"], "method")
        if ours.NAME not in scores or scores.shape[1] < 2:
            continue
        levels = {"table": scores.groupby(level=keys).mean(), "attribute": scores}
        peers = [name for name in single["method"].unique() if name in set(scores) - {ours.NAME}]
        for peer in [*peers, BEST]:
            row: dict[str, object] = {"peer": peer, "metric": metric}
            for level, values in levels.items():
                theirs = values[peers].max(axis=1) if peer == BEST else values[peer]
                row[f"{level}s"] = len(values)
                row[f"{level} share"] = round(float((values[ours.NAME] >= theirs).mean()), 3)
            rows.append(row)
    return pd.DataFrame(rows)
