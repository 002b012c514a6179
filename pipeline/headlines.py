"""The few figures of a run that stand for a whole table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipeline import final_targets
from pipeline.demo import COIN, VISUAL_ATTRIBUTES


def of_variants(variants: pd.DataFrame, kept: str) -> dict[str, Any]:
    """mAP of each row of reports/missing.csv, and whether imputing was ``kept``."""
    table = variants.set_index("model")
    content: dict[str, Any] = {f"{name}_map": table.loc[name, "map"] for name in table.index}
    return {**content, "imputing_kept": int(kept == final_targets.IMPUTE)}


def bought(variants: pd.DataFrame, kept: str) -> str:
    """One sentence on what imputation changed in the final classifier."""
    row = variants.set_index("model").loc[final_targets.IMPUTE]
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


def of_demo(truth: pd.DataFrame) -> dict[str, float]:
    """Means over the visual attributes of reports/imputation_truth.csv, and the coin; else NaN."""
    visual = truth[truth["attribute"].isin(VISUAL_ATTRIBUTES)]
    coin = truth[truth["attribute"] == COIN]
    return {
        "visual_auc": visual["auc"].mean(),
        "visual_accuracy": visual["accuracy"].mean(),
        "coin_auc": coin["score_auc"].mean(),
        "coin_accuracy": coin["accuracy"].mean(),
    }
