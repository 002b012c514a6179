"""The reader of Kaggle's styles.csv: exact rows, unquoted commas, and every way to be wrong."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.labels import UNKNOWN
from pipeline.data.table_files import read_rows
from pipeline.errors import PipelineError
from pipeline.readers import styles, table

SHORT = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage"
FULL = f"{SHORT},productDisplayName"
Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def call(text: str | bytes) -> Path:
        path = tmp_path / "styles.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return call


def failure(path: Path, columns: list[str] | None = None) -> str:
    with pytest.raises(PipelineError) as error:
        styles.read(path, styles.DEFAULT_COLUMNS if columns is None else columns)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_default_columns_of_kaggles_header(write: Write) -> None:
    path = write(
        f"{FULL}\n"
        "15,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Check Shirt\n"
        "7,Women,Footwear,Shoes,Heels,NA,nan,,,Red Heels\n"
    )
    found = styles.read(path)
    assert found.columns == [
        *("gender", "masterCategory", "subCategory", "articleType", "baseColour"),
        *("season", "usage"),
    ]
    assert found.rows == [
        ["15.jpg", "Men", "Apparel", "Topwear", "Shirts", "Navy Blue", "Fall", "Casual"],
        ["7.jpg", "Women", "Footwear", "Shoes", "Heels", "", "", ""],
    ]
    assert found.summary() == "2 images, 7 columns, 11 known and 3 unknown cells"


def test_without_the_display_name_and_with_a_byte_order_mark(write: Write) -> None:
    path = write(f"\ufeff{SHORT}\r\n1,Men,A,B,C,D,Fall,2011.0,Casual\r\n\r\n")
    assert styles.read(path, ["usage", "year"]).rows == [["1.jpg", "Casual", "2011.0"]]


def test_unquoted_commas_go_back_into_the_display_name(write: Write) -> None:
    path = write(
        f"{FULL}\n"
        "1,Men,A,B,C,Red,Fall,2011,Casual,Pack of 2, Red, Blue\n"
        '2,Men,A,B,C,Red,Fall,2011,Sports,"Quoted, too"\n'
        "3,Men,A,B,C,Red,Fall,2011,,\n"
    )
    assert styles.read(path, ["usage", "productDisplayName"]).rows == [
        ["1.jpg", "Casual", "Pack of 2, Red, Blue"],
        ["2.jpg", "Sports", "Quoted, too"],
        ["3.jpg", "", ""],
    ]


@pytest.mark.parametrize("text", ["", " ", "NA", "na", "nan", "?", "None", "null", "N/A", "#N/A"])
def test_unknown_cells_are_empty(write: Write, text: str) -> None:
    path = write(f"id,baseColour\n1,{text}\n")
    assert styles.read(path, ["baseColour"]).rows == [["1.jpg", ""]]


@pytest.mark.parametrize("text", ["-", "0", "1", "1.50", "TRUE"])
def test_nothing_else_becomes_unknown_or_a_number(write: Write, text: str) -> None:
    path = write(f"id,baseColour\n1,{text}\n")
    assert styles.read(path, ["baseColour"]).rows == [["1.jpg", text]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1: no column 'id': got nothing; expected the header of Kaggle's styles.csv"),
        ("a;id\n1;2\n", "row 1: no column 'id': got a;id; expected the header"),
        ("id,gender,gender\n1,Men,Men\n", "row 1: two columns are named 'gender'; rename or"),
        ("id,gender\n", "a header but no row below it, expected one row per product"),
        ("id,gender\n1,Men\n2\n", "row 3: got 1 cells, expected 2 as in the header; add or remove"),
        ("id,gender\n1,Men,tall\n", "row 2: got 3 cells, expected 2 as in the header"),
        ("id,gender\nx1,Men\n", "row 2, column 'id': got 'x1', expected a number; correct"),
        ("id,gender\n../1,Men\n", "row 2, column 'id': got '../1', expected a number; correct"),
        ("id,gender\n\n1,Men\n1,Men\n", "row 4, column 'id': got 1, as in row 3; keep one"),
        ('id,gender\n1,Men\n2,"Men\n3,Men\n', "row 3: unexpected end of data; check the quotes"),
        (b"id,gender\n1,\xff\n", "row 2: byte 0xff is not UTF-8; save it in UTF-8"),
        (b"id,gender\n1,\0\n", "not a text file, expected Kaggle's styles.csv"),
    ],
)
def test_what_is_wrong_with_a_table(write: Write, text: str | bytes, message: str) -> None:
    path = write(text)
    assert failure(path, ["gender"]).startswith(f"{path}: {message}")


def test_columns_that_are_not_there(write: Write, tmp_path: Path) -> None:
    path = write("id,gender,usage\n1,Men,Casual\n")
    assert failure(path) == (
        f"{path}: no column 'masterCategory' to write; choose some of 'gender', 'usage' with "
        "--columns"
    )
    assert "no column 'Gender' to write; did you mean 'gender'? choose" in failure(path, ["Gender"])
    assert "no column 'id' to write" in failure(path, ["id"])
    assert failure(path, ["usage", "usage"]) == "--columns: 'usage' is listed twice; remove one"
    assert "can't be read (No such file or directory)" in failure(tmp_path / "none.csv")


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_the_pipeline_reads_what_was_written(tmp_path: Path, cells: list[tuple[str, str]]) -> None:
    source, out = tmp_path / "styles.csv", tmp_path / "labels.csv"
    with source.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "baseColour", "usage"])
        writer.writerows([number, *pair] for number, pair in enumerate(cells))
    found = styles.read(source, ["baseColour", "usage"])
    table.write(found, out)
    assert [row for _, row in read_rows(out)] == [["image", *found.columns], *found.rows]
    for (_, *row), pair in zip(found.rows, cells, strict=True):
        for cell, text in zip(row, pair, strict=True):
            joined = " ".join(text.split())
            assert cell == ("" if joined.lower() in UNKNOWN else joined)


def test_the_command_line(
    write: Write, tmp_path: Path, run_module: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    write(f"{FULL}\n1,Men,A,B,C,Red,Fall,2011,Casual,Shirt, red\n2,Men,A,B,C,NA,Fall,2011,,x\n")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/1.jpg").touch()
    arguments = ("pipeline.readers.styles", "styles.csv", "--out", "labels.csv")
    done = run_module(*arguments, "--columns", "gender, baseColour", "--images", "photos")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "labels.csv: 2 images, 2 columns, 3 known and 1 unknown cells; 1 images not in photos; "
        "next: dvc exp run -S data.labels=labels.csv -S data.images=photos -S "
        "'categorical.columns=[gender,baseColour]'\n"
    )
    before = (tmp_path / "labels.csv").read_bytes()
    assert before == b"image,gender,baseColour\n1.jpg,Men,Red\n2.jpg,Men,\n"

    done = run_module(*arguments, "--columns", "gender,color")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: styles.csv: no column 'color' to write; choose some of")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "labels.csv").read_bytes() == before


def test_what_the_command_line_says_without_images(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("id,gender\n1,Men\n")
    out = tmp_path / "labels.csv"
    styles.main([str(path), "--out", str(out), "--columns", "gender"])
    printed = capsys.readouterr().out
    assert f"unknown cells; next: dvc exp run -S data.labels={out} " in printed
    assert f"data.images={tmp_path / 'images'}" in printed
    with pytest.raises(PipelineError, match="no such folder; give that of the images"):
        styles.main([str(path), "--out", str(out), "--images", str(tmp_path / "none")])
    with pytest.raises(PipelineError, match="this is the file to read"):
        styles.main([str(path), "--out", str(path)])
