"""Tables in every kind of file, as the same rows."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.data.table_files import read_rows
from pipeline.errors import PipelineError

PLAIN = "image,hät,b\nx.jpg,1,0\ny.jpg,,1\n"
ROWS = [["image", "hät", "b"], ["x.jpg", "1", "0"], ["y.jpg", "", "1"]]
FRAME = pd.DataFrame({"image": ["x.jpg", "y.jpg"], "hät": [1.0, np.nan], "b": [0, 1]})


def cells(path: Path, content: bytes | str, encoding: str | None = None) -> list[list[str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [row for _, row in read_rows(path, encoding)]


TEXTS = {
    "UTF-16 with a mark": codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le"),
    "UTF-16, big-endian": codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
    "UTF-32 with a mark": PLAIN.encode("utf-32"),
    "Excel's sep": "sep=;\r\n" + PLAIN.replace(",", ";"),
    "Excel's sep, quoted": '"sep=|"\n' + PLAIN.replace(",", "|"),
    "pipes": PLAIN.replace(",", "|"),
    "pipes between spaces": PLAIN.replace(",", " | "),
    "Markdown": "| image | h\u00e4t | b |\n|---|:-:|---|\n| x.jpg | 1 | 0 |\n| y.jpg | | 1 |\n",
    "comments": "# my labels, 2020\n#\n" + PLAIN.replace("\ny", "\n# half, of them\n#\ny"),
    "a commented header": "# made, by, me, and you\n# " + PLAIN,
    "one space, empty cells": PLAIN.replace(",", " "),
}


@pytest.mark.parametrize("case", TEXTS)
def test_the_same_rows_from_every_text(tmp_path: Path, case: str) -> None:
    found = cells(tmp_path / "t.csv", TEXTS[case])
    outer = int(case == "Markdown")  # bars at the ends make empty cells there
    assert [row[outer : len(row) - outer] for row in found] == ROWS


def test_an_encoding_is_said_in_params(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    assert cells(path, PLAIN.encode("latin-1"), "latin-1") == ROWS
    assert cells(path, PLAIN.encode("utf-16-le"), "utf-16-le") == ROWS
    with pytest.raises(PipelineError, match=r"row 1: byte 0xe4 is not UTF-8 text.*data\.encoding"):
        cells(path, PLAIN.encode("latin-1"))
    with pytest.raises(PipelineError, match="row 1: byte 0xc3 is no ascii text; correct data"):
        cells(path, PLAIN, "ascii")


def test_an_image_name_may_begin_with_a_hash(tmp_path: Path) -> None:
    found = cells(tmp_path / "t.csv", "image,a\nx.jpg,1\n#2.jpg,0\n")
    assert found[-1] == ["#2.jpg", "0"]


RECORDS = [{"image": "x.jpg", "hät": 1, "b": 0}, {"image": "y.jpg", "hät": None, "b": 1.0}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", json.dumps(RECORDS)),
        ("t.json", json.dumps(RECORDS, indent=1)),
        ("t.jsonl", "\n".join(map(json.dumps, RECORDS))),
        ("t.ndjson", "\n\n".join(map(json.dumps, RECORDS)) + "\n"),
        ("t.json", FRAME.to_json(orient="records")),
    ],
)
def test_json_records(tmp_path: Path, name: str, content: str) -> None:
    assert cells(tmp_path / name, content) == ROWS


def test_a_key_that_a_record_lacks_is_unknown(tmp_path: Path) -> None:
    found = cells(
        tmp_path / "t.json", '[{"image": "x.jpg", "a": true}, {"b": 1, "image": "y.jpg"}]'
    )
    assert found == [["image", "a", "b"], ["x.jpg", "True", ""], ["y.jpg", "", "1"]]


def test_excel(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    path = tmp_path / "t.xlsx"
    FRAME.to_excel(path, index=False)
    assert read_rows(path) == list(enumerate(ROWS, 1))
    FRAME.astype({"b": bool}).to_excel(tmp_path / "any.csv.xlsx", index=False, startrow=2)
    assert read_rows(tmp_path / "any.csv.xlsx")[1] == (4, ["x.jpg", "1", "False"])
    with pd.ExcelWriter(path) as writer:
        for sheet in ("one", "two"):
            FRAME.to_excel(writer, sheet_name=sheet, index=False)
    with pytest.raises(PipelineError, match="2 sheets with cells, expected one"):
        read_rows(path)
    path.write_bytes(b"PK\x03\x04 no workbook")
    with pytest.raises(PipelineError, match=r"not a readable \.xlsx workbook"):
        read_rows(path)


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    FRAME.to_parquet(path)
    assert [row for _, row in read_rows(path)] == ROWS
    FRAME.set_index("image").convert_dtypes().to_parquet(path)
    assert [row for _, row in read_rows(path)] == ROWS
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(PipelineError, match="not a readable Parquet file"):
        read_rows(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "version https://git-lfs.github.com/spec/v1\noid x\n", "git lfs pull"),
        ("t.csv.gz", b"\x1f\x8b\x08\0", "a gzip file, expected the table itself; unpack it"),
        ("t.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel file"),
        ("t.json", "{", "not valid JSON"),
        ("t.json", "[" * 100_000, "not valid JSON"),
        ("t.json", '[{"image": "x"}, 3]', "expected a list of records"),
        ("t.json", FRAME.to_json(), "orient='records'"),
        ("t.json", '[{"image": ["x"], "a": 1}]', "row 1: got ['x'], expected a text or a number"),
        ("t.json", "[]", "an empty table"),
        ("t.csv", "\0\0", "not a text file"),
        ("t.txt", "a.jpg 1  0\nb.jpg  0 1\n", "row 1: two spaces side by side"),
    ],
)
def test_refuses(tmp_path: Path, name: str, content: bytes | str, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        cells(tmp_path / name, content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg  1  0\nb.jpg  0  1\n",
        "000001.jpg -1  1\n000002.jpg  1 -1\n",
        "image   a  b\nx.jpg  1 0\nlonger.jpg NA   1\n",
    ],
)
def test_cells_that_are_aligned_are_not_ambiguous(tmp_path: Path, text: str) -> None:
    assert cells(tmp_path / "t.txt", text) == [line.split() for line in text.splitlines()]


def test_spaces_inside_quotes_stay(tmp_path: Path) -> None:
    assert cells(tmp_path / "t.txt", '"my  x.jpg"   1 0\n')[0] == ["my  x.jpg", "1", "0"]
