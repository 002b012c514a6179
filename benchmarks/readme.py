"""python -m benchmarks.readme: put the figures of reports/ and benchmarks/ into the READMEs.

`--check` changes nothing and fails when the README says something else than the files.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pandas as pd

from benchmarks import recipe_list
from benchmarks.scoring import POOLED

PAGES = (Path("README.md"), Path("benchmarks/README.md"))
RESULTS = Path("benchmarks/results")
RECIPES = Path("reports/recipes.csv")
FASHION = RESULTS / "fashion_efficientnet.csv"
"""reports/categories.csv of the line `fashion-efficientnet`."""
TABLES = ("cost", "embed", "grid", "rates", "scale", "speed")
MEASURED = [Path(f"benchmarks/{name}.csv") for name in TABLES]
START, END = "<!-- figures: {} -->\n", "<!-- end of figures -->"


def table(frame: pd.DataFrame) -> str:
    """``frame`` as a Markdown table."""
    rows = [list(frame.columns), ["---"] * len(frame.columns)]
    rows += [["" if pd.isna(v) else str(v) for v in row] for row in frame.to_numpy(dtype=object)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def interval(frame: pd.DataFrame, name: str, digits: int = 3) -> pd.Series:
    """``0.97 (0.95 to 0.99)`` from the columns name, name_low and name_high."""
    shown = []
    columns = (frame[c] for c in (name, f"{name}_low", f"{name}_high"))
    for value, low, high in zip(*columns):
        text = f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
        shown.append("" if pd.isna(value) else text)
    return pd.Series(shown, index=frame.index)


def blocks() -> dict[str, str]:
    """The generated parts of the README by name."""
    heads = pd.read_csv("reports/attributes.csv")
    truth = pd.read_csv("reports/imputation_truth.csv")
    test = pd.read_csv("reports/test.csv")
    times = pd.read_csv("benchmarks/stage_times.csv")
    scores = pd.DataFrame(
        {
            "attribute": [f"`{name}`" for name in heads["attribute"]],
            "positive / negative / unknown": [
                f"{p} / {n} / {u}"
                for p, n, u in zip(heads["positive"], heads["negative"], heads["unknown"])
            ],
            "AUC out of fold (95 %)": interval(heads, "auc"),
            "learnable": heads["learnable"],
            "filled cells": truth["cells"],
            "expected (95 %)": interval(heads, "expected_accuracy", 2),
            "of them right (95 %)": interval(truth, "accuracy", 2),
            "majority guess": truth["majority_accuracy"].round(2),
            "final classifier, test AUC (95 %)": interval(test, "auc"),
        }
    )
    cells = pd.read_csv("data/imputed/provenance.csv", dtype=str)
    minutes = times.loc[times["stage"] == "all", "seconds"].item() / 60
    stages = times[times["stage"] != "all"]
    names = {"start_up": "of these start-up", "peak_mb": "peak MB"}
    return {
        **measured(),
        "recipe lines": table(recipe_lines()),
        "imputation": table(imputation()),
        "missing": table(missing()),
        "scores": table(scores),
        "provenance": table(cells.head(6)),
        "times": f"Measured on {times['machine'][0]}: {minutes:.1f} minutes in all.\n\n"
        + table(stages.drop(columns="machine").rename(columns=names)),
    }


def imputation() -> pd.DataFrame:
    """Ours and the best peer on hidden cells, mean over attributes and seeds."""
    rows = []
    for path in sorted(RESULTS.glob("imputation_*.csv")):
        if path.stem.endswith("_comparisons"):
            continue
        frame = pd.read_csv(path)
        frame = frame[(frame["pattern"] == "random") & (frame["attribute"] != POOLED)]
        keys = ["fraction", "method"]
        means = frame.groupby(keys)[["ap", "mcc", "brier"]].mean()
        for fraction, of_fraction in means.groupby(level="fraction"):
            scores = of_fraction.droplevel("fraction")
            if "ours" not in scores.index or len(scores) < 4:
                continue
            peers = scores.drop(index="ours")
            row = {"data": path.stem.removeprefix("imputation_"), "hidden": f"{fraction:.0%}"}
            for name, label, best in (
                ("ap", "mAP", "idxmax"),
                ("mcc", "MCC", "idxmax"),
                ("brier", "Brier", "idxmin"),
            ):
                peer = getattr(peers[name], best)()
                row[f"{label}, ours"] = f"{scores.loc['ours', name]:.4f}"
                row["best peer" + " " * len(row)] = f"{peers.loc[peer, name]:.4f} ({peer})"
            rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.rename(columns=str.strip) if len(frame) else frame


def missing() -> pd.DataFrame:
    """Test mAP of the final classifier by what it learned from, mean over seeds."""
    rows = []
    for path in sorted(RESULTS.glob("missing_*.csv")):
        frame = pd.read_csv(path, dtype={"seed": str})
        frame = frame[(frame["score"] == "map") & (frame["seed"] != "all")]
        for fraction, group in frame.groupby("fraction"):
            value = group.groupby("method")["value"].mean()
            gap = value["oracle"] - value["mask"]
            closed = (value["impute_checked"] - value["mask"]) / gap if gap > 0 else float("nan")
            rows.append(
                {
                    "data": path.stem.removeprefix("missing_"),
                    "hidden": f"{fraction:.0%}",
                    "negative": f"{value['negative']:.4f}",
                    "mask": f"{value['mask']:.4f}",
                    "impute": f"{value['impute']:.4f}",
                    "checked": f"{value['impute_checked']:.4f}",
                    "all labels known": f"{value['oracle']:.4f}",
                    "of the way": "" if pd.isna(closed) else f"{closed:.0%}",
                }
            )
    return pd.DataFrame(rows)


def measured() -> dict[str, str]:
    """The tables of speed and cost that have been measured, each with its machine."""
    parts = {}
    for path in MEASURED:
        if path.exists():
            frame = pd.read_csv(path)
            where = f"Measured on {frame['machine'].iloc[0]}.\n\n"
            shown = frame.drop(columns="machine")
            if path.stem == "speed":
                shown = shown.T.reset_index()
                shown.columns = ["", *(f"{v} views" for v in frame["views"])]
                shown = shown[shown[""] != "views"]
            parts[path.stem] = where + table(shown.rename(columns=lambda c: c.replace("_", " ")))
            if path.stem == "scale":
                parts["estimate"] = table(estimate(frame))
    if RECIPES.exists():
        parts["recipes"] = table(recipes(pd.read_csv(RECIPES)))
    if FASHION.exists():
        parts["fashion"] = table(fashion(pd.read_csv(FASHION)))
    precision = sorted(RESULTS.parent.glob("precision_*.csv"))
    if precision:
        frame = pd.concat([pd.read_csv(path) for path in precision])
        where = f"Measured on {frame['machine'].iloc[0]}.\n\n"
        shown = frame.drop(columns="machine").rename(columns=lambda c: c.replace("_", " "))
        parts["precision"] = where + table(shown)
    return parts


def fashion(frame: pd.DataFrame) -> pd.DataFrame:
    """Each categorical attribute: what was expected of filled cells, and the test images."""
    return pd.DataFrame(
        {
            "attribute": frame["attribute"],
            "values": frame["values"],
            "imputation, expected accuracy": interval(frame, "expected_accuracy"),
            "test accuracy (95 %)": interval(frame, "accuracy"),
            "macro F1": frame["f1_macro"].round(3),
            "the most frequent value's accuracy": frame["majority_test_accuracy"].round(3),
        }
    )


def recipe_lines() -> pd.DataFrame:
    """Each published system and the command that runs it."""
    shown = [(f"`{one.name}`", one.about, f"`{one.line}`") for one in recipe_list.RECIPES]
    return pd.DataFrame(shown, columns=["recipe", "what", "line"])


def recipes(frame: pd.DataFrame) -> pd.DataFrame:
    """The recipes side by side, the best first."""
    shown = frame.sort_values("map", ascending=False, ignore_index=True)
    return pd.DataFrame(
        {
            "recipe": "`" + shown["recipe"] + "`",
            "test mAP (95 %)": interval(shown, "map"),
            "sample F1": shown["f1_samples"].round(3),
            "subset accuracy": shown["subset_accuracy"].round(3),
            "numbers to fit": [f"{count:,}" for count in shown["trainable"]],
            "train s": shown["train_seconds"].round(0).astype(int),
            "backbone": shown["backbone"]
            + ["" if p == "yes" else " (random)" for p in shown["pretrained"]],
            "predict ms": shown["ms_per_image"].round(1),
            "MB": shown["size_mb"].round(1),
        }
    )


def estimate(scale: pd.DataFrame, images: int = 10_000_000) -> pd.DataFrame:
    """What one more image costs every stage between the measured tables, and hours for ``images``
    by its cost between the two largest."""
    sizes = sorted(scale["images"].unique())
    seconds = scale.pivot_table("seconds", "stage", "images")
    order = scale.loc[scale["images"] == sizes[-1], "stage"]
    out = pd.DataFrame({"stage": order.tolist()})
    for smaller, larger in pairwise(sizes):
        each = further(seconds, smaller, larger)[order]
        out[f"ms per image from {smaller:,} to {larger:,}"] = (each * 1e3).round(2).tolist()
    megabytes = scale.pivot_table("peak_mb", "stage", "images")
    memory = further(megabytes, *sizes[-2:])[order]
    out["kB per image"] = (memory * 1e3).round(1).tolist()
    hours = (seconds[sizes[-1]] + each * (images - sizes[-1])) / 3600
    out[f"hours for {images:,} images"] = hours[order].round(1).tolist()
    whole = out.drop(columns="stage").sum().round(2).to_dict()
    # Stages follow one another: their seconds add up, their memory does not.
    return pd.concat([out, pd.DataFrame([{"stage": "all", **whole, "kB per image": ""}])])


def further(measured: pd.DataFrame, smaller: int, larger: int) -> pd.Series:
    """Of each row, by how much it grows with an image from one column to the other."""
    return (measured[larger] - measured[smaller]) / (larger - smaller)


def filled(text: str, content: dict[str, str]) -> str:
    """``text`` with each generated part that it has a place for replaced."""
    for name, part in content.items():
        start = START.format(name)
        before, found, rest = text.partition(start)
        if not found:
            continue
        _, end, after = rest.partition(END)
        if not end:
            raise SystemExit(f"error: no end of the part {start.strip()!r}")
        text = f"{before}{start}\n{part}\n{END}{after}"
    return text


def main() -> None:
    content = blocks()
    for path in PAGES:
        old = path.read_text(encoding="utf-8")
        new = filled(old, content)
        if "--check" in sys.argv[1:]:
            if new != old:
                raise SystemExit(f"error: {path} is not what the reports say; run `make readme`")
            continue
        path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
