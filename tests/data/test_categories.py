"""Categorical attributes as columns: where they are, what they decide, how they are scored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax

from pipeline.data import categories
from pipeline.data.categories import Attribute

NAN = float("nan")
COLOUR = Attribute("colour", ("red", "blue", "a=b"), 1)
SIZE = Attribute("size", ("S", "L"), 5)
COLUMNS = ["hat", "colour=red", "colour=blue", "colour=a=b", "scarf", "size=S", "size=L"]


def test_an_attribute_names_its_columns() -> None:
    assert COLOUR.columns == COLUMNS[1:4]
    assert (COLOUR.stop, COLOUR.span) == (4, (1, 4))
    binary = Attribute("hat", (), 0)
    assert (binary.columns, binary.span) == (["hat"], (0, 1))


def test_columns_are_the_attributes_in_their_order() -> None:
    found = categories.attributes(COLUMNS, [SIZE, COLOUR])
    assert found == [Attribute("hat", (), 0), COLOUR, Attribute("scarf", (), 4), SIZE]
    assert [name for one in found for name in one.columns] == COLUMNS
    assert categories.attributes([], ()) == []
    assert categories.attributes(["a", "b"], ()) == [Attribute("a", (), 0), Attribute("b", (), 1)]
    # A binary column may be called like a value's.
    assert categories.attributes(["colour=red"], ()) == [Attribute("colour=red", (), 0)]


def test_spans_and_the_columns_outside_them() -> None:
    spans = categories.spans([COLOUR, SIZE])
    assert spans == ((1, 4), (5, 7))
    assert categories.binary_columns(7, spans).tolist() == [0, 4]
    assert categories.binary_columns(3, ()).tolist() == [0, 1, 2]


def cells(*texts: str) -> np.ndarray:
    return np.array(texts, dtype=object)


def test_frequent_values_come_by_count_and_then_by_name() -> None:
    found = cells(*"bbaadccc", "", "", "", "")
    assert categories.frequent(found, 1) == ["c", "a", "b", "d"]
    assert categories.frequent(found, 2) == ["c", "a", "b"]
    assert categories.frequent(found, 3) == ["c"]
    assert categories.frequent(found, 4) == []
    assert categories.frequent(cells("", ""), 1) == []


def test_one_hot_by_hand() -> None:
    columns = categories.one_hot(cells("b", "", "rare", "a"), ["a", "b"])
    assert columns.dtype == np.float32
    np.testing.assert_array_equal(columns, [[0, 1], [NAN, NAN], [0, 0], [1, 0]])
    assert categories.one_hot(cells(), ["a", "b"]).shape == (0, 2)


def test_texts_by_hand() -> None:
    columns = np.array([[0, 1], [NAN, NAN], [0, 0], [1, 0], [1, 0]], dtype=np.float32)
    assert categories.texts(columns, ["a", "b"]).tolist() == ["b", "", "", "a", "a"]
    assert categories.texts(np.empty((0, 2)), ["a", "b"]).tolist() == []


@settings(max_examples=100)
@given(
    given=st.lists(st.sampled_from("abcd") | st.text(max_size=4), max_size=12),
    min_count=st.integers(1, 3),
)
def test_one_hot_round_trip(given: list[str], min_count: int) -> None:
    values = categories.frequent(cells(*given), min_count)
    rare = set(given) - set(values) - {""}
    assert all(given.count(value) >= min_count for value in values)
    assert all(given.count(value) < min_count for value in rare)
    columns = categories.one_hot(cells(*given), values)
    known = np.array([text != "" for text in given], dtype=bool)
    if values:
        assert (np.isnan(columns).all(axis=1) == ~known).all()
        learnt = [text if text in values else "" for text in given]
        assert categories.texts(columns, values).tolist() == learnt
    has_column = np.array([text in values for text in given], dtype=bool)
    assert (columns[known].sum(axis=1) == has_column[known]).all()


def test_log_odds_by_hand() -> None:
    logits = np.array([[5.0, np.log(1), np.log(2), np.log(5), -3.0]])
    odds = categories.log_odds(logits, [(1, 4)])
    assert expit(odds[0, 1:4]) == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert odds[0, [0, 4]].tolist() == [5.0, -3.0]
    assert logits[0, 1] == 0, "the input is left alone"
    assert categories.log_odds(logits, ()) is logits


def test_log_odds_of_extremes_are_finite() -> None:
    logits = np.array([[1e4, -1e4, 0.0], [0.0, 0.0, 7.0]], dtype=np.float32)
    odds = categories.log_odds(logits, [(0, 2), (2, 3)])
    assert odds.tolist() == [[30, -30, 30], [0, 0, 30]]
    assert odds.dtype == np.float32


@settings(max_examples=50, deadline=None)
@given(
    logits=st.lists(
        st.lists(st.floats(-12, 12), min_size=4, max_size=4), min_size=1, max_size=5
    )
)  # fmt: skip
def test_log_odds_are_those_of_the_softmax(logits: list[list[float]]) -> None:
    scores = np.array(logits)
    probability = expit(categories.log_odds(scores, [(0, 4)]))
    np.testing.assert_allclose(probability, softmax(scores, axis=1), atol=1e-9)
    best = probability[np.arange(len(scores)), categories.chosen(scores)]
    np.testing.assert_allclose(best, probability.max(axis=1), atol=1e-9)


def test_decisions_are_thresholds_or_the_most_probable_value() -> None:
    probability = np.array([[0.3, 0.2, 0.5, 0.1], [0.2, 0.4, 0.4, 0.0], [0.9, 0.0, 0.0, 0.01]])
    thresholds = np.array([0.3, 0.9, 0.9, 0.9])
    decided = categories.decide(probability, thresholds, [(1, 4)])
    assert decided.tolist() == [
        [True, False, True, False],
        [False, True, False, False],  # of equals the more frequent
        [True, False, False, True],
    ]
    assert categories.decide(probability, thresholds, ()).tolist() == [
        [True, False, False, False],
        [False, False, False, False],
        [True, False, False, False],
    ]


def test_truth_tells_unknown_cells_from_values_without_a_column() -> None:
    labels = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0], [NAN, NAN, NAN], [NAN, 1, 0]])
    assert categories.truth(labels).tolist() == [0, 2, -2, -1, -1]
    soft = np.array([[0.3, 0.7], [0.1, 0.2]])
    assert categories.truth(soft).tolist() == [1, 1], "shares lean to their largest"


def test_macro_f1_by_hand() -> None:
    # 0: 2 of 3 found, one given wrongly; 1: found and given once more; 2: given alone.
    true = np.array([0, 0, 0, 1, 1])
    given = np.array([0, 0, 1, 1, 2])
    assert categories.macro_f1(true, given) == pytest.approx((4 / 5 + 2 / 4 + 0) / 3)
    assert categories.macro_f1(np.array([0, -2]), np.array([0, 0])) == pytest.approx(2 / 3 / 2)
    assert categories.macro_f1(np.array([1]), np.array([1])) == 1
    assert np.isnan(categories.macro_f1(np.empty(0), np.empty(0)))


def test_scores_are_of_known_cells_alone() -> None:
    targets = np.array(
        [
            [1, 1, 0, 0, NAN, NAN],
            [0, 0, 1, 0, NAN, NAN],
            [1, 0, 0, 0, NAN, NAN],  # a value without a column: always an error
            [NAN, NAN, NAN, NAN, NAN, NAN],
        ]
    )
    logits = np.array(
        [[9, 2, 1, 0, 0, 0], [9, 2, 1, 0, 0, 0], [9, 0, 1, 0, 0, 0], [0, 9, 0, 0, 0, 0]]
    )
    found = categories.scores(targets, logits, [(1, 4), (4, 6)])
    assert list(found) == ["accuracy_0", "f1_0", "accuracy_1", "f1_1"]
    assert found["accuracy_0"] == pytest.approx(1 / 3)
    # Value 0 is once right and once wrong; 1 is missed and given wrongly; -2 is never given.
    assert found["f1_0"] == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert np.isnan([found["accuracy_1"], found["f1_1"]]).all()
    assert categories.scores(targets, logits, ()) == {}
