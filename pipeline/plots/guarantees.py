"""What people can rely on: how much there is to look at, and shares with intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from pipeline.plots.style import (
    BLUE,
    FAINT,
    INK,
    LONGEST_NAME,
    MUTED,
    ORANGE,
    columns_of,
    grid,
    nothing,
    picture,
    short,
)


def budget(curves: pd.DataFrame, target: float, path: str | Path) -> None:
    """Share of wrong filled cells that is left against the number of most doubtful ones looked at:
    estimate, upper 95 % bound, and where the bound meets the target.

    Parameters
    ----------
    curves : columns of `pipeline.impute.budget`.
    """
    named = curves.assign(attribute=curves["attribute"].fillna(""))
    parts = [
        (str(name), part) for (_, name), part in named.groupby(["scope", "attribute"], sort=False)
    ]
    columns = columns_of(len(parts), 5)
    rows = -(-max(len(parts), 1) // columns)
    width, height = max(2.5 * columns + 0.4, 4.6), 0.9 + 2.0 * rows
    title = "Wrong cells left, by cells looked at (line: 95 % bound)"
    with picture(path, width, height, title) as figure:
        if not parts:
            nothing(figure.subplots(), "no known cell to tell by")
            return
        for axes, (name, part) in zip(grid(figure, len(parts), columns), parts, strict=True):
            _curve(axes, part, target)
            axes.set_title(short(name, LONGEST_NAME - 4) if name else "whole table", size=8)
        figure.supxlabel("most doubtful filled cells looked at", size=9, color=MUTED)
        figure.supylabel("share of the filled cells", size=9, color=MUTED)


def _curve(axes: Axes, part: pd.DataFrame, target: float) -> None:
    x = part["looked_at"]
    axes.fill_between(x, part["wrong_left"], part["wrong_left_high"], color=FAINT, lw=0)
    axes.plot(x, part["wrong_left_high"], color=BLUE, lw=1.4)
    axes.axhline(target, color=ORANGE, lw=0.9, ls=":")
    chosen = part[part["chosen"] == 1]
    axes.plot(chosen["looked_at"], chosen["wrong_left_high"], "o", color=ORANGE, ms=4)
    for _, row in chosen.iterrows():
        axes.annotate(
            f"{row['looked_at']:,}",
            (row["looked_at"], row["wrong_left_high"]),
            xytext=(5, 5),
            textcoords="offset points",
            size=7,
            color=INK,
        )
    axes.set_xlim(0, max(int(part["of"].iloc[0]), 1))
    axes.set_ylim(0, max(1.15 * float(part["wrong_left_high"].max()), 1.5 * target))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.tick_params(labelsize=7)


def prevalence(shares: pd.DataFrame, path: str | Path) -> None:
    """Share of 1, or of each value, with 95 % intervals; beside it known cells alone, and the count
    of the filled table, which has none.

    Parameters
    ----------
    shares : columns of `pipeline.impute.prevalence`; groups are left out.
    """
    whole = shares[shares["by"] == ""].iloc[::-1].reset_index(drop=True)
    width, height = 7.4, 1.5 + 0.26 * max(len(whole), 1)
    with picture(path, width, height, "Share of 1 in the whole table, 95 % intervals") as figure:
        axes = figure.subplots()
        if whole.empty:
            nothing(axes, "no attribute")
            return
        y = np.arange(len(whole))
        for offset, name, color, label in (
            (0.14, "share", BLUE, "predictions and known cells"),
            (-0.14, "known_share", MUTED, "known cells alone"),
        ):
            low, high = whole[f"{name}_low"], whole[f"{name}_high"]
            axes.hlines(y + offset, low, high, color=color, lw=1.6)
            axes.plot(whole[name], y + offset, "o", color=color, ms=3.2, label=label)
        axes.plot(
            whole["counted_share"],
            y,
            "|",
            color=ORANGE,
            ms=8,
            label="filled table, counted: no interval",
        )
        axes.set_yticks(y, [_name(row) for _, row in whole.iterrows()], size=8)
        axes.set_ylim(-0.6, len(whole) - 0.4)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(axis="x")
        figure.legend(loc="outside lower center", ncols=3)


def _name(row: pd.Series) -> str:
    name, value = str(row["attribute"]), str(row["value"])
    return short(name if value == "1" else f"{name}={value}", LONGEST_NAME)
