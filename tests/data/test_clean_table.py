"""The clean table on disk: what is written is read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import categories
from pipeline.data.clean_table import (
    read_clean,
    read_hashes,
    read_values,
    write_clean,
    write_values,
)
from pipeline.data.labels import SPLITS, UNKNOWN, LabelTable
from pipeline.errors import PipelineError

NAN = float("nan")


def test_clean_table_is_sorted_and_has_no_other_cells_than_1_0_and_empty(tmp_path: Path) -> None:
    values = np.array([[1, NAN], [0, 1]], dtype=np.float32)
    table = LabelTable.binary(["b.jpg", "a, b.jpg"], ["x", "y z"], values, ["train", "test"])
    write_clean(table, tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_bytes() == (
        b'image,split,x,y z\n"a, b.jpg",test,0,1\nb.jpg,train,1,\n'
    )


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("image,a\nx.jpg,1\n", "expected image, split"),
        ("image,split,a\nx.jpg,training,1\n", "'training'"),
        ("image,split,a\nx.jpg,train,2\n", "row 2, column 'a': got '2'"),
        ("", "dvc repro"),
    ],
)
def test_refuses_a_foreign_clean_table(tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(PipelineError) as caught:
        read_clean(path)
    assert part in str(caught.value)


def test_missing_clean_table(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="dvc repro"):
        read_clean(tmp_path / "labels.csv")


NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from('",; '), min_size=1, max_size=8
)


@st.composite
def clean_tables(draw: st.DrawFn) -> LabelTable:
    images = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    names = NAMES.filter(lambda name: name not in ("image", "split"))
    attributes = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    cells = draw(
        st.lists(
            st.sampled_from([0.0, 1.0, NAN]),
            min_size=len(images) * len(attributes),
            max_size=len(images) * len(attributes),
        )
    )
    split = [draw(st.sampled_from(SPLITS)) for _ in images]
    values = np.array(cells, dtype=np.float32).reshape(len(images), len(attributes))
    return LabelTable.binary(images, attributes, values, split)


def test_hashes_come_in_the_order_of_the_images(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text("image,sha256\nNA,0a\nb.png,1\nc.png,2\n")
    assert read_hashes(tmp_path, ["c.png", "NA"]) == ["2", "0a"]


@settings(max_examples=150)
@given(table=clean_tables())
def test_clean_round_trip(tmp_path_factory: pytest.TempPathFactory, table: LabelTable) -> None:
    path = tmp_path_factory.mktemp("clean") / "labels.csv"
    write_clean(table, path)
    again = read_clean(path)
    order = sorted(range(len(table.images)), key=table.images.__getitem__)
    assert again.images == [table.images[row] for row in order]
    assert again.attributes == table.attributes
    assert table.split is not None
    assert again.split == [table.split[row] for row in order]
    np.testing.assert_array_equal(again.values, table.values[order])


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


def test_clean_table_has_texts_of_categorical_cells(tmp_path: Path) -> None:
    write_clean(mixed(), tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text() == (
        "image,split,colour,hat,size\n"
        "a.jpg,val,,0,L\n"
        "b.jpg,train,teal,1,S\n"
        "c.jpg,train,red,1,L\n"
        "d.jpg,test,blue,,\n"
    )
    assert (tmp_path / "values.csv").read_text() == (
        "attribute,value\ncolour,red\ncolour,blue\nsize,L\nsize,S\n"
    )


def test_filled_cells_are_written_and_rare_known_ones_stay(tmp_path: Path) -> None:
    table = mixed()
    values = np.where(np.isnan(table.values), [1, 0, 1, 0, 1], table.values).astype(np.float32)
    values[1, :2] = NAN  # left empty
    write_clean(table.filled(values), tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text().splitlines()[1:] == [
        "a.jpg,val,,0,L",
        "b.jpg,train,teal,1,S",
        "c.jpg,train,red,1,L",
        "d.jpg,test,blue,1,S",
    ]
    assert table.cells["colour"][2] == "blue"
    assert table.cells["size"][2] == "", "the input is left alone"


TEXTS = (
    st.text(
        st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from('",; =01'), max_size=6
    )
    .map(str.strip)
    .filter(lambda text: text.lower() not in UNKNOWN[1:])
)  # fmt: skip


@st.composite
def tables_with_categories(draw: st.DrawFn) -> LabelTable:
    plain = draw(clean_tables())
    cells = dict(plain.cells)
    vocabulary = {}
    for name in plain.cells:
        if not draw(st.booleans()):
            continue
        given = draw(st.lists(TEXTS, min_size=len(plain.images), max_size=len(plain.images)))
        cells[name] = np.array(given, dtype=object)
        # Further values come from cells of images that were dropped.
        rest = draw(st.lists(TEXTS.filter(bool), max_size=2, unique=True))
        common = categories.frequent(cells[name], draw(st.integers(1, 2)))
        values = [*common, *(text for text in rest if text not in given)] or ["only"]
        vocabulary[name] = tuple(values)
    return LabelTable(plain.images, cells, plain.split, vocabulary=vocabulary)


@settings(max_examples=150)
@given(table=tables_with_categories())
def test_clean_round_trip_of_categories(
    tmp_path_factory: pytest.TempPathFactory, table: LabelTable
) -> None:
    path = tmp_path_factory.mktemp("clean") / "labels.csv"
    write_clean(table, path)
    again = read_clean(path)
    sorted_table = table.take(sorted(range(len(table.images)), key=table.images.__getitem__))
    assert again.images == sorted_table.images
    assert again.split == sorted_table.split
    assert again.attributes == table.attributes
    assert again.categories == table.categories
    np.testing.assert_array_equal(again.values, sorted_table.values)
    assert again.values.dtype == np.float32
    assert list(again.cells) == list(table.cells)
    for name, own in sorted_table.cells.items():
        assert again.cells[name].dtype == own.dtype
        np.testing.assert_array_equal(again.cells[name], own)
    write_clean(again, path.with_name("again.csv"))
    assert path.with_name("again.csv").read_bytes() == path.read_bytes()


KNOWN_TEXTS = TEXTS.filter(bool)


@settings(max_examples=60)
@given(
    vocabulary=st.dictionaries(
        KNOWN_TEXTS, st.lists(KNOWN_TEXTS, min_size=1, max_size=4, unique=True), max_size=4
    )
)
def test_values_round_trip(
    tmp_path_factory: pytest.TempPathFactory, vocabulary: dict[str, list[str]]
) -> None:
    path = tmp_path_factory.mktemp("values") / "values.csv"
    write_values(vocabulary, path)
    again = read_values(path)
    assert list(again.items()) == [(name, tuple(own)) for name, own in vocabulary.items()]


def test_values_that_look_like_something_else_stay_texts(tmp_path: Path) -> None:
    path = tmp_path / "values.csv"
    vocabulary = {"NA": ("1.0", "007", "None", "null", "1e3")}
    write_values(vocabulary, path)
    assert read_values(path) == vocabulary
    write_values({}, path)
    assert path.read_bytes() == b"attribute,value\n"
    assert read_values(path) == {}
    assert read_values(tmp_path / "none.csv") == {}
