"""python -m benchmarks.readme: put figures of reports/ and benchmarks/ and the params into pages.

A page has a place for each generated part: a line `<!-- figures: NAME -->`, and one that ends it.
`--check` changes nothing and fails when a page says something else than the files.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmarks import recipe_list
from benchmarks.peers_speed import OWN
from benchmarks.scale import ATTRIBUTES
from benchmarks.scoring import POOLED
from pipeline import params
from pipeline.errors import PipelineError, run
from pipeline.features import backbones
from pipeline.metrics import scores
from pipeline.readers.registry import READERS
from pipeline.writers.registry import WRITERS

PAGES = (Path("README.md"), *sorted(Path("docs").glob("*.md")), Path("benchmarks/README.md"))
RESULTS = Path("benchmarks/results")
STAGE_TIMES = Path("benchmarks/stage_times.csv"), Path("benchmarks/stage_times_laptop.csv")
RECIPES = Path("docs/recipes.csv")
PARAMS = Path("params.yaml")
FASHION = RESULTS / "fashion_efficientnet.csv"
"""reports/categories.csv of the line `fashion-efficientnet`."""
OPENED = re.compile(r"^<!-- figures: ", re.MULTILINE)
PLACE = re.compile(
    OPENED.pattern + r"([^>\n]+) -->\n(.*?)<!-- end of figures -->", re.M | re.DOTALL
)
DEFAULT_HEADS = ("linear", 2)
"""Kind of the attribute heads and number of views by the project's own params.yaml."""
START, END = "<!-- figures: {} -->\n", "<!-- end of figures -->"
BY_ATTRIBUTE = ("classify", "impute", "train")
"""Stages that have models of each attribute."""
REFUSED = [None]
"""A value that no param can have."""
Parts = Mapping[str, Callable[[], str]]


