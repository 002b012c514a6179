from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.metrics.thresholds import choose, choose_all, expected, of_columns

P = np.array([0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02])
Y = np.array([1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])


def test_by_hand() -> None:
    # The probabilities sum to 5.52: between 5 and 6 positives, 6 is nearer.
    assert choose("prevalence", P, Y) == pytest.approx(0.45)
    # Six positives cut one false alarm and no miss: F1 10/11.
    assert choose("f1", P, Y) == pytest.approx(0.45)
    assert choose("accuracy", P, Y) == pytest.approx(0.45)
    assert choose("balanced", P, Y) == pytest.approx(0.45)
    assert choose(0.3, P, Y) == 0.3


@pytest.mark.parametrize("rule", ["prevalence", "f1", "accuracy", "balanced"])
def test_few_labels_of_a_class_give_one_half(rule: str) -> None:
    assert choose(rule, P, np.r_[np.ones(4), np.zeros(8)]) == 0.5
    assert choose(rule, P, np.r_[np.ones(8), np.zeros(4)]) == 0.5
    assert choose(rule, np.array([]), np.array([])) == 0.5


@given(st.integers(0, 10_000))
def test_no_other_cut_scores_higher(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(40), 2)
    y = (rng.random(40) < p).astype(int)
    if min(y.sum(), 40 - y.sum()) < 5:
        return

    def accuracy(t: float) -> float:
        return float(((p >= t) == (y == 1)).mean())

    def f1(t: float) -> float:
        hits = ((p >= t) & (y == 1)).sum()
        return float(2 * hits / ((p >= t).sum() + y.sum()))

    grid = np.linspace(-0.005, 1.005, 102)
    assert accuracy(choose("accuracy", p, y)) == pytest.approx(max(map(accuracy, grid)))
    assert f1(choose("f1", p, y)) == pytest.approx(max(map(f1, grid)))


def test_prevalence_rule_does_not_look_at_the_labels() -> None:
    assert choose("prevalence", P, Y) == choose("prevalence", P, 1 - Y)


def test_expected_number_of_positives_by_hand() -> None:
    assert expected(P) == pytest.approx(0.45)
    assert expected(np.array([0.9, 0.2, 0.1])) == pytest.approx(0.55)
    # 0.3 positives are expected: none is nearer than one.
    assert expected(np.array([0.2, 0.1])) == pytest.approx(0.6)
    assert expected(np.array([0.9, 0.8])) == pytest.approx(0.4)
    # All alike: none or all, whichever is nearer.
    assert expected(np.full(4, 0.6)) == pytest.approx(0.3)
    assert expected(np.full(4, 0.4)) == pytest.approx(0.7)
    assert expected(np.zeros(0)) == 0.5


@given(st.integers(0, 10_000))
def test_no_other_threshold_leaves_a_more_expected_number(seed: int) -> None:
    p = np.round(np.random.default_rng(seed).random(30), 2)
    away = [abs((p >= t).sum() - p.sum()) for t in np.linspace(-0.005, 1.005, 102)]
    assert abs((p >= expected(p)).sum() - p.sum()) == pytest.approx(min(away))
    assert expected(p) == choose("prevalence", p, np.arange(30) % 2)


def test_unknown_rule() -> None:
    with pytest.raises(ValueError, match="unknown rule"):
        choose("best", P, Y)


LAYOUT = (
    Attribute("hat", (), 0),
    Attribute("colour", ("red", "blue"), 1),
    Attribute("coat", (), 3),
)


def test_rules_by_attribute() -> None:
    promise = {"recall": 0.5}
    assert of_columns("f1", LAYOUT) == ["f1"] * 4
    assert of_columns({"hat": 0.3}, LAYOUT) == [0.3, *["prevalence"] * 3]
    assert of_columns({"hat": promise, "default": "f1"}, LAYOUT) == [promise, "f1", "f1", "f1"]
    # Of several values the most probable is taken: there is no threshold to promise anything of.
    assert of_columns(promise, LAYOUT) == [promise, "prevalence", "prevalence", promise]
    assert of_columns({"default": promise}, LAYOUT) == of_columns(promise, LAYOUT)


def test_promises_that_cannot_be_kept_are_one_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.random((40, 4))
    y = np.where(rng.random((40, 4)) < p, 1.0, 0.0)
    setting = {"default": {"recall": 0.95}, "coat": "f1"}
    with pytest.raises(PipelineError) as caught:
        choose_all(setting, p, y, LAYOUT)
    message = str(caught.value)
    assert f"hat ({y[:, 0].sum():.0f} held-out positives, 59 needed at the least)" in message
    assert "coat (" not in message
    assert "colour (" not in message
    assert "\n" not in message
    found = choose_all(setting, p, y, LAYOUT, strict=False)
    assert found[0] == 0.5
    assert found[1:3] == choose_all("prevalence", p, y, LAYOUT)[1:3]
    assert found[3] == choose("f1", p[:, 3], y[:, 3])
    assert choose_all({"default": {"recall": 0.3}}, p, y, LAYOUT)[0] == choose(
        {"recall": 0.3}, p[:, 0], y[:, 0]
    )
