"""Every accepted label table, every refused one, and the clean table's round trip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.data.clean_table import read_clean, read_hashes, write_clean
from pipeline.data.labels import CELLS, SPLITS, LabelTable
from pipeline.data.read_table import read_table
from pipeline.errors import PipelineError

NAN = float("nan")


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


ACCEPTED = {
    "comma": ("t.csv", "image,a,b\nx.jpg,1,0\ny.jpg,NA,1\n"),
    "no line end at the end": ("t.csv", "image,a,b\nx.jpg,1,0\ny.jpg,NA,1"),
    "floats": ("t.csv", "image,a,b\nx.jpg,1.0,0.0\ny.jpg,NaN,1\n"),
    "unknown as empty": ("t.csv", "image,a,b\nx.jpg,1,0\ny.jpg,,1\n"),
    "unknown as ?": ("t.csv", "image,a,b\nx.jpg,1,0\ny.jpg,?,1\n"),
    "case and spaces": ("t.csv", " Filename , a,b \n x.jpg , 1 ,0\ny.jpg, nA ,1 \n"),
    "tab": ("t.tsv", "path\ta\tb\nx.jpg\t1\t0\ny.jpg\t\t1\n"),
    "semicolon": ("t.csv", "id;a;b\nx.jpg;1;0\ny.jpg;;1\n"),
    "tab in txt": ("t.txt", "file\ta\tb\nx.jpg\t1\t0\ny.jpg\t\t1\n"),
    "white space, with header": ("t.txt", "image a b\nx.jpg  1 0\ny.jpg NA   1\n"),
    "BOM, CRLF, blank lines": (
        "t.csv",
        b"\xef\xbb\xbfimage,a,b\r\n\r\nx.jpg,1,0\r\n  \r\ny.jpg,NA,1\r\n\r\n",
    ),
    "quoted": ("t.csv", '"image","a","b"\n"x.jpg","1","0"\n"y.jpg","NA","1"\n'),
    "old Mac line ends": ("t.csv", "image,a,b\rx.jpg,1,0\ry.jpg,NA,1\r"),
}


@pytest.mark.parametrize(("name", "content"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepts(tmp_path: Path, name: str, content: str | bytes) -> None:
    table = read_table(write(tmp_path, name, content))
    assert table.images == ["x.jpg", "y.jpg"]
    assert table.attributes == ["a", "b"]
    assert table.values.dtype == np.float32
    np.testing.assert_array_equal(table.values, [[1, 0], [NAN, 1]])
    assert (table.split, table.merged) == (None, 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "image_0.jpg 1 NA 0\nimage_1.jpg NA 0 1\n"),
        ("labels.txt", "image_0.jpg\t1  na 0  \n\n  image_1.jpg ? 0 1"),
        ("labels.csv", "image_0.jpg,1,,0\nimage_1.jpg,,0,1\n"),
    ],
)
def test_names_the_attributes_of_a_table_without_header(
    tmp_path: Path, name: str, content: str
) -> None:
    table = read_table(write(tmp_path, name, content))
    assert table.images == ["image_0.jpg", "image_1.jpg"]
    assert table.attributes == ["Attr1", "Attr2", "Attr3"]
    np.testing.assert_array_equal(table.values, [[1, NAN, 0], [NAN, 0, 1]])


def test_separators_inside_names_and_quotes(tmp_path: Path) -> None:
    text = 'image;5 o clock, shadow;a\n"a;b, c d.jpg";1;0\n"say ""x"".jpg";0;1\n'
    table = read_table(write(tmp_path, "t.csv", text))
    assert table.images == ["a;b, c d.jpg", 'say "x".jpg']
    assert table.attributes == ["5 o clock, shadow", "a"]
    spaced = read_table(write(tmp_path, "t.txt", '"my picture.jpg" 1 0\nother.jpg 0 1\n'))
    assert spaced.images == ["my picture.jpg", "other.jpg"]


def test_chosen_columns_come_in_the_order_asked_and_others_may_hold_anything(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "t.csv", "image,colour,a,split,b\nx.jpg,red,1,train,0\ny.jpg,,0,,\n")
    table = read_table(path, ["b", "a"])
    assert table.attributes == ["b", "a"]
    np.testing.assert_array_equal(table.values, [[0, 1], [NAN, 0]])


def test_merges_rows_of_one_image_that_agree(tmp_path: Path) -> None:
    text = "image,a,b\nz.jpg,1,\nx.jpg,0,0\nz.jpg,1,0\nz.jpg,,\nx.jpg,0,0\n"
    table = read_table(write(tmp_path, "t.csv", text))
    assert table.images == ["z.jpg", "x.jpg"]
    assert table.merged == 3
    assert table.values.dtype == np.float32
    np.testing.assert_array_equal(table.values, [[1, 0], [0, 0]])


def test_keeps_an_attribute_without_a_known_label(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "t.csv", "image,a,b\nx.jpg,1,\ny.jpg,0,?\n"))
    assert np.isnan(table.values[:, 1]).all()


REFUSED = {
    "spreadsheet": (b"PK\x03\x04\0\0", ["not a text file", "export it as CSV"]),
    "latin-1": (b"image,a\nx.jpg,1\nm\xfcller.jpg,1\n", ["row 3", "0xfc", "UTF-8"]),
    "empty": ("", ["empty table"]),
    "only blank lines": ("\n  \n\r\n", ["empty table"]),
    "only a header": ("image,a\n", ["header", "no row"]),
    "one column": ("image\nx.jpg\n", ["row 1", "one column", "no attribute column"]),
    "no image column": ("a,b\n1,0\n", ["row 1", "no image column", "'a'", "filename", "rename"]),
    "image column not first": ("n,image,a\n0,x.jpg,1\n", ["no image column", "'image'", "front"]),
    "bad value in the first row of a table without header": (
        "x.jpg 1 yes\ny.jpg 0 1\n",
        ["row 1", "no image column", "'x.jpg'", "'yes'"],
    ),
    "ragged, short": ("image,a,b\nx.jpg,1,0\ny.jpg,1\n", ["row 3", "2 cells", "3", "header"]),
    "ragged, long": ("image,a,b\n\nx.jpg,1,0,1\n", ["row 3", "4 cells", "3"]),
    "ragged, no header": ("x.jpg 1 0\ny.jpg 1\n", ["row 2", "2 cells", "as in row 1"]),
    "bad value": (
        "image,a,b\nx.jpg,1,0\ny.jpg,1,yes\nz.jpg,2,0\n",
        ["row 3", "column 'b'", "'yes'", "1, 0 or unknown", "1 more"],
    ),
    "minus one": ("image,a\nx.jpg,-1\n", ["row 2", "column 'a'", "'-1'"]),
    "bad value after a blank line": ("image,a\n\n\nx.jpg,x\n", ["row 4", "'x'"]),
    "duplicated column": ("image,a,b,a\nx.jpg,1,0,1\n", ["columns 2 and 4", "'a'", "rename"]),
    "column without name": ("image,a,\nx.jpg,1,0\n", ["row 1", "column 3 has no name"]),
    "reserved name": ("image,a,split\nx.jpg,1,0\n", ["column 3", "'split'", "reserved"]),
    "image as attribute": ("file,image\nx.jpg,1\n", ["column 2", "'image'", "reserved"]),
    "empty image name": ("image,a\nx.jpg,1\n ,0\n", ["row 3", "image name is empty"]),
    "rows that disagree": (
        "image,a,b\nx.jpg,1,1\n\ny.jpg,1,1\nx.jpg,1,0\n",
        ["'x.jpg'", "column 'b'", "1 in row 2", "0 in row 5", "keep"],
    ),
    "nothing known": ("image,a,b\nx.jpg,,\ny.jpg,NA,?\n", ["every cell of a, b is unknown"]),
    "quote never closed": ('image,a\nx.jpg,1\n"y.jpg,0\nz.jpg,1\n', ["row 3", "quotes"]),
    "control character": ("image,a\nx\x07.jpg,1\n", ["row 2", "control character"]),
}


@pytest.mark.parametrize(("content", "parts"), REFUSED.values(), ids=REFUSED)
def test_refuses(tmp_path: Path, content: str | bytes, parts: list[str]) -> None:
    path = write(tmp_path, "table.csv", content)
    with pytest.raises(PipelineError) as caught:
        read_table(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("attributes", "parts"),
    [
        (["a", "blakc"], ["'blakc'", "did you mean 'black'", "a, black"]),
        (["image"], ["'image'", "a, black"]),
        (["a", "black", "a"], ["'a' twice"]),
    ],
)
def test_refuses_attributes(tmp_path: Path, attributes: list[str], parts: list[str]) -> None:
    path = write(tmp_path, "t.csv", "image,a,black\nx.jpg,1,0\n")
    with pytest.raises(PipelineError) as caught:
        read_table(path, attributes)
    for part in ["params.yaml", *parts]:
        assert part in str(caught.value)


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"none\.csv: no such file; set data\.labels"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(PipelineError, match="a folder, expected a label table"):
        read_table(tmp_path)


def test_clean_table_is_sorted_and_has_no_other_cells_than_1_0_and_empty(tmp_path: Path) -> None:
    values = np.array([[1, NAN], [0, 1]], dtype=np.float32)
    table = LabelTable(["b.jpg", "a, b.jpg"], ["x", "y z"], values, ["train", "test"])
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
    with pytest.raises(PipelineError) as caught:
        read_clean(write(tmp_path, "labels.csv", content))
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
    return LabelTable(images, attributes, values, split)


def test_hashes_come_in_the_order_of_the_images(tmp_path: Path) -> None:
    write(tmp_path, "images.csv", "image,sha256\nNA,0a\nb.png,1\nc.png,2\n")
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


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.lists(st.sampled_from([*CELLS, "NA", "NaN"]), min_size=3, max_size=3), min_size=1
    ),
    separator=st.sampled_from([",", "\t", ";"]),
)
def test_any_spelling_of_a_cell_reads_as_its_value(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], separator: str
) -> None:
    rows = [["1", "0", ""], *rows]
    lines = [["image", "a", "b", "c"], *([f"{i}.jpg", *row] for i, row in enumerate(rows))]
    text = "\n".join(separator.join(line) for line in lines)
    table = read_table(write(tmp_path_factory.mktemp("any"), "t.csv", text))
    expected = [[CELLS[cell.lower()] for cell in row] for row in rows]
    np.testing.assert_array_equal(table.values, expected)


MIXED = """image,hat,colour,size
b.jpg,1,red,L
a.jpg,,blue,
d.jpg,0, red ,S
c.jpg,1,NA,S
e.jpg,0,teal,L
f.jpg,?,blue,XL
"""


def test_a_categorical_attribute_has_a_column_per_frequent_value(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", MIXED)
    table = read_table(path, categorical=["size", "colour"], min_count=2)
    assert table.attributes == ["hat", "colour=blue", "colour=red", "size=L", "size=S"]
    assert table.categories == (
        Attribute("colour", ("blue", "red"), 1),
        Attribute("size", ("L", "S"), 3),
    )
    assert table.values.dtype == np.float32
    np.testing.assert_array_equal(
        table.values,
        [
            [1, 0, 1, 1, 0],
            [NAN, 1, 0, NAN, NAN],
            [0, 0, 1, 0, 1],
            [1, NAN, NAN, 0, 1],
            [0, 0, 0, 1, 0],  # teal is known, and rare
            [NAN, 1, 0, 0, 0],
        ],
    )
    assert table.texts is not None
    assert table.texts.tolist() == [
        *(["red", "L"], ["blue", ""], ["red", "S"], ["", "S"], ["teal", "L"], ["blue", "XL"])
    ]


def test_every_value_has_a_column_at_first(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "t.csv", MIXED), ["size", "colour"], ["colour", "size"])
    assert table.categories == (
        Attribute("size", ("L", "S", "XL"), 0),
        Attribute("colour", ("blue", "red", "teal"), 3),
    )
    known = ~np.isnan(table.values[:, 3])
    assert (table.values[known, 3:].sum(axis=1) == 1).all()


def test_without_categorical_columns_a_table_has_no_categories(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "t.csv", MIXED), ["hat"], [], 5)
    assert (table.categories, table.texts, table.attributes) == ((), None, ["hat"])


def test_a_categorical_attribute_may_hold_1_and_0(tmp_path: Path) -> None:
    text = "image,a,b\nx.jpg,1,1\ny.jpg,0,1.0\nz.jpg,1,\n"
    table = read_table(write(tmp_path, "t.csv", text), categorical=["a", "b"])
    assert table.attributes == ["a=1", "a=0", "b=1", "b=1.0"]


def test_rows_of_one_image_are_merged_and_counted_once(tmp_path: Path) -> None:
    text = (
        "image,colour,hat\nx.jpg,red,\ny.jpg,blue,1\nx.jpg,,1\nx.jpg, red,1\n"
        "z.jpg,,0\nz.jpg,blue,\n"
    )
    table = read_table(write(tmp_path, "t.csv", text), categorical=["colour"])
    assert (table.images, table.merged) == (["x.jpg", "y.jpg", "z.jpg"], 3)
    # Blue is on two images; red, on as many rows, on one.
    assert table.attributes == ["colour=blue", "colour=red", "hat"]
    np.testing.assert_array_equal(table.values, [[0, 1, 1], [1, 0, 1], [1, 0, 0]])
    assert table.texts is not None
    assert table.texts[:, 0].tolist() == ["red", "blue", "blue"]


REFUSED_CATEGORICAL = {
    "rows that disagree": (
        "image,a,colour\nx.jpg,1,red\ny.jpg,1,blue\n\nx.jpg,1, green\n",
        ["'x.jpg', column 'colour': got 'red' in row 2 and 'green' in row 5", "keep the right row"],
    ),
    "rare values that disagree": (
        "image,a,colour\nx.jpg,1,teal\ny.jpg,1,red\nx.jpg,1,Teal\nz.jpg,1,blue\n",
        ["'x.jpg', column 'colour': got 'teal' in row 2 and 'Teal' in row 4"],
    ),
    "binary rows that disagree": (
        "image,a,colour\nx.jpg,1,red\nx.jpg,0,red\ny.jpg,0,blue\n",
        ["'x.jpg', column 'a': got 1 in row 2 and 0 in row 3"],
    ),
    "one value": (
        "image,a,colour\nx.jpg,1,red\ny.jpg,1,red\n",
        ["column 'colour': 1 of its 1 values are on at least 1 images", "two or more"],
    ),
    "no value": (
        "image,a,colour\nx.jpg,1,\ny.jpg,1,NA\n",
        ["column 'colour': 0 of its 0 values", "categorical.min_count", "leave the column out"],
    ),
    "a text in a binary column": (
        "image,colour,a\nx.jpg,red,1\ny.jpg,blue,some\n",
        ["row 3, column 'a': got 'some', expected 1, 0 or unknown"],
    ),
    "nothing known": ("image,a,colour\nx.jpg,,\n", ["every cell of a, colour is unknown"]),
    "no such column": ("image,a,color\nx.jpg,1,0\n", ["'colour'", "did you mean 'color'?"]),
    "a column named like a value": (
        "image,colour,colour=red\nx.jpg,red,1\ny.jpg,blue,0\n",
        ["column 'colour=red' is named like a value of a categorical column", "rename"],
    ),
}


@pytest.mark.parametrize(
    ("content", "parts"), REFUSED_CATEGORICAL.values(), ids=REFUSED_CATEGORICAL
)
def test_refuses_categorical(tmp_path: Path, content: str, parts: list[str]) -> None:
    path = write(tmp_path, "table.csv", content)
    with pytest.raises(PipelineError) as caught:
        read_table(path, categorical=["colour"])
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_refuses_values_that_are_all_rare(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", MIXED)
    with pytest.raises(PipelineError) as caught:
        read_table(path, categorical=["colour", "size"], min_count=3)
    assert "column 'colour': 0 of its 3 values are on at least 3 images" in str(caught.value)


def test_refuses_a_categorical_column_that_is_not_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", MIXED)
    with pytest.raises(PipelineError, match=r"'colour'.*categorical\.columns.*some of hat, size"):
        read_table(path, ["hat", "size"], ["colour"])


def mixed() -> LabelTable:
    """A binary attribute between two categorical ones, rows not sorted."""
    texts = np.array(
        [["red", "L"], ["", "L"], ["blue", ""], ["teal", "S"]],
        dtype=object,
    )
    colour = categories.one_hot(texts[:, 0], ["red", "blue"])
    size = categories.one_hot(texts[:, 1], ["L", "S"])
    hat = np.array([[1], [0], [NAN], [1]], dtype=np.float32)
    return LabelTable(
        ["c.jpg", "a.jpg", "d.jpg", "b.jpg"],
        ["colour=red", "colour=blue", "hat", "size=L", "size=S"],
        np.concatenate([colour, hat, size], axis=1),
        ["train", "val", "test", "train"],
        categories=(Attribute("colour", ("red", "blue"), 0), Attribute("size", ("L", "S"), 3)),
        texts=texts,
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
    write_clean(replace(table, values=values), tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text().splitlines()[1:] == [
        "a.jpg,val,,0,L",
        "b.jpg,train,teal,1,S",
        "c.jpg,train,red,1,L",
        "d.jpg,test,blue,1,S",
    ]
    assert table.texts is not None
    assert table.texts[2].tolist() == ["blue", ""], "the input is left alone"


def test_taken_rows_keep_their_texts() -> None:
    table = mixed()
    taken = table.take([3, 0])
    assert taken.images == ["b.jpg", "c.jpg"]
    assert taken.split == ["train", "train"]
    assert taken.texts is not None
    assert taken.texts.tolist() == [["teal", "S"], ["red", "L"]]
    np.testing.assert_array_equal(taken.values, table.values[[3, 0]])
    assert taken.categories == table.categories
    assert table.take([]).texts is not None
    assert mixed().take(np.array([1])).images == ["a.jpg"]


TEXTS = (
    st.text(
        st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from('",; =01'), max_size=6
    )
    .map(str.strip)
    .filter(lambda text: text.lower() not in categories.UNKNOWN[1:])
)  # fmt: skip


@st.composite
def tables_with_categories(draw: st.DrawFn) -> LabelTable:
    plain = draw(clean_tables())
    attributes: list[str] = []
    columns, texts, found = [], [], []
    for a, name in enumerate(plain.attributes):
        if not draw(st.booleans()):
            attributes.append(name)
            columns.append(plain.values[:, [a]])
            continue
        given = draw(st.lists(TEXTS, min_size=len(plain.images), max_size=len(plain.images)))
        cells = np.array(given, dtype=object)
        # Further values come from cells of images that were dropped.
        rest = draw(st.lists(TEXTS.filter(bool), max_size=2, unique=True))
        common = categories.frequent(cells, draw(st.integers(1, 2)))
        values = [*common, *(text for text in rest if text not in given)] or ["only"]
        one = Attribute(name, tuple(values), len(attributes))
        found.append(one)
        attributes += one.columns
        columns.append(categories.one_hot(cells, values))
        texts.append(cells)
    return LabelTable(
        plain.images,
        attributes,
        np.concatenate(columns, axis=1),
        plain.split,
        categories=tuple(found),
        texts=np.stack(texts, axis=1) if texts else None,
    )


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
    if sorted_table.texts is None:
        assert again.texts is None
    else:
        assert again.texts is not None
        assert again.texts.tolist() == sorted_table.texts.tolist()
    write_clean(again, path.with_name("again.csv"))
    assert path.with_name("again.csv").read_bytes() == path.read_bytes()
