"""The picture of a search: the score of every trial against each of its hyper-parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from pipeline.plots.style import BLUE, ORANGE, grid, nothing, picture

DOT: dict[str, Any] = {"marker": "o", "ls": "", "ms": 6, "color": BLUE, "alpha": 0.55, "mew": 0}
BEST: dict[str, Any] = {"marker": "D", "ls": "", "ms": 7, "color": ORANGE, "mew": 0}
POWERS, TENTHS, LOG, WHOLE = "powers", "tenths", "log", "whole"


def draw(trials: pd.DataFrame, path: str | Path) -> None:
    """Six panels, one per hyper-parameter, of validation AUC; the loss where no AUC is defined.

    Parameters
    ----------
    trials : as of `search_space.table`; rows without a score are left out.
    path : PNG to write.
    """
    column, label = "val_auc", "validation AUC"
    if trials[column].isna().all():
        column, label = "val_loss", "validation loss"
    scored = trials[trials[column].notna()]
    filters = [[int(part) for part in text.split("-")] for text in scored["filters"]]
    panels: list[tuple[str, list[float], str]] = [
        ("Blocks", [len(own) for own in filters], WHOLE),
        ("Filters of the first block", [own[0] for own in filters], POWERS),
        ("Filters of the last block", [own[-1] for own in filters], POWERS),
        ("Dense units", scored["dense_units"].tolist(), POWERS),
        ("Dropout", scored["dropout"].tolist(), TENTHS),
        ("Learning rate", scored["learning_rate"].tolist(), LOG),
    ]
    score = scored[column].to_numpy(dtype=float)
    best = scored["best"].to_numpy() == 1
    left_out = len(trials) - len(scored)
    title = f"Search over {len(trials)} trials" + (f", {left_out} diverged" if left_out else "")
    with picture(path, 10, 6.2, title) as figure:
        axes_of = grid(figure, len(panels), 3)
        for number, (axes, (name, values, scale)) in enumerate(zip(axes_of, panels, strict=True)):
            axes.set_title(name)
            if not len(score):
                nothing(axes, "every fit diverged")
                continue
            axes.plot(values, score, **DOT)
            axes.plot(np.array(values)[best], score[best], **BEST)
            _scale(axes, np.array(values, dtype=float), scale)
            span = max(float(np.ptp(score)), 0.01)
            axes.set_ylim(score.min() - 0.06 * span, score.max() + 0.06 * span)
            axes.grid(axis="y")
            if number % 3 == 0:
                axes.set_ylabel(label)
        keys = [Line2D([], [], label="a trial", **DOT), Line2D([], [], label="the best", **BEST)]
        figure.legend(handles=keys, loc="outside upper right", ncols=2)


def _scale(axes: Axes, values: np.ndarray, scale: str) -> None:
    """Ticks at the values that can be chosen, and room beside the outer ones."""
    if scale == WHOLE:
        axes.set_xlim(values.min() - 0.5, values.max() + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    elif scale == TENTHS:
        axes.set_xlim(values.min() - 0.05, values.max() + 0.05)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], min_n_ticks=1))
    else:
        axes.set_xscale("log")
        axes.set_xlim(values.min() / 1.3, values.max() * 1.3)
        if scale == POWERS:
            ticks = sorted(set(values.tolist()))
            axes.xaxis.set_major_locator(FixedLocator(ticks))
        else:
            ticks = [t for t in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2) if _inside(t, values)]
            axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def _inside(tick: float, values: np.ndarray) -> bool:
    return bool(values.min() / 1.3 <= tick <= values.max() * 1.3)
