"""The tables of an imputation benchmark as Markdown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import ours, verdicts
from benchmarks.datasets import Dataset
from benchmarks.readme import table
from benchmarks.results import PERMUTED, Results
from benchmarks.scoring import POOLED
from pipeline.files import write_csv
from pipeline.report.machine import machine

CELL = ["pattern", "fraction"]
SCORES = {
    "auc": "AUC",
    "ap": "mAP",
    "mcc": "MCC",
    "f1": "F1",
    "brier": "Brier",
    "ece": "ECE",
    "prevalence_error": "prevalence error",
}


def write(data: Dataset, results: Results, out: Path) -> None:
    """Write ``out`` + ``.md`` and ``out`` + ``_comparisons.csv`` from the results so far."""
    frame = results.frame()
    compared = verdicts.comparisons(results)
    write_csv(compared, out.with_name(out.name + "_comparisons.csv"))
    permuted = frame[frame["pattern"] == PERMUTED]
    filled = frame[frame["pattern"] != PERMUTED]
    parts = [_head(data, filled)]
    if len(filled):
        parts += [_means(filled), *_verdicts(compared), _shares(filled)]
    mine = filled[(filled["method"] == ours.NAME) & (filled["attribute"] != POOLED)]
    if len(mine):
        parts += [_audit(mine), _abstention(mine), _learnable(mine)]
    if len(permuted):
        parts.append(_permuted(permuted))
    out.with_name(out.name + ".md").write_text("\n".join(parts), encoding="utf-8")


def _head(data: Dataset, frame: pd.DataFrame) -> str:
    images, attributes = data.labels.shape
    unknown = np.isnan(data.labels).mean()
    return (
        f"# Imputation: {data.name}\n\n"
        f"{images} images, {attributes} attributes, {unknown:.1%} of the cells unknown in the "
        f"source; {frame['seed'].nunique()} seeds. Every figure is of hidden cells only. Measured "
        f"on {machine()}.\n"
    )


def _means(frame: pd.DataFrame) -> str:
    """Mean over attributes and seeds of every score; ECE also over all cells as one."""
    keys = [*CELL, "method"]
    single = frame[frame["attribute"] != POOLED]
    grouped = single.groupby(keys, sort=False)
    shown = grouped[list(SCORES)].mean().round(4).rename(columns=SCORES)
    pooled = frame[frame["attribute"] == POOLED].groupby(keys, sort=False)
    shown["pooled ECE"] = pooled["ece"].mean().round(4)
    shown["seconds"] = pooled["seconds"].mean().round(1)
    left_out = single["ap"].isna().groupby([single[key] for key in keys], sort=False).sum()
    shown["left out"] = left_out
    return (
        "## Scores\n\nMeans over attributes and seeds. *Left out*: attributes (over all seeds) "
        "without both classes among their hidden cells. ECE with 15 equal-width bins.\n\n"
        + table(shown.reset_index())
    )


def _verdicts(compared: pd.DataFrame) -> list[str]:
    if compared.empty:
        return []
    flags = {kind: compared["verdict"].eq(kind) for kind in ("win", "tie", "loss")}
    counts = compared.assign(**flags).groupby(["peer", "metric"], sort=False)[list(flags)].sum()
    losses = compared[compared["verdict"] == "loss"]
    behind = (compared["metric"] == "brier") == (compared["difference"] > 0)
    ties = compared[(compared["verdict"] == "tie") & behind & (compared["difference"] != 0)]
    digits = dict.fromkeys(("ours", "theirs", "difference"), 4) | {"p": 5, "p_holm": 5}
    text = [
        "## Ours against each peer\n\nWins, ties and losses of ours over patterns and fractions, "
        "in mean AP, MCC and Brier score over attributes and seeds: paired bootstrap over images, "
        f"Holm's correction over all {len(compared)} comparisons at 5 %. *{verdicts.BEST}*: the "
        "best of each pattern, fraction and seed by that metric, picked with the truth in sight, "
        "which nobody can do.\n\n" + table(counts.reset_index())
    ]
    shown = table(losses.round(digits)) if len(losses) else "None.\n"
    text.append("### Every loss\n\n" + shown)
    if len(ties):
        text.append("### Ties in which ours is behind\n\n" + table(ties.round(digits)))
    return text


def _shares(frame: pd.DataFrame) -> str:
    """How often ours is at least as good, counted cell by cell."""
    shown = verdicts.shares(frame)
    if shown.empty:
        return ""
    note = ""
    single = frame[(frame["method"] == ours.NAME) & (frame["attribute"] != POOLED)]
    never = single.groupby("attribute", sort=False)["learnable"].max().eq(0)
    if never.any() and not never.all():
        without = verdicts.shares(frame[~frame["attribute"].isin(never.index[never])])
        names = ", ".join(f"`{name}`" for name in never.index[never])
        note = (
            f"\nWithout {names}, which no seed calls "
            "learnable and in which the best of many guesses wins by luck:\n\n" + table(without)
        )
    return (
        "## Share of cells in which ours is at least as good\n\nCounted over hidden tables "
        f"(pattern, fraction and seed) and over their single attributes. *{verdicts.BEST}*: the "
        "best of all peers in just that cell, picked with the truth in sight.\n\n"
        + table(shown)
        + note
    )


def _audit(mine: pd.DataFrame) -> str:
    """What the audit estimates from known labels against what hidden cells show."""
    known = mine[mine["accuracy"].notna() & mine["audit_accuracy"].notna()]
    inside = (known["audit_accuracy_low"] <= known["accuracy"]) & (
        known["accuracy"] <= known["audit_accuracy_high"]
    )
    frame = known.assign(inside=inside)
    for name in ("accuracy", "auc", "mcc", "brier"):
        frame[f"error_{name}"] = frame[f"audit_{name}"] - frame[name]
    rows = []
    for key, part in frame.groupby(CELL, sort=False):
        row: dict[str, object] = dict(zip(CELL, key))
        row |= {"estimated": part["audit_accuracy"].mean(), "true": part["accuracy"].mean()}
        for name in ("accuracy", "auc", "mcc", "brier"):
            row[f"mean error of {name}"] = part[f"error_{name}"].mean()
        rows.append({**row, "intervals": len(part), "coverage": part["inside"].mean()})
    overall = f"{inside.mean():.3f} of {len(inside)}" if len(inside) else "none"
    return (
        "## Audit: estimated against true accuracy\n\nThe audit sees known labels only. *Coverage*"
        ": share of the intervals (seeds x attributes) at 95 % that contain the accuracy on hidden "
        f"cells; over everything {overall}. *Mean error*: estimated - true.\n\n"
        + table(pd.DataFrame(rows).round(4))
    )


def _abstention(mine: pd.DataFrame) -> str:
    rows = []
    for key, part in mine.groupby(CELL, sort=False):
        for c in ours.CONFIDENCES:
            kept, right, promised = (part[f"{k}_{c}"].sum() for k in ("kept", "right", "promised"))
            reached = {"promised": promised / kept, "reached": right / kept} if kept else {}
            share = {"share filled": kept / part["cells"].sum()}
            rows.append({**dict(zip(CELL, key)), "min_confidence": c, **share, **reached})
    frame = pd.DataFrame(
        rows, columns=[*CELL, "min_confidence", "share filled", "promised", "reached"]
    )
    return (
        "## Abstention: promised against reached precision\n\nHidden cells whose promised "
        "probability of being right is at least `min_confidence`: their share, the mean promise, "
        "and the share that is right.\n\n" + table(frame.round(4))
    )


def _learnable(mine: pd.DataFrame) -> str:
    columns = {}
    for (pattern, fraction), part in mine.groupby(CELL, sort=False):
        flags = part.groupby("attribute", sort=False)["learnable"]
        columns[f"{pattern} {fraction}"] = flags.agg(lambda f: f"{int(f.sum())}/{len(f)}")
    share = pd.DataFrame(columns)
    auc = mine.groupby("attribute", sort=False)["auc"].mean().round(3).rename("mean AUC")
    return (
        "## Learnable\n\nIn how many of the seeds each attribute is called learnable.\n\n"
        + table(pd.concat([share, auc], axis=1).reset_index())
    )


def _permuted(permuted: pd.DataFrame) -> str:
    runs = permuted["seed"].nunique()
    any_called = int((permuted.groupby("seed")["learnable"].sum() > 0).sum())
    called = int(permuted["learnable"].sum())
    return (
        "## Permuted labels\n\nWith every attribute's labels permuted over the images on its own, "
        f"and {permuted['fraction'].iloc[0]:.0%} of them hidden, {called} of {len(permuted)} "
        f"attributes are called learnable over {runs} permutations, in {any_called} of which any "
        "is.\n"
    )