def table(frame: pd.DataFrame) -> str:
    """``frame`` as a Markdown table."""
    rows = [list(frame.columns), ["---"] * len(frame.columns)]
    rows += [["" if pd.isna(v) else str(v) for v in row] for row in frame.to_numpy(dtype=object)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def interval(frame: pd.DataFrame, name: str, digits: int = 3, sign: str = "") -> pd.Series:
    """``0.97 (0.95 to 0.99)`` from the columns name, name_low and name_high."""
    shown = []
    columns = (frame[c] for c in (name, f"{name}_low", f"{name}_high"))
    for value, low, high in zip(*columns):
        style = f"{sign}.{digits}f"
        text = f"{value:{style}} ({low:{style}} to {high:{style}})"
        shown.append("" if pd.isna(value) else text)
    return pd.Series(shown, index=frame.index)


def run_scores() -> str:
    """What the last run has reached, attribute by attribute."""
    heads = pd.read_csv("reports/attributes.csv")
    truth = pd.read_csv("reports/imputation_truth.csv")
    test = pd.read_csv("reports/test.csv")
    return table(
        pd.DataFrame(
            {
                "attribute": [f"`{name}`" for name in heads["attribute"]],
                "positive / negative / unknown": [
                    f"{p} / {n} / {u}"
                    for p, n, u in zip(heads["positive"], heads["negative"], heads["unknown"])
                ],
                "held-out AUC (95 %)": interval(heads, "auc"),
                "learnable": heads["learnable"],
                "filled cells": truth["cells"],
                "expected accuracy (95 %)": interval(heads, "expected_accuracy", 2),
                "true accuracy (95 %)": interval(truth, "accuracy", 2),
                "majority baseline": truth["majority_accuracy"].round(2),
                "final classifier, test AUC (95 %)": interval(test, "auc"),
            }
        )
    )


def provenance() -> str:
    """The first filled cells of the last run."""
    return table(pd.read_csv("data/imputed/provenance.csv", dtype=str).head(6))


def minutes() -> str:
    """How long the default run takes, and on a laptop."""
    times, weaker = map(pd.read_csv, STAGE_TIMES)
    whole, longer = (
        frame.loc[frame["stage"] == "all", "seconds"].item() / 60 for frame in (times, weaker)
    )
    return (
        f"Measured on {times['machine'][0]}: {whole:.1f} minutes in all; kept to AVX2 and two "
        f"threads, as a laptop: {longer:.1f} minutes.\n"
    )


def stage_times() -> str:
    """What each stage of the default run takes, and on a laptop."""
    times, weaker = (pd.read_csv(path).query("stage != 'all'") for path in STAGE_TIMES)
    shown = times.drop(columns="machine").assign(laptop=weaker["seconds"])
    names = {"start_up": "of these start-up", "peak_mb": "peak MB", "laptop": "seconds as a laptop"}
    return minutes() + "\n" + table(shown.rename(columns=names))


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


def guarantees() -> pd.DataFrame:
    """Whether bounded errors, budgets and intervals of shares were kept, over draws."""
    frame = pd.read_csv(RESULTS / "guarantees.csv")
    frame = frame[frame["turned"] == 0]
    budget, attribute = "budget of the table", "budget of an attribute"
    return pd.DataFrame(
        {
            "data": frame["data"],
            "filled by": frame["procedure"],
            "missing": frame["pattern"],
            "hidden": frame["hidden"].map("{:.0%}".format),
            "rows": frame["rows"],
            "draws": frame["draws"],
            "withdrawn": frame["withdrawn"].map("{:.0%}".format),
            "wrong at .05": frame["wrong at 0.05"].map("{:.3f}".format),
            "worst": frame["worst at 0.05"].map("{:.3f}".format),
            "above": frame["above 0.05"],
            "filled": frame["filled at 0.05"].map("{:.0%}".format),
            "budget fails": [
                f"{a:.1%}, {b:.1%}"
                for a, b in zip(frame[f"{budget}: fails"], frame[f"{attribute}: fails"])
            ],
            "looked at (random order)": [
                f"{a:.0%} ({b:.0%})"
                for a, b in zip(frame[f"{budget}: looked at"], frame[f"{budget}: random order"])
            ],
            "interval covers (known alone)": [
                f"{a:.3f} ({b:.3f})"
                for a, b in zip(frame["share by ppi: covered"], frame["share by known: covered"])
            ],
            "width": frame["width, ppi / known"].map("{:.2f}".format),
        }
    )


def label_noise() -> pd.DataFrame:
    """What a table with wrong labels promises, against the true ones."""
    frame = pd.read_csv(RESULTS / "guarantees.csv")
    frame = frame[frame["turned"] > 0].sort_values(["data", "turned"], kind="stable")
    shown = {
        "data": frame["data"],
        "turned": frame["turned"].map("{:.0%}".format),
        "draws": frame["draws"],
        "accuracy expected": frame["accuracy: expected"],
        "true": frame["accuracy: true"],
        "interval covers": frame["accuracy: covered"],
        "wrong at .05": frame["wrong at 0.05"],
        "filled": frame["filled at 0.05"].map("{:.0%}".format),
    }
    for name in ("accuracy expected", "true", "interval covers", "wrong at .05"):
        shown[name] = shown[name].map("{:.3f}".format)
    return pd.DataFrame({**shown, "above": frame["above 0.05"]})


def bought_labels() -> pd.DataFrame:
    """What labels bring, bought in the order of the review list and in others."""
    frame, rows = pd.read_csv(RESULTS / "bought_labels.csv"), []
    for (data, bought), part in frame.groupby(["data", "bought"], sort=False):
        own = part.set_index("order")
        row = {"data": data, "draws": own["draws"].iloc[0], "labels": bought}
        for figure, ahead in (("accuracy", "list ahead"), ("map", "list ahead in map")):
            row[f"{figure}, list"] = f"{own.loc['list', figure]:.4f}"
            for order in ("uncertainty", "chance"):
                error = own.loc[order, f"{ahead} error"]
                row[f"{figure}: ahead of {order}"] = f"{own.loc[order, ahead]:+.4f} ± {error:.4f}"
        rows.append(row)
    return pd.DataFrame(rows)


def decisions() -> pd.DataFrame:
    """Two rules by which a probability becomes 1 or 0, on hidden cells."""
    frame = pd.read_csv(RESULTS / "decisions.csv")
    for name in ("accuracy", "mcc", "count off"):
        frame[name] = frame[name].map("{:.3f}".format)
    return frame.assign(hidden=frame["hidden"].map("{:.0%}".format))


def suspects() -> pd.DataFrame:
    """Average precision of rankings of known labels, and how many wrong ones are counted."""
    frame = pd.read_csv(RESULTS / "suspects.csv")
    keys = ["data", "turned", "rate"]
    rows = []
    for (data, turned, rate), part in frame[frame["rate"] > 0].groupby(keys, sort=False):
        own = part.set_index("method")
        ours = own.loc["ours"]
        rows.append(
            {
                **{"data": data, "turned": turned, "share": f"{rate:.0%}"},
                **{"draws": f"{ours['draws']:.0f}"},
                **own["average precision"].map("{:.3f}".format),
                "wrong": f"{ours['wrong']:.0f}",
                "counted (95 %)": f"{ours['counted']:.0f} ({ours['counted low']:.0f} to "
                f"{ours['counted high']:.0f})",
                "intervals hold": f"{ours['attributes inside']:.0%}",
                "called, right": f"{ours['called']:.0f}, {ours['called right']:.0%}"
                if ours["called"]
                else "0",
            }
        )
    return pd.DataFrame(rows)


def prevalence() -> pd.DataFrame:
    """Shares with intervals beside those of ppi-python."""
    frame = pd.read_csv(RESULTS / "prevalence.csv")
    for name, digits in {
        **{"off at our lambda": 3, "off at its lambda": 3, "error by its": 3},
        **{"covered": 3, "covered by its": 3, "width by its": 2},
    }.items():
        frame[name] = frame[name].map(f"{{:.{digits}f}}".format)
    return frame.assign(slope=frame["slope"].map("{:g}".format))


def review_rounds() -> pd.DataFrame:
    """What is expected of the cells that are left before and after a review, and the truth."""
    frame = pd.concat([pd.read_csv(path) for path in sorted(RESULTS.glob("review_rounds_*.csv"))])
    shown = {
        "data": frame["data"],
        "filled by": frame["procedure"],
        "rows": frame["rows"],
        "hidden": frame["hidden"].map("{:.0%}".format),
        "rounds": frame["draws"],
        "looked at": frame["bought"],
        "interval covers": [
            f"{share:.3f} ± {error:.3f}"
            for share, error in zip(frame["covered"], frame["covered error"])
        ],
        "truth below it": frame["true below"].map("{:.3f}".format),
        "truth above it": frame["true above"].map("{:.3f}".format),
        "expected of the rest": frame["expected"].map("{:.3f}".format),
        "true": frame["true"].map("{:.3f}".format),
        "expected of the table": frame["table expected"].map("{:.3f}".format),
        "true ": frame["table true"].map("{:.3f}".format),
    }
    return pd.DataFrame(shown)


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


def classifiers() -> str:
    """The final classifier against what it replaces, means over the draws of each data set."""
    frame = _classifiers()
    keys, scores = ["data", "hidden", "method"], ["map", "mcc", "brier", "ece", "accuracy"]
    draws = frame.groupby(keys, sort=False)["seed"].nunique()
    found = frame.groupby(keys, sort=False)[scores].mean().assign(draws=draws).reset_index()
    found = found.sort_values(["data", "hidden"], kind="stable")
    for score in scores:
        found[score] = found[score].map("{:.4f}".format)
    found["hidden"] = found["hidden"].map("{:.0%}".format)
    return _with_machine(frame, found)


def classifier_calibration() -> pd.DataFrame:
    """Calibration error of what `predict` gives, beside what chance alone gives and that of the
    known labels' prevalence, means over the draws that were scored so."""
    frame = _classifiers().dropna(subset=["ece_by_chance"])
    frame = frame[frame["method"].isin(["prevalence", "stack", "stack, unlearnable: prevalence"])]
    keys, scores = ["data", "hidden", "method"], ["ece", "ece_by_chance"]
    found = frame.groupby(keys, sort=False)[scores].mean().reset_index()
    found = found.sort_values(["data", "hidden"], kind="stable")
    for score in scores:
        found[score] = found[score].map("{:.4f}".format)
    found["hidden"] = found["hidden"].map("{:.0%}".format)
    return found.rename(columns={"ece_by_chance": "ece by chance"})


def categorical_classifiers() -> str:
    """The final classifier of categorical attributes, means over draws."""
    frame = pd.read_csv(RESULTS / "categorical_fashion.csv")
    keys = ["data", "hidden", "method"]
    scores = ["log_loss", "accuracy", "brier", "ece", "ece_by_chance"]
    groups = frame.groupby(keys, sort=False)
    found = groups[scores].mean().assign(draws=groups["seed"].nunique()).reset_index()
    for score in scores:
        found[score] = found[score].map("{:.4f}".format)
    found["hidden"] = found["hidden"].map("{:.0%}".format)
    names = {"log_loss": "log-loss", "ece_by_chance": "ece by chance"}
    return _with_machine(frame, found.rename(columns=names))


def classifier_differences() -> pd.DataFrame:
    """How far the shipped classifier is ahead of each other method in the draws that have both:
    mean and its standard error."""
    frame, rows = _classifiers(), []
    better = {"map": 1, "mcc": 1, "brier": -1, "ece": -1}
    keys = ["data", "hidden", "seed"]
    shipped = frame[frame["method"] == "stack"].set_index(keys)
    others = frame[~frame["method"].isin(["stack", "prevalence"])]
    for (name, method), of_method in others.groupby(["data", "method"], sort=False):
        peer = of_method.set_index(keys)
        ahead = (shipped.loc[peer.index, list(better)] - peer[list(better)]) * pd.Series(better)
        shown = {
            score: f"{ahead[score].mean():+.4f} ± {ahead[score].sem():.4f}" for score in better
        }
        wins = f"{(ahead['map'] > 0).sum()} of {len(ahead)}"
        rows.append({"data": name, "against": method, **shown, "draws ahead in map": wins})
    return pd.DataFrame(rows)


def attribute_heads() -> pd.DataFrame:
    """Of every data set, kind and number of views: how far its scores are above `DEFAULT_HEADS`
    in the draws of both, mean and standard error, and the heads' processor seconds."""
    found = pd.read_csv(RESULTS / "attribute_heads.csv")
    better = ["map", "mcc", "brier", "classifier_map", "classifier_brier"]
    keys = ["data", "hidden", "seed"]
    of_default = (found["heads"] == DEFAULT_HEADS[0]) & (found["views"] == DEFAULT_HEADS[1])
    default = found[of_default].set_index(keys)[better]
    rows = []
    for (name, kind, views), case in found.groupby(["data", "heads", "views"], sort=False):
        own = case.set_index(keys)
        more = (own[better] - default).dropna()
        row = {"data": name, "hidden": ", ".join(f"{h:.0%}" for h in sorted({*case["hidden"]}))}
        row |= {"heads": kind, "views": views, "draws": len(more)}
        for score in better:
            error = f" ± {more[score].sem():.4f}" if len(more) > 1 else ""
            row[score.replace("_", " ")] = f"{more[score].mean():+.4f}{error}"
        seconds = own["heads_cpu_seconds"].mean()
        rows.append({**row, "processor seconds of heads": f"{seconds:.0f}"})
    return pd.DataFrame(rows)


def _classifiers() -> pd.DataFrame:
    """Every row of the benchmark, those of a draw's methods in one order."""
    frame = pd.concat([pd.read_csv(path) for path in sorted(RESULTS.glob("stack_*.csv"))])
    order = {name: place for place, name in enumerate(frame["method"].drop_duplicates())}
    return frame.sort_values("method", key=lambda name: name.map(order), kind="stable").sort_values(
        "data", kind="stable"
    )


def promises() -> pd.DataFrame:
    """How often promises of recall and precision were made and broken."""
    rows = []
    for path in sorted(RESULTS.glob("risk_control_*.csv")):
        for wish, of_wish in pd.read_csv(path).groupby("wish"):
            rows.append(
                {
                    "data": path.stem.removeprefix("risk_control_"),
                    "promise": wish,
                    "attributes": len(of_wish),
                    "made": f"{of_wish['promised'].mean():.3f}",
                    "broken": f"{of_wish['broken'].mean():.3f}",
                    "most of an attribute": f"{of_wish['broken'].max():.3f}",
                    "missed in the other half": f"{of_wish['broken_unseen'].mean():.3f}",
                    "mean score": f"{of_wish['score'].mean():.3f}",
                }
            )
    return pd.DataFrame(rows)


def partial_labels() -> pd.DataFrame:
    """New rows with half of their labels, told from the picture, from both, and by the whole
    imputation: means over seeds."""
    rows = []
    for path in sorted(RESULTS.glob("partial_labels_*.csv")):
        frame = pd.read_csv(path)
        means = frame.groupby("method")[["ap", "auc", "brier", "ece"]].mean()
        for method in frame["method"].unique():
            shown = {name: f"{value:.4f}" for name, value in means.loc[method].items()}
            rows.append(
                {
                    "data": path.stem.removeprefix("partial_labels_"),
                    "hidden": f"{frame['hidden'][0]:.0%}",
                    "seeds": frame["seed"].nunique(),
                    "told from": method,
                    "mAP": shown["ap"],
                    "AUC": shown["auc"],
                    "Brier": shown["brier"],
                    "ECE": shown["ece"],
                }
            )
    return pd.DataFrame(rows)


def measured(path: Path) -> str:
    """A measured table and its machine."""
    frame = pd.read_csv(path)
    # The ratios have rows for each machine.
    shown = frame if path.stem == "ratios" else frame.drop(columns="machine")
    if path.stem == "speed":
        shown = shown.T.reset_index()
        shown.columns = ["", *(f"{v} views" for v in frame["views"])]
        shown = shown[shown[""] != "views"]
    return _with_machine(frame, shown)


def here_and_weaker(name: str, shown: Callable[[Path], str]) -> str:
    """What was measured on the machine itself, then what on weaker ones."""
    return "\n".join(map(shown, sorted(Path("benchmarks").glob(f"{name}*.csv"))))


def peers_speed(path: Path) -> str:
    """Pictures per second of each runtime, a row for each network, size and precision."""
    frame = pd.read_csv(path)
    keys = ["backbone", "size", "precision", "batch"]
    frame["rate"] = [
        f"{wall} ({cpu})" for wall, cpu in zip(frame["per_second"], frame["per_cpu_second"])
    ]
    shown = frame.pivot_table("rate", keys, "runtime", aggfunc="first", sort=False)
    own = frame[frame["runtime"] == OWN].set_index(keys)
    shares = zip(own["of_fastest"], own["of_fastest_by_cpu"])
    shown["the pipeline's of the fastest bare"] = [f"{wall} ({cpu})" for wall, cpu in shares]
    versions = ", ".join(frame["computed_by"].unique())
    return f"By {versions}. " + _with_machine(frame, shown.reset_index())


def precision() -> str:
    """The backbone in float32, bfloat16 and int8, of all tables measured."""
    frame = pd.concat(
        [pd.read_csv(path) for path in sorted(RESULTS.parent.glob("precision_*.csv"))]
    )
    return _with_machine(frame, frame.drop(columns="machine"))


def _with_machine(frame: pd.DataFrame, shown: pd.DataFrame) -> str:
    where = f"Measured on {', and on '.join(frame['machine'].unique())}.\n\n"
    return where + table(shown.rename(columns=lambda c: c.replace("_", " ")))


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


def recipes(frame: pd.DataFrame) -> str:
    """The recipes side by side, the best mAP first: what was compared, and a row for each."""
    first = frame["recipe"].iloc[0]
    shown = frame.sort_values("map", ascending=False, ignore_index=True)
    backbone = shown["backbone"] + np.where(shown["pretrained"] == "yes", "", " (random)")
    about = (
        f"Test images with all their labels ({int(frame['cells'].iloc[0])} cells, "
        f"{int(frame['attributes'].iloc[0])} attributes), the same for all. Differences are "
        f"paired over images, to `{first}`. Measured on {frame['machine'].iloc[0]}. *train s* is "
        "what the final classifier takes; *predict ms* is from file to probabilities, in a process "
        "that is warm. Recipes that mask unknown cells imputed with two folds and no rounds.\n\n"
    )
    return about + table(
        pd.DataFrame(
            {
                "recipe": shown["recipe"],
                "backbone": backbone,
                "pixels": shown["size"],
                "mAP (95 %)": interval(shown, "map"),
                f"less {first}": interval(shown, "map_gain", sign="+"),
                "sample F1": shown["f1_samples"].round(3),
                "subset accuracy": shown["subset_accuracy"].round(3),
                "label accuracy": shown["accuracy_macro"].round(3),
                "cosine": shown["cosine_similarity"].round(3),
                "best / worst label": shown["best_label"] + " / " + shown["worst_label"],
                "to fit": [f"{n:,}" for n in shown["trainable"]],
                "parameters": [f"{n:,}" for n in shown["parameters"]],
                "MB": shown["size_mb"].round(1),
                "embed s": shown["embed_seconds"].round(0).astype(int),
                "impute s": shown["impute_seconds"].round(0).astype(int),
                "train s": shown["train_seconds"].round(0).astype(int),
                "predict ms": shown["ms_per_image"].round(1),
                "peak MB": shown["peak_mb"].round(0).astype(int),
            }
        )
    )


def params_table(text: str) -> pd.DataFrame:
    """Every param of a params.yaml with its default, its comment and what else it may be."""
    shown = [
        (f"`{key}`", f"`{value}`", comment, allowed(key, text))
        for key, value, comment in commented(text)
    ]
    return pd.DataFrame(shown, columns=["key", "default", "meaning", "allowed"])


def commented(text: str) -> list[tuple[str, str, str]]:
    """(dotted key, value as it is written, comment) of each line of a params.yaml.

    A comment goes on in lines that hold nothing else and are indented.
    """
    found: list[tuple[str, str, str]] = []
    section = ""
    for line in text.splitlines():
        if more := re.fullmatch(r"\s+# (.*)", line):
            key, value, comment = found[-1]
            found[-1] = key, value, f"{comment} {more[1]}"
        elif one := re.fullmatch(r"( *)(\w+):\s*([^#]*?)\s*(?:# (.*))?", line):
            indent, name, value, comment = one.groups()
            if not value:
                section = f"{name}."
            else:
                found.append((section * bool(indent) + name, value, comment or ""))
    return found


def allowed(key: str, text: str) -> str:
    """What the error about a wrong value of ``key`` says that it expects."""
    content = yaml.safe_load(text)
    *sections, name = key.split(".")
    place = content
    for section in sections:
        place = place[section]
    place[name] = REFUSED
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PARAMS
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            params.load(path)
        except PipelineError as error:
            _, found, expected = str(error).partition(", expected ")
            if found:
                return expected
            raise
    raise PipelineError(f"{PARAMS}: {key}: {REFUSED} was not refused")


def estimate(
    scale: pd.DataFrame, images: int = 10_000_000, celeba: tuple[int, int] = (202_599, 40)
) -> pd.DataFrame:
    """What one more image costs every stage between the measured tables, and hours for ``images``
    by its cost between the two largest; the same for CelebA's images and attributes, ten times as
    many of which are taken to cost ten times as much in the stages that have models of each."""
    # Of a size whose run was not finished the sum would lack stages.
    stages = scale.groupby("images")["stage"].transform("nunique")
    scale = scale[stages == stages.max()]
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
    count, attributes = celeba
    hours = (seconds[sizes[-1]] + each * (count - sizes[-1])) / 3600
    hours *= np.where(hours.index.isin(BY_ATTRIBUTE), attributes / len(ATTRIBUTES), 1.0)
    name = f"hours for {count:,} images x {attributes} attributes"
    out[name] = hours[order].round(2).tolist()
    figures = out.drop(columns="stage")
    out[figures.columns] = figures + 0.0  # no -0.0
    whole = figures.sum().round(2).to_dict()
    # Stages follow one another: their seconds add up, their memory does not.
    return pd.concat([out, pd.DataFrame([{"stage": "all", **whole, "kB per image": ""}])])


def further(measured: pd.DataFrame, smaller: int, larger: int) -> pd.Series:
    """Of each row, by how much it grows with an image from one column to the other."""
    return (measured[larger] - measured[smaller]) / (larger - smaller)


def metrics() -> pd.DataFrame:
    """The scores per attribute, with the names of their columns."""
    shown = [
        (", ".join(f"`{column}`" for column in one.columns(name)), one.meaning)
        for name, one in scores.METRICS.items()
    ]
    return pd.DataFrame(shown, columns=["columns", "what"])


def metrics_of_all() -> pd.DataFrame:
    """The scores of all attributes together."""
    shown = [
        (f"`{name}`", meaning.replace("|", "\\|"))
        for name, (_, meaning) in scores.MULTILABEL_METRICS.items()
    ]
    return pd.DataFrame(shown, columns=["score", "what"])


def readers() -> pd.DataFrame:
    """Every layout that can be read, and the command for it."""
    command = "`python -m pipeline.readers {} {}`"
    shown = [(one.layout, command.format(name, one.arguments)) for name, one in READERS.items()]
    return pd.DataFrame(shown, columns=["layout", "command"])


def writers() -> pd.DataFrame:
    """Every tool that a filled table can be given to, and what it carries."""
    shown = [(f"`{name}`", own.layout, own.carries, own.back) for name, own in WRITERS.items()]
    return pd.DataFrame(shown, columns=["NAME", "layout", "what it carries", "what comes back"])


def backbone_table() -> pd.DataFrame:
    """Every backbone that has a name of its own."""
    shown = [
        (f"`{name}`", f"{one.least_side} x {one.least_side}", one.preprocessing, one.licence)
        for name, one in backbones.BACKBONES.items()
    ]
    columns = ["`backbone.name`", "least `image_size`", "preprocessing, inside", "weights' licence"]
    return pd.DataFrame(shown, columns=columns)


OF_THE_LAST_RUN: Parts = {"scores": run_scores, "provenance": provenance}
"""Read what `dvc repro` wrote; another machine or table has other figures."""
OF_THE_PROJECT: Parts = {
    "minutes": minutes,
    "times": stage_times,
    "params": lambda: table(params_table(PARAMS.read_text(encoding="utf-8"))),
    "backbones": lambda: table(backbone_table()),
    "backbones on photos": partial(measured, Path("benchmarks/backbones.csv")),
    "readers": lambda: table(readers()),
    "writers": lambda: table(writers()),
    "metrics": lambda: table(metrics()),
    "metrics of all": lambda: table(metrics_of_all()),
    "recipe lines": lambda: table(recipe_lines()),
    "recipes": lambda: recipes(pd.read_csv(RECIPES)),
    "fashion": lambda: table(fashion(pd.read_csv(FASHION))),
    "imputation": lambda: table(imputation()),
    "missing": lambda: table(missing()),
    "guarantees": lambda: table(guarantees()),
    "label noise": lambda: table(label_noise()),
    "bought labels": lambda: table(bought_labels()),
    "decisions": lambda: table(decisions()),
    "suspects": lambda: table(suspects()),
    "prevalence": lambda: table(prevalence()),
    "review rounds": lambda: table(review_rounds()),
    "promises": lambda: table(promises()),
    "classifiers": classifiers,
    "categorical classifiers": categorical_classifiers,
    "classifier calibration": lambda: table(classifier_calibration()),
    "classifier differences": lambda: table(classifier_differences()),
    "attribute heads": lambda: table(attribute_heads()),
    "partial labels": lambda: table(partial_labels()),
    "estimate": lambda: table(estimate(pd.read_csv("benchmarks/scale.csv"))),
    "precision": precision,
    "chance": lambda: table(
        pd.read_csv("benchmarks/chance.csv").rename(columns=lambda c: c.replace("_", " "))
    ),
    **{
        name: partial(measured, Path(f"benchmarks/{name}.csv"))
        for name in (
            *("cost", "dvc_hashing", "embed", "export", "grid", "predict_rate", "rates"),
            *("ratios", "report", "review", "scale", "scale_add", "speed", "unlike", "wide"),
        )
    },
    "peers_speed": lambda: here_and_weaker("peers_speed", peers_speed),
    "whole_run": lambda: here_and_weaker("whole_run", measured),
}
"""Read committed files alone."""


def places(text: str) -> list[str]:
    """Names of the generated parts that ``text`` has a place for.

    Raises
    ------
    PipelineError
        If a place has no end.
    """
    found = PLACE.findall(text)
    if len(OPENED.findall(text)) != len(found):
        raise PipelineError(f"a place for figures has no {END!r} before the next one; add it")
    return [name for name, _ in found]


def filled(text: str, parts: Parts) -> str:
    """``text`` with the content of each place that ``parts`` names replaced."""
    for name in places(text):
        if name in parts:
            place = START.format(name)
            before, _, rest = text.partition(place)
            after = rest.partition(END)[2]
            text = f"{before}{place}\n{parts[name]()}\n{END}{after}"
    return text


def main() -> None:
    parts = {**OF_THE_LAST_RUN, **OF_THE_PROJECT}
    new = {}
    for path in PAGES:
        old = path.read_text(encoding="utf-8")
        try:
            if unknown := set(places(old)) - set(parts):
                raise PipelineError(
                    f"no figures named {min(unknown)!r}; expected one of {', '.join(parts)}"
                )
            text = filled(old, parts)
        except PipelineError as error:
            raise PipelineError(f"{path}: {error}") from None
        except FileNotFoundError as error:
            raise PipelineError(
                f"{path}: {error.filename}: no such file; `dvc repro` makes it"
            ) from None
        if text != old:
            new[path] = text
    if new and "--check" in sys.argv[1:]:
        stale = ", ".join(map(str, new))
        raise PipelineError(f"{stale}: not what the files say; run `python -m benchmarks.readme`")
    for path, text in new.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main)
