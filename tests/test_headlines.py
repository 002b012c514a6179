from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline import headlines


def variants(low: float, high: float) -> pd.DataFrame:
    gains = {"map_gain": [0.02, 0.0], "map_gain_low": [low, 0.0], "map_gain_high": [high, 0.0]}
    return pd.DataFrame({"model": ["impute", "mask"], "map": [0.9, 0.88], **gains})


def test_of_variants() -> None:
    assert headlines.of_variants(variants(0.01, 0.03), "mask") == {
        "impute_map": 0.9,
        "mask_map": 0.88,
        "imputing_kept": 0,
    }


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.03, "imputing helps"), (-0.03, -0.01, "imputing harms"), (-0.1, 0.1, "no diff")],
)
def test_what_imputation_bought(low: float, high: float, verdict: str) -> None:
    assert verdict in headlines.bought(variants(low, high), "impute")


def test_a_mean_weighted_by_filled_cells() -> None:
    table = pd.DataFrame({"accuracy": [0.5, 1.0, np.nan], "filled": [3, 1, 9]})
    assert headlines.weighted(table, "accuracy") == pytest.approx(0.625)
    assert np.isnan(headlines.weighted(table.assign(filled=0), "accuracy"))


def test_of_demo() -> None:
    columns = {"auc": [0.9, 0.5], "accuracy": [0.8, 0.4], "score_auc": [0.7, 0.52]}
    found = headlines.of_demo(pd.DataFrame({"attribute": ["has_hat", "coin_toss"], **columns}))
    assert found == {
        "visual_auc": 0.9,
        "visual_accuracy": 0.8,
        "coin_auc": 0.52,
        "coin_accuracy": 0.4,
    }
