"""Pictures for the reports: PNG files that are byte-stable and readable with 1 to 40 attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from pipeline.data.categories import truth
from pipeline.data.labels import LabelTable
from pipeline.metrics import scores
from pipeline.plots.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    columns_of,
    grid,
    nothing,
    picture,
    series,
    short,
)

JOINED = 5
"""Cells of a bin of the reliability diagram from which on a line leads to it: of fewer the share
jumps by chance."""
LONGEST_TITLE = 19
"""Characters of a small panel's heading."""
CELL_LOOKS: dict[str, dict[str, Any]] = {
    "positive": {"facecolor": BLUE, "lw": 0},
    "negative": {"facecolor": "#C4C9CE", "lw": 0},
    "unknown": {"facecolor": "white", "edgecolor": "#BDBDBD", "hatch": "////", "lw": 0.6},
}


def confusion_grid(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """A 2 x 2 confusion matrix per attribute: counts, and shares of the label's row.

    Right decisions are blue and wrong ones orange, the darker the larger their share.

    Parameters
    ----------
    rows : per attribute: attribute, tp, fp, tn, fn (counts) and threshold; NaN for a value
        of a categorical attribute.
    path : PNG to write.
    """
    columns = columns_of(len(rows), 8)
    width = max(1.6 * columns + 0.4, 6.2)
    height = 0.85 + 1.85 * math.ceil(max(len(rows), 1) / columns)
    title = "Final classifier, test images: confusion (% of each label)"
    with picture(path, width, height, title, layout="compressed") as figure:
        for axes, row in zip(grid(figure, len(rows), columns), rows, strict=True):
            _confusion(axes, row)
        figure.supxlabel("predicted", size=9, color=MUTED)
        figure.supylabel("label", size=9, color=MUTED)


def _confusion(axes: Axes, row: Mapping[str, Any]) -> None:
    matrix = np.array([[row["tn"], row["fp"]], [row["fn"], row["tp"]]], dtype=int)
    totals = matrix.sum(axis=1)
    for label, predicted in np.ndindex(2, 2):
        count, total = matrix[label, predicted], totals[label]
        share = count / total if total else 0.0
        color = BLUE if label == predicted else ORANGE
        shade = 0.06 + 0.84 * share
        axes.add_patch(Rectangle((predicted, label), 1, 1, fc=color, alpha=shade, lw=0))
        ink = "white" if share > 0.7 else INK
        x = predicted + 0.5
        axes.text(x, label + 0.42, f"{count:,}", size=9, color=ink, ha="center", va="center")
        text = f"{share:.0%}" if total else "none"
        axes.text(x, label + 0.72, text, size=7, color=ink, ha="center", va="center")
    axes.set(xlim=(0, 2), ylim=(2, 0), aspect="equal")
    axes.set_xticks([0.5, 1.5], ["0", "1"])
    axes.set_yticks([0.5, 1.5], ["0", "1"])
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    cut = row["threshold"]
    rule = "most probable value" if math.isnan(cut) else f"1 from {cut:.2f} on"
    _heading(axes, row["attribute"], rule)


def calibration(curves: Sequence[tuple[str, np.ndarray, np.ndarray]], path: str | Path) -> None:
    """Reliability diagrams: how often cells of a probability are positive, per attribute.

    Of the imputation, on known training cells that no model behind the probability has seen.

    Parameters
    ----------
    curves : per attribute its name, labels [n] (1, 0 and NaN) and probabilities [n].
    path : PNG to write.
    """
    columns = columns_of(len(curves), 7)
    width = max(1.8 * columns + 0.4, 6.2)
    height = 0.75 + 2.0 * math.ceil(max(len(curves), 1) / columns)
    title = "Imputation: calibration out of fold, with 95 % intervals"
    with picture(path, width, height, title, layout="compressed") as figure:
        for axes, (name, y, p) in zip(grid(figure, len(curves), columns), curves, strict=True):
            axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=":")
            axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
            axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
            axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
            axes.tick_params(length=2, pad=2, labelsize=7)
            _reliability(axes, y, p)
            error = scores.expected_calibration_error(y, p)
            _heading(axes, name, "" if math.isnan(error) else f"ECE {error:.3f}")
        figure.supxlabel("mean probability of the bin (dot area: its cells)", size=9, color=MUTED)
        figure.supylabel("share of positives", size=9, color=MUTED)


