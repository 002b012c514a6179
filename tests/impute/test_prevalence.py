"""Shares with intervals: figures by hand, coverage, and what worthless predictions change."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pipeline.data.categories import Attribute
from pipeline.impute.fill import fill_table
from pipeline.impute.prevalence import COLUMNS, COUNTED, share, table

NAN = float("nan")


def test_without_predictions_it_is_the_share_among_known_cells() -> None:
    y = np.array([1.0] * 3 + [0] * 7)
    found = share(y, np.full(10, 0.9), np.full(10, 0.9), most_weight=0.0)
    assert found.estimate == pytest.approx(0.3)
    assert found.weight == 0
    assert 3 / 20 <= found.low < 0.3 < found.high <= 13 / 20
    # Predictions that are all alike say nothing, however sure they are.
    same = share(y, np.full(10, 0.9), np.full(10, 0.9))
    assert (same.estimate, same.low, same.high) == pytest.approx((0.3, found.low, found.high))


def test_nothing_known_nothing_unknown_and_one_class() -> None:
    none = share(np.zeros(0), np.zeros(0), np.full(4, 0.2))
    assert np.isnan([none.estimate, none.low, none.high]).all()
    all_known = share(np.array([1.0, 0, 0, 0]), np.full(4, 0.2), np.zeros(0))
    assert (all_known.estimate, all_known.low, all_known.high) == (0.25, 0.25, 0.25)
    alike = share(np.zeros(30), np.full(30, 0.01), np.full(30, 0.01))
    assert (alike.estimate, alike.low) == (0, 0)
    assert 0 < alike.high < 0.2


def test_perfect_predictions_leave_little_open() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(400) < 0.3).astype(float)
    best = share(truth[:200], truth[:200], truth[200:])
    alone = share(truth[:200], truth[:200], truth[200:], most_weight=0.0)
    assert best.estimate == pytest.approx(truth.mean(), abs=1e-12)
    assert 0 < best.high - best.low < 0.3 * (alone.high - alone.low)


def test_biased_predictions_are_corrected() -> None:
    rng = np.random.default_rng(1)
    z = 2 * rng.normal(size=4000)
    truth = (rng.random(4000) < expit(z)).astype(float)
    found = share(truth[:2000], expit(z[:2000] + 2), expit(z[2000:] + 2))
    assert expit(z + 2).mean() > truth.mean() + 0.15
    assert found.low < truth.mean() < found.high


@pytest.mark.parametrize(
    ("known", "unknown", "slope"), [(40, 160, 2.0), (150, 150, 4.0), (150, 150, 0.0)]
)
def test_intervals_hold_the_share_of_the_table(known: int, unknown: int, slope: float) -> None:
    rng = np.random.default_rng([known, unknown])
    inside, widths, alone = 0, [], []
    for _ in range(400):
        z = slope * rng.normal(size=known + unknown) - 1
        truth = (rng.random(len(z)) < expit(z)).astype(float)
        p = expit(z)
        found = share(truth[:known], p[:known], p[known:])
        inside += found.low - 1e-12 <= truth.mean() <= found.high + 1e-12
        widths.append(found.high - found.low)
        other = share(truth[:known], p[:known], p[known:], most_weight=0.0)
        alone.append(other.high - other.low)
    # Binomial(400, .95): fewer than 365 has a chance of 1 in 500.
    assert 365 <= inside <= 398
    assert np.mean(widths) < (0.85 if slope else 1.03) * np.mean(alone)


def by_formula(
    y: np.ndarray, known: np.ndarray, unknown: np.ndarray, weight: float
) -> tuple[float, float]:
    """The estimate of PPI++ (arXiv:2311.01453, section 2) and its standard error, for the share in
    the population that known and unknown images are drawn from."""
    estimate = weight * unknown.mean() + (y - weight * known).mean()
    variance = (y - weight * known).var() / len(y) + weight**2 * unknown.var() / len(unknown)
    return float(estimate), float(np.sqrt(variance))


@pytest.mark.parametrize(("squeezed", "exact"), [(0.5, True), (1.0, False), (3.0, False)])
def test_it_is_prediction_powered_inference(squeezed: float, exact: bool) -> None:
    rng = np.random.default_rng(7)
    z = 1.5 * rng.normal(size=2000)
    y = (rng.random(800) < expit(z[:800])).astype(float)
    known, unknown = expit(squeezed * z[:800]), expit(squeezed * z[800:])
    found = share(y, known, unknown)
    # The table's known cells are counted: lambda of its unknown cells, m of N, serves all as m / N.
    weight = found.weight * len(unknown) / len(z)
    estimate, error = by_formula(y, known, unknown, weight)
    assert (found.weight == 1) == exact
    # Lambda differs a little between the parts that it is chosen without.
    assert found.estimate == pytest.approx(estimate, abs=1e-12 if exact else 1e-4)
    # What is left of the population's uncertainty is that this table is a sample of it.
    sampling = y.mean() * (1 - y.mean()) / len(z)
    assert np.sqrt(found.error**2 + sampling) == pytest.approx(error, rel=0.02)
    alone = share(y, known, unknown, most_weight=0.0)
    assert (alone.estimate, np.sqrt(alone.error**2 + sampling)) == pytest.approx(
        by_formula(y, known, unknown, 0.0)
    )


def test_the_table_has_every_attribute_value_and_group() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random((90, 3)) < 0.4).astype(float)
    labels[:, 2] = 1 - labels[:, 1]
    labels[rng.random(90) < 0.3, 1:] = NAN
    labels[rng.random(90) < 0.3, 0] = NAN
    logits = rng.normal(size=(90, 3))
    attributes = [Attribute("hat", (), 0), Attribute("colour", ("red", "blue"), 1)]
    fold = np.arange(90) % 5 - 1
    filled = fill_table(logits, labels, fold, np.zeros(3, bool), "platt", ["prevalence"] * 3)
    season = np.array(["summer", "winter", ""] * 30, dtype=object)
    nobody = np.zeros((90, 3), dtype=bool)
    withdrawn = {"colour": "not at random"}
    every = ~nobody
    out = table(filled, labels, attributes, every, nobody, withdrawn, ("season", season))
    assert tuple(out.columns) == COLUMNS
    assert len(out) == 3 * 4
    whole = out[out["by"] == ""].set_index(["attribute", "value"])
    assert whole.loc[("hat", "1"), "share"] == pytest.approx(np.nanmean(labels[:, 0]))
    assert whole.loc[("hat", "1"), "known"] == (~np.isnan(labels[:, 0])).sum()
    assert whole["lambda"].tolist() == [0, 0, 0]
    assert set(whole["warning"]) == {COUNTED}
    for end in ("share_low", "share_high", "known_share_low", "known_share_high"):
        assert whole[end].isna().tolist() == [False, True, True]
    assert whole["reason"].tolist() == ["", "not at random", "not at random"]
    parts = out[out["by"] == "season"]
    assert parts["group"].unique().tolist() == ["", "summer", "winter"]
    summer = parts[(parts["group"] == "summer") & (parts["attribute"] == "hat")].iloc[0]
    assert summer["share"] == pytest.approx(np.nanmean(labels[season == "summer", 0]))
    # What people looked at they were sent to: it says nothing of the others.
    looked = nobody.copy()
    looked[:, 0] = labels[:, 0] == 1
    seen = table(filled, labels, attributes, every, looked, {}).iloc[0]
    assert seen["known"] == (labels[:, 0] == 0).sum()
    assert seen["share"] >= (labels[:, 0] == 1).mean()
    # Where they answered all, nothing is left to estimate, and nothing is a guess.
    full, unknown = np.where(np.isnan(labels), 1.0, labels), np.isnan(labels)
    exact = table(filled, full, attributes, nobody, unknown, {}).iloc[0]
    for name in ("share", "share_low", "share_high", "known_share"):
        assert exact[name] == pytest.approx((full[:, 0] == 1).mean())
    assert exact["warning"] == ""
    # What stays empty is counted nowhere.
    some = table(filled, labels, attributes, nobody, nobody, {}).iloc[0]
    assert some["counted_share"] == pytest.approx(np.nanmean(labels[:, 0]))
    groups = table(filled, labels, attributes, every, nobody, {}, ("hat", season)).iloc[3:]
    assert set(groups["reason"]) == {""}
    none_known = np.where((season == "summer")[:, None], NAN, labels)
    blank = table(filled, none_known, attributes, every, nobody, {}, ("season", season))
    assert set(blank.loc[blank["group"] == "summer", "reason"]) == {"no known label here"}


def test_what_people_say_of_the_cells_they_were_sent_to_bounds_the_share() -> None:
    y, f = np.array([1.0, 0, 0, 1]), np.full(4, 0.5)
    found = share(y, f, np.full(6, 0.5), answered=np.array([1.0, 1, 1, 1, 1]))
    assert found.estimate == found.low == 0.7
    assert found.high == 0.8
    assert share(y, f, np.full(2, 0.5), answered=np.array([1.0, 0])).estimate == 0.5
    assert share(np.zeros(0), np.zeros(0), f, answered=y).estimate == 0.5
