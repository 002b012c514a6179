"""The audit: its figures by hand, and intervals that hold what the filled cells will show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit

from pipeline.impute import audit
from pipeline.impute.audit import COLUMNS, expected, table
from pipeline.impute.fill import fill_table
from pipeline.impute.learnable import LEAST
from pipeline.metrics.scores import auc

NAN = float("nan")
FIGURES = ("accuracy", "auc", "mcc", "brier")


def cells(n: int, rng: np.random.Generator, slope: float = 1.5) -> tuple[np.ndarray, ...]:
    """Labels, calibrated probabilities and decisions of n cells alike."""
    logits = slope * rng.normal(size=n)
    p = expit(logits)
    return (rng.random(n) < p).astype(float), p, (p >= 0.5).astype(float), logits


def test_figures_by_hand() -> None:
    y = np.array([1.0, 1, 1, 0, 0, 0])
    decided = np.array([1.0, 1, 0, 0, 0, 1])
    p = np.array([0.9, 0.8, 0.4, 0.3, 0.2, 0.7])
    out = expected(y, p, decided, p, np.ones(6), 10, np.random.default_rng(0))
    assert tuple(out) == COLUMNS[3:]
    assert out["accuracy"] == pytest.approx(4 / 6)
    # tp, fp, tn, fn = 2, 1, 2, 1.
    assert out["mcc"] == pytest.approx((2 * 2 - 1) / 9)
    assert out["brier"] == pytest.approx((0.01 + 0.04 + 0.36 + 0.09 + 0.04 + 0.49) / 6)
    assert out["auc"] == pytest.approx(8 / 9)
    for name in FIGURES:
        assert out[f"{name}_low"] <= out[name] <= out[f"{name}_high"]


def test_too_few_labels_promise_nothing() -> None:
    rng = np.random.default_rng(0)
    y, _, _, z = cells(90, rng)
    labels = np.stack([y, np.arange(90) < LEAST - 1, np.arange(90) < LEAST], axis=1).astype(float)
    labels[80:] = NAN
    scores, fold = np.stack([z, z, z], axis=1), np.arange(90) % 3
    filled = fill_table(scores, labels, fold, np.array([True, False, False]), "platt", 3 * ["f1"])
    found = table(["a", "few", "enough"], labels, fold, filled, scores, (0,)).set_index("attribute")
    assert found["filled"].tolist() == [10, 10, 10]
    assert found.loc["few", list(COLUMNS[3:])].isna().all()
    assert found.loc[["a", "enough"], list(COLUMNS[3:])].notna().all(axis=None)


def test_empty_margins_and_no_cells() -> None:
    rng = np.random.default_rng(0)
    assert expected(*([np.zeros(0)] * 5), 5, rng) == {}
    ones = np.ones(8)
    out = expected(ones, 0.9 * ones, ones, ones, ones, 5, rng)
    assert (out["accuracy"], out["mcc"]) == (1, 0)
    assert np.isnan([out["auc"], out["auc_low"], out["auc_high"]]).all()
    assert out["accuracy_low"] < 1


def accuracy(y: np.ndarray, p: np.ndarray, decided: np.ndarray, z: np.ndarray) -> float:
    return float((y == decided).mean())


def mcc(y: np.ndarray, p: np.ndarray, decided: np.ndarray, z: np.ndarray) -> float:
    return float(np.corrcoef(y, decided)[0, 1]) if 0 < decided.mean() < 1 else 0.0


def brier(y: np.ndarray, p: np.ndarray, decided: np.ndarray, z: np.ndarray) -> float:
    return float(np.square(p - y).mean())


def area(y: np.ndarray, p: np.ndarray, decided: np.ndarray, z: np.ndarray) -> float:
    return auc(y, z)


@pytest.mark.parametrize(("audited", "filled"), [(60, 40), (60, 400), (300, 30)])
def test_intervals_hold_what_filled_cells_show(
    audited: int, filled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "DRAWS", 400)
    figures: dict[str, Callable[..., float]] = {
        "accuracy": accuracy, "mcc": mcc, "brier": brier, "auc": area
    }  # fmt: skip
    inside = dict.fromkeys(figures, 0)
    for seed in range(200):
        rng = np.random.default_rng([seed, audited, filled])
        out = expected(*cells(audited, rng), np.ones(audited), filled, rng)
        later = cells(filled, rng)
        for name, figure in figures.items():
            inside[name] += out[f"{name}_low"] <= figure(*later) <= out[f"{name}_high"]
    # Of 200 at 95 % less than 176 (88 %) has a chance of 1 in 10,000.
    assert min(inside.values()) >= 176, inside
    assert max(inside.values()) <= 200
    assert sum(inside.values()) / 800 <= 0.985, "intervals as wide as this say little"


def test_intervals_widen_with_fewer_cells_filled_or_audited() -> None:
    def width(audited: int, filled: int) -> np.ndarray:
        rng = np.random.default_rng(1)
        y, p, decided, z = (np.tile(part, audited // 50) for part in cells(50, rng))
        out = expected(y, p, decided, z, np.ones(len(y)), filled, rng)
        return np.array([out[f"{name}_high"] - out[f"{name}_low"] for name in FIGURES])

    assert (width(200, 20) > 1.5 * width(200, 200)).all()
    assert (width(200, 200) > width(200, 20_000)).all()
    assert (width(50, 500) > 1.5 * width(500, 500)).all()


def test_of_many_cells_the_brier_score_has_the_same_interval_undrawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y, p, decided, z = cells(3000, np.random.default_rng(0))
    importance = np.random.default_rng(1).uniform(0, 2, 3000)

    def ends() -> tuple[float, float]:
        out = expected(y, p, decided, z, importance, 1000, np.random.default_rng(2))
        return out["brier_low"], out["brier_high"]

    drawn = ends()
    monkeypatch.setattr(audit, "MOST_RESAMPLED", 100)
    assert ends() != drawn
    assert ends() == pytest.approx(drawn, abs=1e-3)


def test_nothing_to_fill_is_taken_for_as_many_cells_as_were_audited() -> None:
    y, p, decided, z = cells(80, np.random.default_rng(0))
    one = expected(y, p, decided, z, np.ones(80), 0, np.random.default_rng(5))
    two = expected(y, p, decided, z, np.ones(80), 80, np.random.default_rng(5))
    assert one == two


def test_a_row_per_attribute_of_known_training_cells() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (120, 3))
    labels = (rng.random((120, 3)) < expit(logits)).astype(float)
    labels[rng.random((120, 3)) < 0.3] = NAN
    labels[:, 2] = NAN
    fold = np.arange(120) % 4 - 1
    filled = fill_table(logits, labels, fold, np.ones(3, dtype=bool), "platt", ["prevalence"] * 3)
    out = table(["a", "b", "c"], labels, fold, filled, logits, (0,))
    assert tuple(out.columns) == COLUMNS
    assert out["attribute"].tolist() == ["a", "b", "c"]
    for a in range(3):
        known = ~np.isnan(labels[:, a]) & (fold >= 0)
        assert out.loc[a, "audited"] == known.sum()
        assert out.loc[a, "filled"] == np.isnan(labels[:, a]).sum()
        if a < 2:
            right = (filled.decided[known, a] == labels[known, a]).mean()
            assert out.loc[a, "accuracy"] == pytest.approx(right)
            assert out.loc[a, "auc"] == auc(labels[known, a], logits[known, a])
    assert out.loc[2, "accuracy":].isna().all()
    again = table(["a", "b", "c"], labels, fold, filled, logits, (0,))
    assert out.equals(again)
    # An attribute's row does not depend on the others.
    one = np.ones(1, dtype=bool)
    part = fill_table(logits[:, :1], labels[:, :1], fold, one, "platt", ["prevalence"])
    alone = table(["a"], labels[:, :1], fold, part, logits[:, :1], (0,))
    assert alone.loc[0].tolist() == out.loc[0].tolist()


def test_importance_counts_a_cell_as_so_many() -> None:
    y, p, decided, z = cells(40, np.random.default_rng(3))
    times = np.where(y == 1, 3, 1)
    weighed = expected(y, p, decided, z, times.astype(float), 60, np.random.default_rng(0))
    copies = (np.repeat(part, times) for part in (y, p, decided, z))
    copied = expected(*copies, np.ones(times.sum()), 60, np.random.default_rng(0))
    for name in FIGURES:
        assert weighed[name] == pytest.approx(copied[name])
    # Only the ratios count, and as many cells have been audited as there are.
    again = expected(y, p, decided, z, 7.0 * times, 60, np.random.default_rng(0))
    assert again == pytest.approx(weighed)
    for name in ("accuracy", "mcc", "brier"):
        assert weighed[f"{name}_low"] < weighed[name] < weighed[f"{name}_high"]
        width = weighed[f"{name}_high"] - weighed[f"{name}_low"]
        assert width > copied[f"{name}_high"] - copied[f"{name}_low"]


def test_where_cells_may_be_left_empty_only_the_others_are_audited() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (400, 2))
    labels = (rng.random((400, 2)) < expit(logits)).astype(float)
    labels[rng.random((400, 2)) < 0.4] = NAN
    fold = np.arange(400) % 5 - 1
    filled = fill_table(logits, labels, fold, np.array([True, False]), "platt", 2 * ["prevalence"])
    every = table(["a", "b"], labels, fold, filled, logits, (0,))
    sure = np.where(np.isnan(labels), filled.correctness, filled.held_out_correctness) >= 0.8
    out = table(["a", "b"], labels, fold, filled, logits, (0,), sure)
    kept = ~np.isnan(labels[:, 0]) & (filled.held_out_correctness[:, 0] >= 0.8)
    assert 30 < out.loc[0, "audited"] == kept.sum() < every.loc[0, "audited"]
    left = np.isnan(labels[:, 0]) & (filled.correctness[:, 0] >= 0.8)
    assert 30 < out.loc[0, "filled"] == left.sum() < every.loc[0, "filled"]
    right = (filled.decided[kept, 0] == labels[kept, 0]).mean()
    assert out.loc[0, "accuracy"] == pytest.approx(right)
    assert right > 0.8 > every.loc[0, "accuracy"]
    # Nothing is held_out_correctness of an attribute that nothing tells: all its cells stay empty.
    assert out.loc[1, ["audited", "filled"]].tolist() == [0, 0]
    assert out.loc[1, "accuracy":].isna().all()
    nothing = table(["a", "b"], labels, fold, filled, logits, (0,), np.ones((400, 2), dtype=bool))
    assert nothing.equals(every)


def test_draws_are_the_same_however_many_are_made_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y, p, decided, logits = cells(80, np.random.default_rng(1))

    def figures() -> dict[str, float]:
        rng = np.random.default_rng(2)
        return expected(y, p, decided, logits, np.ones(80), 70, rng)

    together = figures()
    monkeypatch.setattr(audit, "MOST_DRAWN", 100)
    assert figures() == together
