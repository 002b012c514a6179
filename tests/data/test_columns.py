"""Which column of a table is what."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.columns import Choice, Columns, find
from pipeline.data.image_names import ImageNames
from pipeline.data.table_files import read_rows
from pipeline.errors import PipelineError


@pytest.fixture
def names(tmp_path: Path) -> ImageNames:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("x", "y", "z"):
        (folder / f"{name}.jpg").touch()
    return ImageNames(folder)


def columns(names: ImageNames, text: str, **choice: object) -> Columns:
    path = names.folder.parent / "t.csv"
    path.write_text(text)
    return find(path, read_rows(path), Choice(**choice), names)  # type: ignore[arg-type]


HEADERS = {
    "pandas' nameless index": (",image,a\n0,x.jpg,1\n1,y.jpg,0\n2,z.jpg,1\n", "image", ["a"]),
    "pandas' index as read again": (
        "Unnamed: 0,image,a\n5,x.jpg,1\n7,y.jpg,0\n9,z.jpg,1\n",
        "image",
        ["a"],
    ),
    "a nameless index of images": (",a,b\nx.jpg,1,0\ny.jpg,0,1\nz.jpg,,1\n", "", ["a", "b"]),
    "an id before the images": ("id,image,a\n17,x.jpg,1\n18,y.jpg,0\n", "image", ["a"]),
    "an id before the files": ("id,path,a\n17,x.jpg,1\n18,y.jpg,0\n", "path", ["a"]),
    "names that are files": ("image,file,a\n17,x.jpg,1\n18,y.jpg,0\n", "file", ["a"]),
    "the images last": ("a,b,image\n1,0,x.jpg\n0,1,y.jpg\n", "image", ["a", "b"]),
    "another name, by the files": ("a,photo\n1,x.jpg\n0,y.jpg\n", "photo", ["a"]),
    "a label called id": ("image,id,a\nx.jpg,1,1\ny.jpg,0,0\n", "image", ["id", "a"]),
    "a trailing comma": ("image,a,\nx.jpg,1,\ny.jpg,0,\n", "image", ["a"]),
}


@pytest.mark.parametrize("case", HEADERS)
def test_the_image_column_and_the_attributes(names: ImageNames, case: str) -> None:
    text, image, attributes = HEADERS[case]
    found = columns(names, text)
    assert found.header == image
    assert list(found.attributes) == attributes
    header = text.split("\n", 1)[0].split(",")
    assert header[found.image] == image
    assert [header[place] for place in found.attributes.values()] == attributes


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (HEADERS["pandas' nameless index"][0], "column 1 has no name and counts the rows"),
        (HEADERS["a trailing comma"][0], "column 3 has neither a name nor a cell"),
        (HEADERS["an id before the images"][0], "column 'id' could name the images, too"),
        (HEADERS["another name, by the files"][0], "column 'photo' is taken for the image column"),
        ("image,l,0\nx.jpg,1,0\n", "row 1 is taken for the header although '0' in it may be"),
        ("image,Hat,hat\nx.jpg,1,0\n", "the columns 'Hat', 'hat' differ by case or spacing alone"),
    ],
)
def test_what_was_taken_for_what_is_said(names: ImageNames, text: str, note: str) -> None:
    assert any(note in line for line in columns(names, text).notes)


def test_an_index_without_a_name_is_no_label(names: ImageNames) -> None:
    (note,) = columns(names, HEADERS["pandas' nameless index"][0]).notes
    assert "counts the rows" in note


def test_a_plain_table_needs_no_word(names: ImageNames) -> None:
    assert columns(names, "image,a,b\nx.jpg,1,0\n").notes == ()
    assert columns(names, "x.jpg,1,0\ny.jpg,0,1\n").notes == ()
    assert columns(names, "x.jpg,1,-1\ny.jpg,0,1\n").header is None
    assert columns(names, "x.jpg,t,f\ny.jpg,f,t\n").header is None
    assert columns(names, "x,N,Y\ny,Y,N\n").header is None


def test_a_name_that_is_too_long_is_no_file(names: ImageNames) -> None:
    long = "x" * 5000
    with pytest.raises(PipelineError, match="no image column"):
        columns(names, f"photo,hat\n{long},1\n{long}y,0\n")
    assert columns(names, f"id,image,a\n{long},x.jpg,1\n").header == "image"


def test_params_settle_it(names: ImageNames) -> None:
    text = "image,photo,a,b,note,split,who\n1,x.jpg,1,0,old,train,p\n2,y.jpg,0,1,new,TEST,q\n"
    found = columns(
        *(names, text),
        image="photo",
        exclude=["image", "note"],
        split="split",
        group="who",
    )
    assert (found.header, found.image, found.split, found.group) == ("photo", 1, 5, 6)
    assert found.attributes == {"a": 2, "b": 3}
    assert found.notes == ()


def test_columns_that_were_not_chosen_may_be_anything(names: ImageNames) -> None:
    text = "image,a,,x,x,b\nx.jpg,1,some,1,2,0\ny.jpg,0,text,3,4,1\n"
    assert columns(names, text, attributes=["b", "a"]).attributes == {"b": 5, "a": 1}
    without = columns(names, text.replace(",,", ",note,"), exclude=["x", "note"])
    assert list(without.attributes) == ["a", "b"]


REFUSED = {
    "a nameless column with cells": ("image,a,\nx.jpg,1,0\n", {}, "column 3 has no name; give it"),
    "two of a name": ("image,a,a\nx.jpg,1,0\n", {}, "columns 2 and 3 are both named 'a'; rename"),
    "no image column": ("a,b\n1,q.jpg\n", {}, "no image column: got 'a', 'b', expected a column"),
    "a first row that is a picture": (
        "x.jpg,l,0\ny.jpg,1,0\n",
        {},
        "or, if this row is no header ('l' may be a name), put one above it",
    ),
    "a header or a picture": ("image,l,0\nx.jpg,1,0\n", {}, "a header or a row? 'image' names"),
    "no such image column": (
        "image,a\nx.jpg,1\n",
        {"image": "imgae"},
        "no column 'imgae', which data.image_column in params.yaml names; did you mean 'image'?",
    ),
    "an image column without a header": ("x.jpg,1\n", {"image": "image"}, "no header, so no"),
    "no such column to leave out": ("image,a\nx.jpg,1\n", {"exclude": ["b"]}, "which exclude in"),
    "a column twice": ("image,a\nx.jpg,1\n", {"exclude": ["a", "a"]}, "exclude lists 'a' twice"),
    "chosen and left out": (
        "image,a,b\nx.jpg,1,1\n",
        {"attributes": ["a"], "exclude": ["a"]},
        "'a' is in attributes and exclude; remove one",
    ),
    "an attribute that says the split": (
        "image,a,b\nx.jpg,1,1\n",
        {"attributes": ["a", "b"], "split": "b"},
        "'b' is in attributes and a column of split; remove one",
    ),
    "nothing left": ("image,a\nx.jpg,1\n", {"exclude": ["a"]}, "no attribute column is left"),
    "a split that was not named": (
        "image,a,split\nx.jpg,1,train\n",
        {},
        "set split.column in params.yaml to it",
    ),
    "names that look the same": (
        "image,hat,hat\u200b\nx.jpg,1,0\n",
        {},
        "the columns 'hat' and 'hat\\u200b' look the same; rename one",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(names: ImageNames, case: str) -> None:
    text, choice, message = REFUSED[case]
    if case == "a header or a picture":
        (names.folder / "image.jpg").touch()
        assert columns(names, text, image="image").attributes == {"l": 1, "0": 2}
    with pytest.raises(PipelineError) as caught:
        columns(names, text, **choice)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
