"""The recipes' results as a table, a page and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import readme
from pipeline.files import write_csv
from pipeline.plots.style import BLUE, MUTED, ORANGE, picture

OUTPUTS = Path(".benchmarks/recipes.npz")
"""Probabilities of the recipes done so far, for --resume."""
SETTING = "setting"
NEW_PAGE = f"# Recipes\n\n{readme.START.format('recipes')}{readme.END}\n"
"""With a place for the results and no more."""


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
    # Rounded once: the page shows the table's figures, now and whenever its places are filled.
    frame = rows.merge(compared.rename(columns={"model": "recipe"}), on="recipe").round(4)
    path.parent.mkdir(exist_ok=True)
    write_csv(frame, path)
    page = path.with_suffix(".md")
    text = page.read_text(encoding="utf-8") if page.is_file() else NEW_PAGE
    text = readme.filled(text, {"recipes": lambda: readme.recipes(frame)})
    page.write_text(text, encoding="utf-8")
    figure(frame, path.with_suffix(".png"))


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