def _reliability(axes: Axes, y: np.ndarray, p: np.ndarray) -> None:
    bins = scores.calibration_bins(y, p)
    if bins.empty:
        nothing(axes, "no known label")
        return
    x, share = bins["probability"], bins["positive"] / bins["cells"]
    lows, highs = zip(
        *(
            scores.wilson_interval(int(k), int(n))
            for k, n in zip(bins["positive"], bins["cells"], strict=True)
        ),
        strict=True,
    )
    axes.vlines(x, lows, highs, color=FAINT, lw=2.5)
    axes.plot(x, share.where(bins["cells"] >= JOINED), color=BLUE, lw=1.2)
    area = 6 + 50 * bins["cells"] / bins["cells"].sum()
    axes.scatter(x, share, s=area, color=BLUE, zorder=3, lw=0, clip_on=False)


def _heading(axes: Axes, name: str, note: str) -> None:
    """A panel's name and under it, smaller, one number."""
    axes.set_title(short(name, LONGEST_TITLE), size=8, pad=13)
    axes.annotate(
        note,
        xy=(0, 1),
        xytext=(0, 3),
        xycoords="axes fraction",
        textcoords="offset points",
        size=7,
        color=MUTED,
        va="bottom",
    )


def pies(table: LabelTable, path: str | Path) -> None:
    """How often each value of each categorical attribute occurs among its known cells.

    Values of less than a hundredth, those without a column among them, are one slice.
    """
    columns = columns_of(len(table.categories), 4)
    rows = math.ceil(len(table.categories) / columns)
    width, height = max(3.4 * columns, 4.2), 0.6 + 2.9 * rows
    with picture(path, width, height, "Values of categorical attributes") as figure:
        axes_of = grid(figure, len(table.categories), columns)
        for axes, one in zip(axes_of, table.categories, strict=True):
            found = truth(table.values[:, one.start : one.stop])
            known = found[found != -1]
            # Those without a column are known by their texts alone.
            values = len({*table.cells[one.name]} - {""})
            shares = {v: float((known == k).mean()) for k, v in enumerate(one.values)}
            large = {v: share for v, share in shares.items() if share >= 0.01}
            rest = 1 - sum(large.values())
            slices = [*large.values(), *([rest] if rest > 1e-9 else [])]
            labels = [
                short(v, LONGEST_TITLE) if share >= 0.04 else "" for v, share in large.items()
            ]
            if rest > 1e-9:
                labels.append(f"{values - len(large)} rarer" if rest >= 0.04 else "")
            tones = matplotlib.colormaps["cividis"](np.linspace(0.1, 0.95, max(len(slices), 2)))
            colors = [*tones[: len(large)], *(["#C4C9CE"] if rest > 1e-9 else [])]
            axes.pie(
                slices,
                labels=_apart(slices, labels),
                colors=colors,
                startangle=90,
                counterclock=False,
                wedgeprops={"edgecolor": "white", "linewidth": 0.6},
                textprops={"fontsize": 7, "color": INK},
            )
            _heading(axes, one.name, f"{values} values")


def _apart(slices: Sequence[float], labels: Sequence[str]) -> list[str]:
    """``labels`` without those that would touch a larger slice's on the same side of the pie."""
    middle = 2 * np.pi * (np.cumsum(slices) - np.array(slices) / 2)
    left, height = np.sin(middle) < 0, np.cos(middle)
    kept: list[int] = []
    for i in np.argsort(-np.array(slices), kind="stable").tolist():
        beside = [k for k in kept if left[k] == left[i] and abs(height[k] - height[i]) < 0.25]
        if labels[i] and not beside:
            kept.append(i)
    return [label if i in kept else "" for i, label in enumerate(labels)]


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
    title: str = "Final classifier: ranking of the test images",
) -> None:
    """ROC and precision-recall curves, a line per attribute, the best AUC first in the legend.

    An attribute's line looks the same in every picture of a table: it goes by its place there.

    Parameters
    ----------
    curves : per attribute its name, labels [n] (1, 0 and NaN) and scores [n].
    path : PNG to write.
    """
    areas = [scores.auc(y, score) for _, y, score in curves]
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
        for i in order:
            _, y, score = curves[i]
            color, dashes = series(i)
            if math.isnan(areas[i]):
                keys.append(Line2D([], [], ls="", label=f"{names[i]}  (one class only)"))
                continue
            width = 1.6 if len(curves) <= 8 else 1.0
            look: dict[str, Any] = {"color": color, "ls": dashes, "lw": width}
            precision = scores.average_precision(y, score)
            label = f"{names[i]}  {areas[i]:.2f} / {precision:.2f}"
            keys.append(Line2D([], [], label=label, color=color, ls=dashes, lw=2))
            points = scores.roc_curve_points(y, score)
            roc.plot(points["fpr"], points["tpr"], **look)
            points = scores.pr_curve_points(y, score)
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
