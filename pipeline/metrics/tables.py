"""The tables and headline numbers of a run, from arrays and frames to frames and dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data import categories
from pipeline.data.labels import LabelTable
from pipeline.metrics.scores import attribute_scores, auc, auc_interval, wilson_interval

IMPUTED = "impute"
"""The row of reports/missing.csv of the classifier that learned from the filled table."""
TRUTH_COLUMNS = (
    *("attribute", "cells", "accuracy", "accuracy_low", "accuracy_high"),
    *("auc", "auc_low", "auc_high", "score_auc", "score_auc_low", "score_auc_high"),
    *("brier", "majority_accuracy"),
)


def attribute_table(
    attributes: Sequence[str],
    labels: np.ndarray,
    probability: np.ndarray,
    thresholds: Sequence[float] | np.ndarray,
    extra: Mapping[str, Sequence[Any]] | None = None,
    ranking: np.ndarray | None = None,
    decided: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row per attribute with `scores.attribute_scores`, undefined scores empty.

    Parameters
    ----------
    labels, probability : [N, A]; NaN labels are unknown and not scored.
    extra : further columns, [A] each.
    ranking
        [N, A] scores for the metrics that need a ranking, where ``probability`` comes from a
        calibrator per fold, which changes the order between folds.
    decided
        [N, A] values 0 and 1 to count instead of cutting at the threshold, where each fold's
        threshold was chosen without it.
    """
    rows = []
    for number, attribute in enumerate(attributes):
        scores = attribute_scores(
            labels[:, number],
            probability[:, number],
            thresholds[number],
            None if decided is None else decided[:, number],
            None if ranking is None else ranking[:, number],
        )
        added = {name: values[number] for name, values in (extra or {}).items()}
        rows.append({"attribute": attribute, **scores, **added})
    return pd.DataFrame(rows).round(6)


