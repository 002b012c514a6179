"""Models on the same cells: paired differences and their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics import bootstrap
from pipeline.metrics.bootstrap import SCORES, compare
from pipeline.metrics.ranking import auc, average_precision

NAN = float("nan")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "DRAWS", 120)


def table(n: int = 60, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (n, 3)).astype(float)
    noise = rng.normal(0, 1, labels.shape)
    logits = {"poor": 0.5 * labels + noise, "good": 3 * labels + noise}
    labels[rng.random(labels.shape) < 0.2] = NAN
    return labels, {name: 1 / (1 + np.exp(1 - z)) for name, z in logits.items()}


def compared(labels: np.ndarray, models: dict[str, np.ndarray], seed: int = 0) -> pd.DataFrame:
    return compare(labels, models, "poor", seed).set_index("model")


def test_scores_by_hand() -> None:
    labels, models = table()
    out = compared(labels, models)
    assert list(out.index) == ["poor", "good"]
    assert (out["cells"] == (~np.isnan(labels)).sum()).all()
    assert (out["attributes"] == 3).all()
    known = ~np.isnan(labels)
    for name, p in models.items():
        pairs = list(zip(labels.T, p.T, strict=True))
        expected = {
            "map": np.mean([average_precision(y, z) for y, z in pairs]),
            "auc": np.mean([auc(y, z) for y, z in pairs]),
            "brier": np.square(p - labels)[known].mean(),
        }
        for score, value in expected.items():
            assert out.loc[name, score] == pytest.approx(value, abs=1e-6)
            assert out.loc[name, f"{score}_low"] < value < out.loc[name, f"{score}_high"]


def test_gains_are_differences_and_a_fall_of_the_brier_score_is_one() -> None:
    out = compared(*table())
    for score in SCORES:
        sign = -1 if score == "brier" else 1
        gain = sign * (out.loc["good", score] - out.loc["poor", score])
        assert out.loc["good", f"{score}_gain"] == pytest.approx(gain, abs=2e-6)
        low, high = out.loc["good", [f"{score}_gain_low", f"{score}_gain_high"]]
        assert 0 < low < gain < high
        assert out.loc["poor", [f"{score}_gain{end}" for end in ("", "_low", "_high")]].eq(0).all()


def test_differences_are_paired() -> None:
    """A model that is better by a hair on every image is better for sure."""
    labels, models = table()
    poor = models["poor"]
    nearer = np.where(labels == 1, poor + 0.01 * (1 - poor), 0.99 * poor)
    out = compared(labels, {"poor": poor, "nearer": nearer})
    assert out.loc["nearer", "brier_gain_low"] > 0
    width = out.loc["nearer", "brier_gain_high"] - out.loc["nearer", "brier_gain_low"]
    assert width < 0.2 * (out.loc["poor", "brier_high"] - out.loc["poor", "brier_low"])


def test_a_label_of_one_class_is_left_out_of_rankings_but_not_of_the_brier_score() -> None:
    labels, models = table()
    labels[:, 2] = np.where(np.isnan(labels[:, 2]), NAN, 1)
    out = compared(labels, models)
    part = compared(labels[:, :2], {name: p[:, :2] for name, p in models.items()})
    assert (out["attributes"] == 2).all()
    assert out.loc["good", ["map", "auc"]].tolist() == part.loc["good", ["map", "auc"]].tolist()
    assert out.loc["good", "brier"] != part.loc["good", "brier"]


def test_what_is_undefined_is_nan() -> None:
    models = {"poor": np.full((4, 2), 0.3), "good": np.full((4, 2), 0.6)}
    out = compared(np.ones((4, 2)), models)
    assert out[["map", "auc", "map_gain", "auc_low", "auc_gain_high"]].isna().all(axis=None)
    assert out.loc["good", "brier"] == pytest.approx(0.16)
    assert out.loc["good", "brier_gain"] == pytest.approx(0.49 - 0.16)
    nothing = compared(np.full((4, 2), NAN), models)
    assert nothing["cells"].tolist() == nothing["attributes"].tolist() == [0, 0]
    assert nothing[["map", "brier", "brier_low"]].isna().all(axis=None)


def test_seeded() -> None:
    labels, models = table(30)
    assert compared(labels, models).equals(compared(labels, models))
    assert not compared(labels, models).equals(compared(labels, models, seed=1))


@pytest.mark.parametrize("digits", [1, 9])
def test_a_draw_is_scored_as_the_images_drawn_would_be(digits: int) -> None:
    labels, models = table(n=40)
    labels[:, 2] = np.where(np.arange(40) < 3, labels[:, 2], 0)  # in some draws one class only
    probability = models["good"].round(digits)
    scored = bootstrap._Scored(labels, probability)
    rng = np.random.default_rng(3)
    for _ in range(30):
        rows = rng.integers(40, size=40)
        y, p = labels[rows], probability[rows]
        areas = np.array([auc(*pair) for pair in zip(y.T, p.T, strict=True)])
        precisions = np.array([average_precision(*pair) for pair in zip(y.T, p.T, strict=True)])
        brier = np.square(p - y)[~np.isnan(y)].mean()
        expected = [np.nanmean(precisions), np.nanmean(areas), brier]
        times = np.bincount(rows, minlength=40)
        assert scored.scores(times) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(scored.scores(np.zeros(40, dtype=np.int64))).all()
