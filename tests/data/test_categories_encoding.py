"""Texts of categorical cells as numbers and columns, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import categories
from pipeline.data.categories import Attribute

NAN = float("nan")
TEXTS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from('",; =01'),
    min_size=1,
    max_size=6,
).map(str.strip)
VALUES = TEXTS.filter(lambda text: text.lower() not in categories.UNKNOWN)


def cells(*texts: str) -> np.ndarray:
    return np.array(texts, dtype=object)


def test_codes_by_hand() -> None:
    numbers, texts = categories.codes(cells("red", " blue", "NA", "red ", "", "?", "nAn", "Red"))
    assert texts == ["Red", "blue", "red"]
    np.testing.assert_array_equal(numbers, [2, 1, NAN, 2, NAN, NAN, NAN, 0])
    assert numbers.dtype == np.float32
    assert categories.decoded(numbers, texts).tolist() == [
        *("red", "blue", "", "red", "", "", "", "Red")
    ]


def test_codes_of_nothing_known() -> None:
    for unknown in (cells(), cells("", "NA")):
        numbers, texts = categories.codes(unknown)
        assert texts == []
        assert np.isnan(numbers).tolist() == [True] * len(unknown)
        assert categories.decoded(numbers, texts).tolist() == [""] * len(unknown)


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


def test_texts_keep_a_value_without_a_column() -> None:
    columns = np.array([[0, 1], [NAN, NAN], [0, 0], [1, 0], [1, 0]], dtype=np.float32)
    found = categories.texts(columns, ["a", "b"], cells("b", "was known", "rare", "", "b"))
    assert found.tolist() == ["b", "", "rare", "a", "a"]
    assert categories.texts(np.empty((0, 2)), ["a", "b"], cells()).tolist() == []


@settings(max_examples=100)
@given(given=st.lists(TEXTS | st.sampled_from(["", "NA", "nan", "?"]), max_size=12))
def test_codes_round_trip(given: list[str]) -> None:
    numbers, texts = categories.codes(cells(*given))
    expected = ["" if text.lower() in categories.UNKNOWN else text for text in given]
    assert categories.decoded(numbers, texts).tolist() == expected
    assert texts == sorted(set(expected) - {""})


@settings(max_examples=100)
@given(given=st.lists(VALUES | st.just(""), max_size=12), min_count=st.integers(1, 3))
def test_one_hot_round_trip(given: list[str], min_count: int) -> None:
    values = categories.frequent(cells(*given), min_count)
    rare = set(given) - set(values) - {""}
    assert all(given.count(value) >= min_count for value in values)
    assert all(given.count(value) < min_count for value in rare)
    columns = categories.one_hot(cells(*given), values)
    known = np.array([text != "" for text in given], dtype=bool)
    if values:
        assert (np.isnan(columns).all(axis=1) == ~known).all()
        assert categories.texts(columns, values, cells(*given)).tolist() == given
    told = np.array([text in values for text in given], dtype=bool)
    assert (columns[known].sum(axis=1) == told[known]).all()


@settings(max_examples=60)
@given(
    vocabulary=st.dictionaries(
        VALUES, st.lists(VALUES, min_size=1, max_size=4, unique=True), max_size=4
    )
)
def test_values_round_trip(
    tmp_path_factory: pytest.TempPathFactory, vocabulary: dict[str, list[str]]
) -> None:
    path = tmp_path_factory.mktemp("values") / "values.csv"
    attributes = [Attribute(name, tuple(values), 0) for name, values in vocabulary.items()]
    categories.write_values(attributes, path)
    again = categories.read_values(path)
    assert list(again.items()) == list(vocabulary.items())


def test_values_that_look_like_something_else_stay_texts(tmp_path: Path) -> None:
    path = tmp_path / "values.csv"
    categories.write_values([Attribute("NA", ("1.0", "007", "None", "null", "1e3"), 0)], path)
    assert categories.read_values(path) == {"NA": ["1.0", "007", "None", "null", "1e3"]}
    categories.write_values([], path)
    assert path.read_bytes() == b"attribute,value\n"
    assert categories.read_values(path) == {}
    assert categories.read_values(tmp_path / "none.csv") == {}
