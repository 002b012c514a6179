"""Every accepted label table, and every refused one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES

from pipeline.data.categories import Attribute
from pipeline.data.labels import CELLS, UNKNOWN
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
    "rows that hold nothing": ("t.csv", "image,a,b\n,,\nx.jpg,1,0\ny.jpg,NA,1\n , ,\n,\n"),
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
    "name",
    ["image_id", "file_name", "filepath", "Image Index", "ImageID", "image path", "name", "IMG"],
)
def test_names_of_the_image_column(tmp_path: Path, name: str) -> None:
    table = read_table(write(tmp_path, "t.csv", f"{name},a,b\nx.jpg,1,0\ny.jpg,NA,1\n"))
    assert (table.images, table.attributes) == (["x.jpg", "y.jpg"], ["a", "b"])


@pytest.mark.parametrize(
    ("yes", "no", "unknown"),
    [
        ("True", "FALSE", "None"),
        ("yes", "No", "null"),
        ("t", "F", "N/A"),
        ("Y", "n", "<NA>"),
        ("1,0", "0,0", "#N/A"),
    ],
)
def test_words_for_labels(tmp_path: Path, yes: str, no: str, unknown: str) -> None:
    content = f"image;a;b\nx.jpg;{yes};{no}\ny.jpg;{unknown};{yes}\n"
    table = read_table(write(tmp_path, "t.csv", content))
    np.testing.assert_array_equal(table.values, [[1, 0], [NAN, 1]])


def test_what_pandas_takes_for_missing_is_unknown() -> None:
    assert {text.lower() for text in STR_NA_VALUES} < {*UNKNOWN}


def test_words_make_a_row_but_lone_letters_may_be_names(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "t.csv", "x.jpg,True,no\ny.jpg,None,yes\n"))
    np.testing.assert_array_equal(table.values, [[1, 0], [NAN, 1]])
    with pytest.raises(PipelineError, match=r"row 1: no image column: got 'photo'.*'t'"):
        read_table(write(tmp_path, "t.csv", "photo,t,f\ny.jpg,1,0\n"))


@pytest.mark.parametrize(
    "header", ["image,0,1", "filename,1,0", "image,NA,nan", "ID,?,1", "File,0.0,1.0"]
)
def test_first_cell_makes_a_header(tmp_path: Path, header: str) -> None:
    table = read_table(write(tmp_path, "t.csv", f"{header}\nx.jpg,1,0\ny.jpg,NA,1\n"))
    assert table.images == ["x.jpg", "y.jpg"]
    assert table.attributes == header.split(",")[1:]
    np.testing.assert_array_equal(table.values, [[1, 0], [NAN, 1]])


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
    "binary": (b"\x7fELF\0\0", ["not a text file", "export it as CSV"]),
    "latin-1": (b"image,a\nx.jpg,1\nm\xfcller.jpg,1\n", ["row 3", "0xfc", "UTF-8"]),
    "empty": ("", ["empty table"]),
    "only blank lines": ("\n  \n\r\n", ["empty table"]),
    "only a header": ("image,a\n", ["header", "no row"]),
    "one column": ("image\nx.jpg\n", ["row 1", "one column", "no attribute column"]),
    "no image column": ("a,b\n1,0\n", ["row 1", "no image column", "'a'", "filename", "rename"]),
    "bad value in the first row of a table without header": (
        "x.jpg 1 maybe\ny.jpg 0 1\n",
        ["row 1", "no image column", "'x.jpg'", "'maybe'", "put one above it"],
    ),
    "ragged, short": ("image,a,b\nx.jpg,1,0\ny.jpg,1\n", ["row 3", "2 cells", "3", "header"]),
    "ragged, long": ("image,a,b\n\nx.jpg,1,0,1\n", ["row 3", "4 cells", "3"]),
    "ragged, no header": ("x.jpg 1 0\ny.jpg 1\n", ["row 2", "2 cells", "as in row 1"]),
    "bad value": (
        "image,a,b\nx.jpg,1,0\ny.jpg,1,maybe\nz.jpg,2,0\n",
        ["row 3", "column 'b'", "'maybe'", "1, 0 or unknown", "1 more"],
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
    "nothing known": ("image,a,b\nx.jpg,,\ny.jpg,NA,?\n", ["every cell of 'a', 'b' is unknown"]),
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
        (["a", "blakc"], ["'blakc'", "did you mean 'black'", "'a', 'black'"]),
        (["image"], ["'image'", "'a', 'black'"]),
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
    quoted = [[f'"{cell}"' if "," in cell else cell for cell in line] for line in lines]
    text = "\n".join(separator.join(line) for line in quoted)
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
    assert table.cells["colour"].tolist() == ["red", "blue", "red", "", "teal", "blue"]
    assert table.cells["size"].tolist() == ["L", "", "S", "S", "L", "XL"]


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
    assert (table.categories, table.vocabulary, table.attributes) == ((), {}, ["hat"])


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
    assert table.cells["colour"].tolist() == ["red", "blue", "blue"]


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
    "nothing known": ("image,a,colour\nx.jpg,,\n", ["every cell of 'a', 'colour' is unknown"]),
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
    with pytest.raises(PipelineError, match=r"'colour'.*categorical\.columns.*'hat', 'size'"):
        read_table(path, ["hat", "size"], ["colour"])


POSITIVES = "image,a,b,c\nx.jpg,1,,0\ny.jpg,,1,NA\nx.jpg,,,\nz.jpg,,,\nz.jpg,,1,\n"


def test_blank_means_no_where_params_say_so(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", POSITIVES)
    unknown = [[1, NAN, 0], [NAN, 1, NAN], [NAN, 1, NAN]]
    np.testing.assert_array_equal(read_table(path).values, unknown)
    table = read_table(path, blank="negative")
    np.testing.assert_array_equal(table.values, [[1, 0, 0], [0, 1, NAN], [0, 1, 0]])
    assert table.values.dtype == np.float32
    assert "4 empty cells are taken for 0 (data.blank: negative)" in table.notes


@pytest.mark.parametrize(("meaning", "value"), [("negative", 0), ("unknown", NAN)])
def test_minus_one_means_what_params_say(tmp_path: Path, meaning: str, value: float) -> None:
    path = write(tmp_path, "t.csv", "image,a,b\nx.jpg,-1,1\ny.jpg,1,-1.0\nz.jpg,0,\n")
    table = read_table(path, minus_one=meaning)
    np.testing.assert_array_equal(table.values, [[value, 1], [1, value], [0, NAN]])
    assert f"2 cells of -1 are taken for {meaning} (data.minus_one)" in table.notes


def test_a_split_and_groups_of_the_tables_own(tmp_path: Path) -> None:
    text = (
        "image,a,part,who\nx.jpg,1,Train,p\ny.jpg,0,VALIDATION,\nz.jpg,0,test,q\nx.jpg,1,train,p\n"
    )
    path = write(tmp_path, "t.csv", text)
    table = read_table(path, split_column="part", group_column="who")
    assert (table.attributes, table.split) == (["a"], ["train", "val", "test"])
    assert (table.group, table.merged) == (["p", "", "q"], 1)
    assert table.take([2]).group == ["q"]
    bad = write(tmp_path, "bad.csv", text.replace("test", "holdout"))
    with pytest.raises(PipelineError, match=r"row 4, column 'part': got 'holdout', expected"):
        read_table(bad, split_column="part", group_column="who")
    moved = write(tmp_path, "moved.csv", text.replace("1,train", "1,test"))
    with pytest.raises(PipelineError, match=r"got split 'train' in row 2 and 'test' in row 5"):
        read_table(moved, split_column="part", group_column="who")


def test_values_of_a_category_that_may_be_a_slip_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "image,c\nx.jpg,Red\ny.jpg,red\nz.jpg,-\n")
    table = read_table(path, categorical=["c"])
    assert [note.split(":")[0] for note in table.notes] == ["column 'c'", "column 'c'"]
    assert table.cells["c"].tolist() == ["Red", "red", "-"], "and nothing else happens"