def held_out_arrays(
    attributes: Sequence[str], held_out: pd.DataFrame, images: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (NaN where unknown), probabilities and values, [N, A] each, from their long form.

    Parameters
    ----------
    held_out : columns image, attribute, label, probability, value: the known training cells.
    images : [N], the training images.
    """
    labels = np.full((len(images), len(attributes)), np.nan)
    probability, decided = np.full(labels.shape, 0.5), np.zeros(labels.shape)
    row = {image: i for i, image in enumerate(images)}
    column = {attribute: i for i, attribute in enumerate(attributes)}
    at = held_out["image"].map(row).to_numpy(), held_out["attribute"].map(column).to_numpy()
    labels[at] = held_out["label"]
    probability[at] = held_out["probability"]
    decided[at] = held_out["value"]
    return labels, probability, decided


def imputation_columns(
    entries: Sequence[Mapping[str, Any]], expected: pd.DataFrame
) -> dict[str, Sequence[Any]]:
    """Columns that say what is to be expected of the filled cells, [A] each.

    Parameters
    ----------
    entries : [A] of data/imputed/summary.json.
    expected : data/imputed/audit.csv, in the same order.
    """
    found = [entry["missingness"] for entry in entries]
    at_random = [
        "no" if one["depends_on_picture"] or one["depends_on_label"] else "not refuted"
        for one in found
    ]
    figures = [c for c in expected.columns if c not in ("attribute", "audited", "filled")]
    return {
        "learnable": [entry["learnable"] for entry in entries],
        "permutation_p": [entry["permutation_p"] for entry in entries],
        "filled": [entry["filled"] for entry in entries],
        **{f"expected_{name}": expected[name].tolist() for name in figures},
        "missing_at_random": at_random,
    }


def curve_table(
    attributes: Sequence[str],
    labels: np.ndarray,
    probability: np.ndarray,
    points: Callable[[np.ndarray, np.ndarray], pd.DataFrame],
) -> pd.DataFrame:
    """The points of every attribute's curve, with a column ``attribute``; only where defined."""
    frames = []
    for number, attribute in enumerate(attributes):
        known = ~np.isnan(labels[:, number])
        if len(np.unique(labels[known, number])) == 2:
            frame = points(labels[known, number], probability[known, number])
            frame.insert(0, "attribute", attribute)
            frames.append(frame)
    if not frames:
        return pd.DataFrame(columns=["attribute"])
    return pd.concat(frames).round(6)


def category_table(
    clean: LabelTable, labels: np.ndarray, probability: np.ndarray, expected: pd.DataFrame
) -> pd.DataFrame:
    """One row per categorical attribute: what was filled, and how the final classifier does.

    Parameters
    ----------
    clean : names the attributes.
    labels, probability : [n, A] of the test images, columns as in ``clean``.
    expected : data/imputed/categorical.csv.

    Returns
    -------
    The columns of ``expected``, those that `pipeline.impute.categorical.audit` estimates with
    ``expected_`` before them; then of the test cells ``known``, ``accuracy`` with its 95 % interval
    (Wilson), ``f1_macro`` and ``majority_test_accuracy``, of the table's most frequent value.
    """
    names = ("accuracy", "accuracy_low", "accuracy_high", "f1_macro", "brier")
    frame = expected.rename(columns={name: f"expected_{name}" for name in names})
    rows = []
    for one in clean.categories:
        true = categories.truth(labels[:, one.start : one.stop])
        known = true != -1
        given = categories.chosen(probability[known, one.start : one.stop])
        n, right = len(given), int((given == true[known]).sum())
        low, high = wilson_interval(right, n)
        rows.append(
            {
                "known": n,
                "accuracy": right / n if n else np.nan,
                "accuracy_low": low,
                "accuracy_high": high,
                "f1_macro": categories.macro_f1(true[known], given),
                "majority_test_accuracy": (true[known] == 0).mean() if n else np.nan,
            }
        )
    scored = ("known", "accuracy", "accuracy_low", "accuracy_high", "f1_macro")
    tested = pd.DataFrame(rows, columns=[*scored, "majority_test_accuracy"])
    return pd.concat([frame.reset_index(drop=True), tested], axis=1).round(6)


def truth_table(truth: pd.DataFrame, provenance: pd.DataFrame) -> pd.DataFrame:
    """How the imputed cells compare with the truth, one row per attribute.

    Parameters
    ----------
    truth : image and one 0/1 column per attribute, fully known.
    provenance : image, attribute, value, probability, score of each filled cell.

    Returns
    -------
    Columns as in `TRUTH_COLUMNS`; ``auc`` is of the filled probabilities, 0.5 for an attribute
    that takes its prevalence; ``score_auc`` of the heads' scores behind them;
    ``majority_accuracy`` is what filling in the majority class of the truth would reach.
    """
    long = truth.melt(id_vars="image", var_name="attribute", value_name="truth")
    # An empty value is one that the policy abstained from.
    provenance = provenance[provenance["value"].astype(str) != ""]
    cells = provenance.merge(long, on=["image", "attribute"], how="left", validate="one_to_one")
    rows = []
    for attribute, group in cells.groupby("attribute", sort=False):
        y, p = group["truth"].to_numpy(dtype=float), group["probability"].to_numpy(dtype=float)
        right = int((group["value"].to_numpy(dtype=float) == y).sum())
        low, high = wilson_interval(right, len(y))
        area = auc(y, p)
        positive = int(y.sum())
        auc_low, auc_high = auc_interval(area, positive, len(y) - positive)
        score_area = auc(y, group["score"].to_numpy(dtype=float))
        score_low, score_high = auc_interval(score_area, positive, len(y) - positive)
        rows.append(
            {
                "attribute": attribute,
                "cells": len(y),
                "accuracy": right / len(y),
                "accuracy_low": low,
                "accuracy_high": high,
                "auc": area,
                "auc_low": auc_low,
                "auc_high": auc_high,
                "score_auc": score_area,
                "score_auc_low": score_low,
                "score_auc_high": score_high,
                "brier": float(np.mean((p - y) ** 2)),
                "majority_accuracy": max(positive, len(y) - positive) / len(y),
            }
        )
    order = {name: i for i, name in enumerate(truth.columns)}
    rows.sort(key=lambda row: order[str(row["attribute"])])
    return pd.DataFrame(rows, columns=list(TRUTH_COLUMNS)).round(6)


def finite(content: Mapping[str, Any], digits: int = 4) -> dict[str, Any]:
    """Nested numbers rounded; undefined ones (NaN, None) and empty groups are left out."""
    kept: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            group = finite(value, digits)
            if group:
                kept[key] = group
        elif isinstance(value, (int, np.integer)):
            kept[key] = int(value)
        elif value is not None and np.isfinite(value):
            kept[key] = round(float(value), digits)
    return kept


def some(
    content: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """The ``wanted`` numbers of each group of ``content``, those that there are."""
    found = {
        group: {name: content[group][name] for name in names if name in content[group]}
        for group, names in wanted.items()
        if group in content
    }
    return {group: numbers for group, numbers in found.items() if numbers}


def of_variants(variants: pd.DataFrame, kept: str) -> dict[str, Any]:
    """mAP of each row of reports/missing.csv, and whether imputing was ``kept``."""
    table = variants.set_index("model")
    content: dict[str, Any] = {f"{name}_map": table.loc[name, "map"] for name in table.index}
    return {**content, "imputing_kept": int(kept == IMPUTED)}


def effect_of_imputing(variants: pd.DataFrame, kept: str) -> str:
    """One sentence on what imputation changed in the final classifier."""
    row = variants.set_index("model").loc[IMPUTED]
    low, high = row["map_gain_low"], row["map_gain_high"]
    verdict = "imputing helps" if low > 0 else "imputing harms" if high < 0 else "no difference"
    return (
        f"final classifier, test mAP imputed less masked: {row['map_gain']:+.4f} ({low:+.4f} to "
        f"{high:+.4f}): {verdict}; kept: {kept}"
    )


def weighted(table: pd.DataFrame, column: str) -> float:
    """Mean over attributes, weighted by how many cells each has filled."""
    defined = table[[column, "filled"]].dropna()
    weights = defined["filled"].to_numpy(dtype=float)
    if not weights.sum():
        return float("nan")
    return float(np.average(defined[column], weights=weights))


def of_demo(truth: pd.DataFrame, visible: Sequence[str], by_chance: str) -> dict[str, float]:
    """Means over some attributes of reports/imputation_truth.csv, and one of them; else NaN.

    Parameters
    ----------
    visible : attributes that the pictures show; by_chance : the one that they don't.
    """
    visual = truth[truth["attribute"].isin(visible)]
    coin = truth[truth["attribute"] == by_chance]
    return {
        "visual_auc": visual["auc"].mean(),
        "visual_accuracy": visual["accuracy"].mean(),
        "coin_auc": coin["score_auc"].mean(),
        "coin_accuracy": coin["accuracy"].mean(),
    }
