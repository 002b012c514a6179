"""The recipes' results as a table, a page and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.recipe_list import BY_NAME
from pipeline.files import write_csv
from pipeline.plots.style import BLUE, MUTED, ORANGE, picture

OUTPUTS = Path(".benchmarks/recipes.npz")
"""Probabilities of the recipes done so far, for --resume."""
SETTING = "setting"


def earlier(path: Path, setting: str) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """What `write` has left: the rows, without their comparison, and the probabilities.

    Raises
    ------
    SystemExit
        If they are of another setting, which can't stand in one table.
    """
    if not path.is_file() or not OUTPUTS.is_file():
        return [], {}
    with np.load(OUTPUTS) as stored:
        if str(stored[SETTING]) != setting:
            raise SystemExit(
                f"error: --resume: {OUTPUTS} is of {stored[SETTING]!s} (labels, hide, seed, side, "
                f"epochs), not of {setting}; run without --resume"
            )
    frame = pd.read_csv(path)
    compared = [
        c for c in frame if c.split("_")[0] in ("map", "auc", "brier", "cells", "attributes")
    ]
    rows = frame.drop(columns=[c for c in compared if c != "auc_macro"]).to_dict("records")
    with np.load(OUTPUTS) as stored:
        return rows, {row["recipe"]: stored[row["recipe"]] for row in rows}


def write(
    rows: pd.DataFrame,
    compared: pd.DataFrame,
    outputs: dict[str, np.ndarray],
    path: Path,
    setting: str,
) -> None:
    """Write the table, and beside it the page and the picture.

    Parameters
    ----------
    rows : one per recipe; compared : of `bootstrap.compare`, in the same order.
    setting : what all of them have in common, in words.
    """
    OUTPUTS.parent.mkdir(exist_ok=True)
    np.savez(OUTPUTS, **outputs, **{SETTING: np.array(setting)})
    # Rounded once: the README shows the table's figures, and must round them as the page does.
    frame = rows.merge(compared.rename(columns={"model": "recipe"}), on="recipe").round(4)
    path.parent.mkdir(exist_ok=True)
    write_csv(frame, path)
    path.with_suffix(".md").write_text(page(frame), encoding="utf-8")
    figure(frame, path.with_suffix(".png"))


def page(frame: pd.DataFrame) -> str:
    """Markdown: what was compared, and a row per recipe, the best mAP first."""
    first = frame["recipe"].iloc[0]
    shown = frame.sort_values("map", ascending=False)
    table = pd.DataFrame(
        {
            "recipe": shown["recipe"],
            "backbone": shown["backbone"] + np.where(shown["pretrained"] == "yes", "", " (random)"),
            "pixels": shown["size"],
            "mAP (95 %)": [_interval(row, "map") for _, row in shown.iterrows()],
            f"less {first}": [_interval(row, "map_gain", "+") for _, row in shown.iterrows()],
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
    lines = [
        "# Recipes",
        "",
        f"Test images with all their labels ({int(frame['cells'].iloc[0])} cells, "
        f"{int(frame['attributes'].iloc[0])} attributes), the same for all. Differences are "
        f"paired over images, to `{first}`. Measured on {frame['machine'].iloc[0]}. *train s* is "
        "what the final classifier takes; *predict ms* is from file to probabilities, in a process "
        "that is warm. Recipes that mask unknown cells imputed with two folds and no rounds.",
        "",
        f"| {' | '.join(table.columns)} |",
        f"|{' --- |' * len(table.columns)}",
        *(f"| {' | '.join(map(str, row))} |" for row in table.to_numpy(dtype=object)),
        "",
        *(f"* `{name}`: {BY_NAME[name].about}." for name in shown["recipe"]),
        "",
    ]
    return "\n".join(lines)


def figure(frame: pd.DataFrame, path: Path) -> None:
    """mAP with its interval against the seconds of training and of prediction."""
    shown = frame.sort_values("map", ignore_index=True)
    place = np.arange(len(shown))
    with picture(path, 11, 1.2 + 0.42 * len(shown), "Recipes on the same test images") as drawn:
        quality, training, speed = drawn.subplots(1, 3, sharey=True, width_ratios=[2, 1, 1])
        middle = shown["map"].to_numpy()
        ends = np.abs(shown[["map_low", "map_high"]].to_numpy().T - middle)
        quality.errorbar(middle, place, xerr=ends, fmt="o", ms=5, color=BLUE, ecolor=MUTED)
        quality.set_yticks(place, shown["recipe"])
        quality.set_xlabel("test mAP (95 %)")
        training.barh(place, shown["train_seconds"], color=BLUE, height=0.6)
        training.set_xlabel("seconds to train the classifier")
        speed.barh(place, shown["ms_per_image"], color=ORANGE, height=0.6)
        speed.set_xlabel("milliseconds to predict an image")
        for axes in (quality, training, speed):
            axes.grid(axis="x")
            axes.tick_params(axis="y", length=0)


def _interval(row: pd.Series, name: str, sign: str = "") -> str:
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"
