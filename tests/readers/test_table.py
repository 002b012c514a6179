"""What the readers share: the output file, its checks, and the line to run next."""

from __future__ import annotations

import errno
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.readers import table
from pipeline.readers.table import Table

SMALL = Table(["hat", "shoe, left"], [["a.jpg", "1", ""], ["b.jpg", "0", "1"]])


def test_summary_counts_images_columns_and_cells() -> None:
    assert SMALL.summary() == "2 images, 2 columns, 3 known and 1 unknown cells"


def test_the_table_is_written_as_csv(tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    table.write(SMALL, out)
    assert out.read_bytes() == b'image,hat,"shoe, left"\na.jpg,1,\nb.jpg,0,1\n'
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOSPC])
def test_an_earlier_file_survives_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    out = tmp_path / "labels.csv"
    out.write_text("earlier", encoding="utf-8")

    def refuse(self: Path, target: Path) -> None:
        raise OSError(code, "refused")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="refused"):
        table.write(SMALL, out)
    assert out.read_text(encoding="utf-8") == "earlier"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels.txt", "expected a name that ends in .csv"),
        ("none/labels.csv", "no such folder as"),
        ("folder.csv", "a folder, expected a file; choose another name"),
        ("link.csv", "this is the file to read; choose another name"),
        (f"{'x' * 300}/labels.csv", "no such folder as"),
    ],
)
def test_an_output_that_must_not_be(tmp_path: Path, name: str, message: str) -> None:
    source = tmp_path / "source.csv"
    source.touch()
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(PipelineError) as error:
        table.check_out(tmp_path / name, source)
    assert str(error.value).startswith(f"--out {tmp_path / name}: {message}")
    table.check_out(tmp_path / "new.csv", source)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "no column to write"),
        (["hat", "Split"], "column 'Split': image, split and error are reserved"),
        (["0", "1"], "columns '0', '1': all look like labels"),
    ],
)
def test_columns_that_the_pipeline_would_misread(columns: list[str], message: str) -> None:
    with pytest.raises(PipelineError, match=f"^here: {message}"):
        table.check_columns(Path("here"), columns)
    table.check_columns(Path("here"), ["0", "1", "hat"])


@pytest.mark.parametrize("name", ["", "../a", "a\\b", "a\tb", " a", "a\udc80"])
def test_image_names_that_can_not_be(name: str) -> None:
    with pytest.raises(PipelineError, match=r"^x\.txt: row 3: got "):
        table.check_image(Path("x.txt"), "row 3", name)
    table.check_image(Path("x.txt"), "row 3", "2007_000027 é")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\0b", "not a text file, expected a list"),
        (b"a\nb\xff\n", "row 2: byte 0xff is not UTF-8"),
    ],
)
def test_what_is_no_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=message):
        table.read_text(path, "a list")
    with pytest.raises(PipelineError, match="can't be read"):
        table.read_text(tmp_path / "none.txt", "a list")
    with pytest.raises(PipelineError, match="can't be listed"):
        table.list_folder(path)


def test_a_plain_command_stays_readable() -> None:
    line = table.experiment(
        {"data.labels": Path("mine/labels.csv"), "categorical.columns": ["gender", "Base Colour"]}
    )
    assert line == (
        "dvc exp run -S data.labels=mine/labels.csv -S "
        + shlex.quote("categorical.columns=[gender,'Base Colour']")
    )


@given(text=st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))
@example(text="it's\\")
@example(text="\\'")
@example(text="a,b")
@example(text="null")
@example(text="1e5")
@example(text="-inf")
def test_any_path_and_column_arrives_as_written(text: str) -> None:
    words = shlex.split(table.experiment({"data.labels": text, "columns": [text, "b"]}))
    assert words[:3] == ["dvc", "exp", "run"]
    path, columns = OverridesParser.create().parse_overrides([words[4], words[6]])
    assert path.value() == text
    assert columns.value() == [text, "b"]
