"""Pictures of a training: its scores by epoch and its loss by step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipeline.plots.style import BLUE, MUTED, ORANGE, grid, picture, short

PANELS = {
    "loss": "Loss (as minimised, nats)",
    "binary_accuracy": "Binary accuracy",
    "auc": "AUC (mean over attributes)",
}
LOOKS: dict[str, dict[str, Any]] = {
    "": {"label": "training", "color": MUTED, "ls": "--"},
    "val_": {"label": "validation", "color": BLUE, "ls": "-"},
}


def learning_curves(
    history: pd.DataFrame, path: str | Path, categorical: tuple[str, ...] = ()
) -> None:
    """Loss, binary accuracy and AUC by epoch, for the training and the validation images.

    Parameters
    ----------
    history : column epoch, and of loss, binary_accuracy, auc and the same with val_ before it
        those that there are; NaN is undefined. Column kept as of `fitting.curves` or
        `fitting.mean`: the epochs that a fit kept are marked, 0 for what it began with.
    path : PNG to write.
    categorical : names of attributes of which the history has accuracy_NAME and f1_NAME, too; they
        get a panel each.
    """
    panels = PANELS | {
        f"{score}_{name}": f"{short(name)}: {'accuracy' if score == 'accuracy' else 'macro F1'}"
        for name in categorical
        for score in ("accuracy", "f1")
    }
    columns = 3 if not categorical else 4
    kept = _kept_epochs(history)
    rows = math.ceil(len(panels) / columns)
    size = 10 if not categorical else 12
    with picture(path, size, 0.9 + 2.7 * rows, "Learning curves of the final classifier") as figure:
        axes_of = grid(figure, len(panels), columns)
        for axes, (column, title) in zip(axes_of, panels.items(), strict=True):
            for prefix, look in LOOKS.items():
                if prefix + column in history:
                    values = history[prefix + column].astype(float)
                    axes.plot(history["epoch"], values, marker="o", ms=3, **look)
            for epoch in kept:
                axes.axvline(epoch, color=ORANGE, lw=1, ls=":")
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
            axes.grid(axis="y")
        keys = [Line2D([], [], marker="o", ms=3, **look) for look in LOOKS.values()]
        label = "kept, by head" if len(kept) > 1 else f"kept (epoch {kept[0]})"
        if kept == [0]:
            label = "kept as it began"
        keys.append(Line2D([], [], color=ORANGE, lw=1, ls=":", label=label))
        figure.legend(handles=keys, loc="outside upper right", ncols=len(keys))


def _kept_epochs(history: pd.DataFrame) -> list[int]:
    """The epochs that were kept, in order; 0 is among them where a fit kept what it began with."""
    epochs = history.loc[history["kept"] > 0, "epoch"].tolist()
    # Shares are rounded to six places.
    return [0, *epochs] if history["kept"].sum() < 1 - 1e-4 else epochs


def training_loss(steps: pd.DataFrame, path: str | Path, title: str) -> None:
    """The loss of every step of the optimiser and, of forty steps or more, its running mean.

    Parameters
    ----------
    steps : columns iteration_number and training_loss.
    path : PNG to write.
    """
    window = len(steps) // 20
    number, loss = steps["iteration_number"], steps["training_loss"].astype(float)
    with picture(path, 8, 4.2, title) as figure:
        axes = figure.subplots()
        if window > 1:
            mean = loss.rolling(window, min_periods=1).mean()
            axes.plot(number, loss, color=MUTED, lw=0.7, label="each mini-batch")
            axes.plot(number, mean, color=BLUE, lw=1.8, label=f"mean of the last {window}")
            axes.legend()
        else:
            axes.plot(number, loss, color=BLUE, lw=1.8)
        axes.set(xlabel="iteration_number", ylabel="training_loss")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
