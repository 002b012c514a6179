"""Labels in memory: cells as they are given, and the numbers made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.categories import Attribute
from pipeline.data.labels import UNKNOWN, LabelTable, text_cells, written

NAN = float("nan")


def mixed() -> LabelTable:
    """A binary attribute between two categorical ones, rows not sorted."""
    cells = {
        "colour": np.array(["red", "", "blue", "teal"], dtype=object),
        "hat": np.array([1, 0, NAN, 1], dtype=np.float32),
        "size": np.array(["L", "L", "", "S"], dtype=object),
    }
    return LabelTable(
        ["c.jpg", "a.jpg", "d.jpg", "b.jpg"],
        cells,
        ["train", "val", "test", "train"],
        vocabulary={"colour": ("red", "blue"), "size": ("L", "S")},
    )


def test_numbers_have_a_column_per_binary_attribute_and_per_value() -> None:
    table = mixed()
    assert table.layout == (
        Attribute("colour", ("red", "blue"), 0), Attribute("hat", (), 2),
        Attribute("size", ("L", "S"), 3),
    )  # fmt: skip
    assert table.categories == (table.layout[0], table.layout[2])
    assert table.attributes == ["colour=red", "colour=blue", "hat", "size=L", "size=S"]
    assert table.values.dtype == np.float32
    expected = [[1, 0, 1, 1, 0], [NAN, NAN, 0, 1, 0], [0, 1, NAN, NAN, NAN], [0, 0, 1, 0, 1]]
    np.testing.assert_array_equal(table.values, expected)
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 0


def test_a_binary_table_is_its_numbers() -> None:
    values = np.array([[1, NAN], [0, 1]])
    table = LabelTable.binary(["a", "b"], ["x", "y"], values)
    np.testing.assert_array_equal(table.values, values)
    assert (table.attributes, table.categories, table.split) == (["x", "y"], (), None)
    assert LabelTable.binary([], [], np.empty((0, 0))).values.shape == (0, 0)


def test_filling_leaves_known_cells_as_they_are() -> None:
    table = mixed()
    full = table.filled(np.tile(np.float32([0, 1, 0, 0, 1]), (4, 1)))
    assert full.cells["colour"].tolist() == ["red", "blue", "blue", "teal"]
    assert full.cells["hat"].tolist() == [1, 0, 0, 1]
    assert full.cells["size"].tolist() == ["L", "L", "S", "S"]
    empty = table.filled(np.full((4, 5), NAN))
    np.testing.assert_array_equal(empty.values, table.values)
    assert empty.cells["hat"].dtype == np.float32


def test_taken_rows_keep_their_texts() -> None:
    table = mixed()
    taken = table.take([3, 0])
    assert taken.images == ["b.jpg", "c.jpg"]
    assert taken.split == ["train", "train"]
    assert taken.cells["colour"].tolist() == ["teal", "red"]
    assert taken.cells["size"].tolist() == ["S", "L"]
    np.testing.assert_array_equal(taken.values, table.values[[3, 0]])
    assert taken.categories == table.categories
    assert table.take([]).values.shape == (0, 5)
    assert mixed().take(np.array([1])).images == ["a.jpg"]


def test_texts_are_trimmed_and_empty_where_unknown() -> None:
    given = np.array(
        ["red", " blue", "NA", "red ", "", "?", "nAn", "Red", "N/A", "<NA>"], dtype=object
    )
    assert text_cells(given).tolist() == ["red", "blue", "", "red", "", "", "", "Red", "", ""]
    assert text_cells(given[:0]).tolist() == []


@settings(max_examples=100)
@given(st.lists(st.text(max_size=6) | st.sampled_from(["", "NA", "nan", "?"]), max_size=12))
def test_every_known_text_stays(given: list[str]) -> None:
    expected = ["" if text.strip().lower() in UNKNOWN else text.strip() for text in given]
    assert text_cells(np.array(given, dtype=object)).tolist() == expected


def test_cells_are_written_as_the_table_has_them() -> None:
    assert written(np.array([1, 0, NAN], dtype=np.float32)).tolist() == ["1", "0", ""]
    assert written(np.array(["red", ""], dtype=object)).tolist() == ["red", ""]
