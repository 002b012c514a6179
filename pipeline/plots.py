"""Pictures for the reports: PNG files that are byte-stable and readable with 1 to 40 attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from pipeline import metrics
from pipeline.figures import BLUE, INK, MUTED, SERIES, columns_of, grid, picture, short
from pipeline.gallery import gallery
from pipeline.label_table import LabelTable
from pipeline.panels import calibration, confusion_grid, pies
from pipeline.training_figures import learning_curves, training_loss

__all__ = [
    "calibration",
    "class_distribution",
    "confusion_grid",
    "gallery",
    "learning_curves",
    "pies",
    "roc_pr",
    "training_loss",
]

CELL_LOOKS: dict[str, dict[str, Any]] = {
    "positive": {"facecolor": BLUE, "lw": 0},
    "negative": {"facecolor": "#C4C9CE", "lw": 0},
    "unknown": {"facecolor": "white", "edgecolor": "#BDBDBD", "hatch": "////", "lw": 0.6},
}


def class_distribution(table: LabelTable, path: str | Path) -> None:
    """Positive, negative and unknown cells of every attribute, as bars and as numbers.

    Parameters
    ----------
    table : values float [N, A] of 1, 0 and NaN.
    path : PNG to write.
    """
    total, attributes = table.values.shape
    counts = {
        "positive": (table.values == 1).sum(axis=0),
        "negative": (table.values == 0).sum(axis=0),
        "unknown": np.isnan(table.values).sum(axis=0),
    }
    title = f"Labels per attribute ({total:,} images)"
    with picture(path, 9, 1.3 + 0.24 * attributes, title) as figure:
        bars, numbers = figure.subplots(1, 2, sharey=True, width_ratios=[2.6, 1])
        left = np.zeros(attributes)
        for name, count in counts.items():
            bars.barh(np.arange(attributes), count, left=left, height=0.72, **CELL_LOOKS[name])
            left += count
        bars.set_yticks(np.arange(attributes), [short(name) for name in table.attributes])
        bars.set_ylim(attributes - 0.5, -1.6)
        bars.set_xlim(0, max(total, 1))
        bars.set_xlabel("images")
        bars.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        bars.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        bars.tick_params(axis="y", length=0, labelcolor=INK)
        bars.spines["left"].set_visible(False)
        _counts(numbers, counts)


def _counts(axes: Axes, counts: dict[str, np.ndarray]) -> None:
    """The numbers, in columns: inside a thin segment of a bar they would collide.

    Each column's heading is underlined in the look of its bars and so is the legend, too.
    """
    axes.set_xlim(0, 3)
    axes.set_axis_off()
    for right, (name, count) in enumerate(counts.items(), start=1):
        axes.text(right, -1.2, name, size=8, weight="bold", ha="right", va="center")
        axes.add_patch(Rectangle((right - 0.8, -0.85), 0.8, 0.26, **CELL_LOOKS[name]))
        for place, number in enumerate(count):
            axes.text(right, place, f"{number:,}", size=8, ha="right", va="center_baseline")


def roc_pr(
    curves: Sequence[tuple[str, np.ndarray, np.ndarray]],
    path: str | Path,
    title: str = "Ranking of the test images",
) -> None:
    """ROC and precision-recall curves, a line per attribute, the best AUC first in the legend.

    Parameters
    ----------
    curves : per attribute its name, labels [n] (1, 0 and NaN) and scores [n].
    path : PNG to write.
    """
    areas = [metrics.auc(y, score) for _, y, score in curves]
    order = sorted(
        range(len(curves)), key=lambda i: math.inf if math.isnan(areas[i]) else -areas[i]
    )
    names = [short(name) for name, _, _ in curves]
    # The legend has to fit below the panels: long names go in fewer columns.
    columns = columns_of(len(curves), 4 if max(map(len, names), default=0) < 20 else 3)
    height = 5.1 + 0.5 + 0.17 * math.ceil(len(curves) / columns)
    with picture(path, 10, height, title) as figure:
        roc, pr = grid(figure, 2, 2)
        roc.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=":")
        keys = []
        for color, i in zip(_colors(len(curves)), order, strict=True):
            _, y, score = curves[i]
            if math.isnan(areas[i]):
                keys.append(Line2D([], [], ls="", label=f"{names[i]}  (one class only)"))
                continue
            look: dict[str, Any] = {"color": color, "lw": 1.6 if len(curves) <= 8 else 1.0}
            precision = metrics.average_precision(y, score)
            label = f"{names[i]}  {areas[i]:.2f} / {precision:.2f}"
            keys.append(Line2D([], [], label=label, color=color, lw=2))
            points = metrics.roc_curve_points(y, score)
            roc.plot(points["fpr"], points["tpr"], **look)
            points = metrics.pr_curve_points(y, score)
            pr.plot(points["recall"], points["precision"], drawstyle="steps-pre", **look)
            share = float(np.nanmean(y))
            pr.plot(1.0, share, "o", color=color, ms=5, mec="white", clip_on=False, zorder=3)
        roc.set_title("ROC (dotted: chance)")
        roc.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
        pr.set_title("Precision and recall (dots: share of positives)")
        pr.set(xlabel="recall (true positive rate)", ylabel="precision")
        for axes in (roc, pr):
            axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
            axes.grid()
        figure.legend(
            handles=keys,
            title="attribute  AUC / average precision",
            title_fontsize=8,
            loc="outside lower center",
            ncols=columns,
            alignment="left",
            handlelength=1.4,
            columnspacing=1.4,
            labelspacing=0.35,
        )


def _colors(count: int) -> list[Any]:
    """A colour per line, best line first: hues for a few, one dark-to-light scale for many."""
    if count <= len(SERIES):
        return list(SERIES[:count])
    return list(matplotlib.colormaps["cividis"](np.linspace(0, 0.92, count)))
