"""The classifier beside guesses and a plain model: by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics import baselines, tables

NAN = float("nan")


def scored(labels: list[list[float]], probability: list[list[float]], shares: list[float]):
    names = [f"a{i}" for i in range(len(shares))]
    y, p = np.array(labels).T, np.array(probability).T
    table = tables.attribute_table(names, y, p, [0.5] * len(names))
    return baselines.with_guesses(table, shares)


def test_guesses_score_what_they_score_cell_by_cell() -> None:
    table = scored([[1, 1, 0, NAN], [0, 0, 0, 1]], [[0.9, 0.6, 0.2, 0.5]] * 2, [0.7, 0.2])
    first, second = table["prevalence_brier"]
    assert first == pytest.approx((2 * 0.3**2 + 0.7**2) / 3, abs=1e-6)
    assert second == pytest.approx((3 * 0.2**2 + 0.8**2) / 4)
    assert table["majority_accuracy"].tolist() == pytest.approx([2 / 3, 3 / 4], abs=1e-6)
    found = baselines.against_guesses(table)
    assert found["prevalence_brier"] == pytest.approx((3 * first + 4 * second) / 7)


def against_plain(brier: float = 0.1, gain_high: float = 0.1) -> pd.DataFrame:
    scores = {"model": ["classifier", "plain"], "map": [0.7, 0.8], "brier": [brier, 0.2]}
    return pd.DataFrame({**scores, "map_gain_high": gain_high, "brier_gain_high": 0.3})


def lines(table: pd.DataFrame, plain: pd.DataFrame) -> list[str]:
    return baselines.in_words(baselines.compare(table, plain, "classifier", "plain"))


def test_a_classifier_that_beats_them_needs_no_word() -> None:
    table = scored([[1, 1, 0, 0]], [[0.9, 0.8, 0.2, 0.1]], [0.5])
    assert lines(table, against_plain()) == []
    rows = baselines.compare(table, against_plain(), "classifier", "plain")
    assert rows["baseline"].tolist() == ["prevalence", "most frequent class"] + 2 * [
        "logistic regression"
    ]
    assert rows["classifier"].tolist() == [0.025, 1.0, 0.7, 0.1]
    assert rows["of_baseline"].tolist() == [0.25, 0.5, 0.8, 0.2]
    assert set(rows["worse"]) == {"no"}


def test_a_classifier_worse_than_guessing_is_said_to_be() -> None:
    good, bad = [0.01] * 9 + [0.99], [0.6] * 10
    table = scored([[0] * 9 + [1]] * 2, [good, bad], [0.1, 0.1])
    brier, alike, accuracy, below = lines(table, against_plain())
    assert "no better than 0.090 of guessing the prevalence: don't use" in brier
    assert "accuracy 0.550, worse than 0.900 of the most frequent class" in accuracy
    for line in (alike, below):
        assert "'a1'; see reports/test.csv" in line
        assert "'a0'" not in line


def test_what_a_plain_model_does_better_beyond_the_interval_is_said() -> None:
    table = scored([[1, 1, 0, 0]], [[0.9, 0.8, 0.2, 0.1]], [0.5])
    (line,) = lines(table, against_plain(gain_high=-0.05))
    assert "mAP 0.700, worse than 0.800 of a plain logistic regression" in line


def test_nothing_known_is_no_comparison() -> None:
    table = scored([[NAN, NAN]], [[0.5, 0.5]], [NAN])
    assert baselines.against_guesses(table) == {}
    nothing = against_plain().assign(map=NAN, brier=NAN)
    assert lines(table, nothing) == []
