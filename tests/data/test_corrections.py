"""Corrections: what is read, what is refused and why, and what changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.data import corrections
from pipeline.data.corrections import Correction
from pipeline.data.labels import LabelTable
from pipeline.errors import PipelineError
from pipeline.impute.review import AUDIT, DOUBTFUL
from pipeline.review.queues import QUEUES
from pipeline.writers.registry import WRITERS

NAN = float("nan")
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def call(text: str) -> Path:
        path = tmp_path / "corrections.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return call


def table() -> LabelTable:
    values = np.array([[1, NAN], [0, 1], [NAN, NAN]], dtype=np.float32)
    return LabelTable.binary(["a.jpg", "b.jpg", "c.jpg"], ["hat", "sleeves"], values, ["train"] * 3)


def test_without_a_file_or_rows_there_is_no_correction(tmp_path: Path, write: Write) -> None:
    assert corrections.read(tmp_path / "none.csv") == []
    assert corrections.read(write("image,attribute,value\n")) == []


def test_rows_are_read_in_any_column_order_and_spelling(write: Write) -> None:
    path = write("Value;IMAGE;note;attribute\n1;a.jpg;sure;hat\n\n0.0;b.jpg;;hat\n?;c.jpg;;hat\n")
    found = corrections.read(path)
    assert found[:2] == [Correction("a.jpg", "hat", 1.0, 2), Correction("b.jpg", "hat", 0.0, 4)]
    assert np.isnan(found[2].value)


@pytest.mark.parametrize("text", ["", "NA", "nan", "?"])
def test_every_spelling_of_unknown_withdraws_a_label(write: Write, text: str) -> None:
    found = corrections.read(write(f"image,attribute,value\na.jpg,hat,{text}\n"))
    changed, count = corrections.apply(table(), found)
    assert np.isnan(changed.values[0, 0])
    assert count == 1


LIST = "image,attribute,correct_value,guess,expected_correctness,queue,listed_probability,reason\n"


def test_a_line_of_a_list_counts_where_somebody_has_said_what_is_right(write: Write) -> None:
    lines = (
        "a.jpg,hat,0,1,0.588,doubtful,1.0,unsure\n"
        "b.jpg,sleeves,,1,0.8,audit,0.05,\n"
        "c.jpg,hat,?,1,,,,\n"
    )
    first = Correction("a.jpg", "hat", 0.0, 2, "1", "doubtful", 0.588, 1.0)
    found = corrections.read(write(LIST + lines))
    assert found[0] == first
    assert [one.image for one in found] == ["a.jpg", "c.jpg"]
    assert np.isnan(found[1].value)
    assert found[1].expected_correctness is None


SUSPECTS = (
    "image,attribute,correct_value,label,suggested,split,label_probability,wrong_probability,"
    "called,reason\n"
)


@pytest.mark.parametrize("padding", ["", ",,,,,,,,"])  # as a spreadsheet pads narrow lines
def test_lists_are_pasted_below_one_another_with_their_headers(write: Write, padding: str) -> None:
    path = write(
        f"image,attribute,value{padding}\n"
        f"e.jpg,hat,1{padding}\n"
        f"{LIST}a.jpg,hat,0,1,0.588,doubtful,1.0,unsure\nb.jpg,hat,,1,0.8,audit,0.05,drawn\n"
        f"{SUSPECTS}c.jpg,hat,0,1,0,train,0.1,0.9,yes,against\n"
        "d.jpg,hat,1\n"
    )
    assert corrections.read(path) == [
        Correction("e.jpg", "hat", 1.0, 2),
        Correction("a.jpg", "hat", 0.0, 4, "1", "doubtful", 0.588, 1.0),
        Correction("c.jpg", "hat", 0.0, 7),
        Correction("d.jpg", "hat", 1.0, 8),
    ]


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (
            "image,attribute,value\na.jpg,hat,1\na.jpg,hat,1,extra\n",
            "row 3: got 4 cells, expected 3",
        ),
        (
            "image,attribute,value\na.jpg,hat,1\na.jpg,hat,,extra\n",
            "row 3: got 4 cells, expected 3",
        ),
        (
            "image,attribute,value,,\nb.jpg,hat,1,,\na.jpg,hat,1,extra,\n",
            "row 3: got 4 cells, expected 3",
        ),
        (
            f"{LIST}a.jpg,hat,,1,0.8,audit,0.05,drawn\nc.jpg,hat,1,0,1,train,0.9\n",
            "row 3: got 7 cells, expected 8",
        ),
    ],
)
def test_lines_of_another_list_need_its_header(write: Write, text: str, got: str) -> None:
    path = write(text)
    with pytest.raises(PipelineError) as error:
        corrections.read(path)
    assert str(error.value) == (
        f"{path}: {got} as in the header in row 1; lines of reports/review.csv or "
        "reports/suspects.csv need the header line of their own list: paste it along, above them"
    )


def test_a_column_that_is_there_twice(write: Write) -> None:
    with pytest.raises(PipelineError, match="row 1: 2 columns 'value', expected one; rename the"):
        corrections.read(write("image,attribute,value,Value\na.jpg,hat,1,0\n"))


@pytest.mark.parametrize(
    ("text", "guess"), [("1", "1"), ("1.0", "1"), ("0.0", "0"), ("yes", "1"), ("", ""), ("NaN", "")]
)
def test_a_guess_is_read_as_a_value_is(write: Write, text: str, guess: str) -> None:
    path = write(f"image,attribute,value,guess\na.jpg,hat,1,{text}\n")
    assert [one.guess for one in corrections.read(path)] == [guess]
    path = write(f"image,attribute,value,guess\na.jpg,colour,1.0,{text or '?'}\n")
    expected = "" if text in ("", "NaN") else text
    assert [one.guess for one in corrections.read(path, ["colour"])] == [expected]


@pytest.mark.parametrize("queue", ["", "doubtful", "audit", "too few labels", "suspects", "cvat"])
def test_queues_are_known_by_name(write: Write, queue: str) -> None:
    path = write(f"{LIST}a.jpg,hat,0,1,0.588,{queue},0.5,unsure\n")
    assert [one.queue for one in corrections.read(path)] == [queue]


def test_the_names_of_queues_are_those_of_the_page_and_of_other_tools() -> None:
    assert {*corrections.QUEUES} == {*QUEUES, *WRITERS}
    assert {*corrections.NEEDED} == {DOUBTFUL, AUDIT}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            "banana,0.6,audit,0.2",
            "column 'guess': got 'banana', expected 1, 0 or nothing, as reports/review.csv has it",
        ),
        (
            "1,0.6,Audit,0.2",
            "column 'queue': got 'Audit'; did you mean 'audit'? expected one of 'too few labels', "
            "'doubtful', 'audit', 'suspects', 'attribute', 'image', 'label-studio', 'cvat', "
            "'fiftyone', 'open-images', 'huggingface', or nothing",
        ),
        ("1,0.6,nonsense,0.2", "column 'queue': got 'nonsense'; expected one of 'too few labels'"),
        (
            "1,0.6,audit,",
            "column 'listed_probability': got nothing, expected more than 0, as in the queue "
            "'audit' of reports/review.csv; copy it from the list, or leave queue empty, too",
        ),
        ("1,0.6,audit,0", "column 'listed_probability': got 0, expected more than 0, as in the"),
        ("1,0.6,audit,2", "column 'listed_probability': got '2', expected a number from 0 to 1"),
        ("1,,audit,0.2", "column 'expected_correctness': got nothing, expected a number from 0 to"),
        ("1,,doubtful,1", "column 'expected_correctness': got nothing, expected a number from 0 "),
        (",0.6,audit,0.2", "column 'guess': got nothing, expected what had been filled in, as in"),
    ],
)
def test_what_no_promise_can_be_checked_by(write: Write, record: str, message: str) -> None:
    path = write(f"{LIST}a.jpg,hat,0,{record},unsure\n")
    with pytest.raises(PipelineError) as error:
        corrections.read(path)
    assert str(error.value).startswith(f"{path}: row 2, {message}")


def test_an_answer_repeated_by_hand_keeps_what_the_list_told_of_it(write: Write) -> None:
    path = write(f"{LIST}a.jpg,hat,0,1,0.6,audit,0.2,drawn\na.jpg,hat,0\n")
    assert corrections.read(path) == [Correction("a.jpg", "hat", 0.0, 2, "1", "audit", 0.6, 0.2)]


def test_the_machines_value_in_a_list_is_nobodys_judgement(write: Write) -> None:
    path = write("image,attribute,value,correct_value\na.jpg,hat,1,\nb.jpg,hat,1,0\n")
    assert [(one.image, one.value) for one in corrections.read(path)] == [("b.jpg", 0.0)]


@pytest.mark.parametrize("column", ["expected_correctness", "listed_probability"])
@pytest.mark.parametrize("text", ["much", "-0.1", "1.5"])
def test_what_a_list_says_of_a_cell_is_a_share(write: Write, column: str, text: str) -> None:
    path = write(f"image,attribute,value,{column}\na.jpg,hat,1,{text}\n")
    with pytest.raises(PipelineError, match=f"row 2, column '{column}': got '{text}', expected a"):
        corrections.read(path)


def test_an_account_of_who_was_asked_what(write: Write, tmp_path: Path) -> None:
    said = corrections.read(
        write(LIST + "c.jpg,hat,1,0,0.6,audit,0.2,\na.jpg,hat,0,,,,,\na.jpg,sleeves,?,1,,,,\n")
    )
    account = corrections.account(table(), said)
    assert account.columns.tolist() == list(corrections.ACCOUNT)
    assert account[
        ["image", "attribute", "value", "given", "guess", "queue"]
    ].to_numpy().tolist() == [
        ["a.jpg", "hat", "0", "1", "", ""],
        ["a.jpg", "sleeves", "", "", "1", ""],
        ["c.jpg", "hat", "1", "", "0", "audit"],
    ]
    account.to_csv(tmp_path / corrections.CORRECTED, index=False)
    again = corrections.read_account(tmp_path)
    pd.testing.assert_frame_equal(again, account.drop(index=1).reset_index(drop=True))
    assert corrections.undecided(tmp_path) == [("a.jpg", "sleeves")]
    # A label of the table that was corrected has been as good as any other until then.
    looked = corrections.looked_at(table(), again)
    assert np.argwhere(looked).tolist() == [[2, 0]]
    assert not corrections.looked_at(table(), again.head(0)).any()


def test_three_cells_typed_under_a_longer_header_are_the_first_three(write: Write) -> None:
    path = write("image,attribute,value,probability,reason\na.jpg,hat,0,.4,doubtful\nb.jpg,hat,1\n")
    assert [(c.image, c.value) for c in corrections.read(path)] == [("a.jpg", 0.0), ("b.jpg", 1.0)]
    with pytest.raises(PipelineError, match="row 2: got 3 cells, expected 5 as in the header"):
        corrections.read(write("image,p,attribute,value,reason\na.jpg,hat,1\n"))


def test_messages_name_the_file_of_corrections(write: Write) -> None:
    path = write("image,attribute,value\n")
    path.write_bytes(b"\xff\0")
    with pytest.raises(PipelineError) as error:
        corrections.read(path)
    assert str(path) in str(error.value)
    assert "data.labels" not in str(error.value)


def test_a_line_may_be_repeated(write: Write) -> None:
    path = write("image,attribute,value\na.jpg,hat,1\na.jpg,hat,1.0\nb.jpg,hat,\nb.jpg,hat,?\n")
    assert len(corrections.read(path)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image,attribute\na.jpg,hat\n",
            "no column 'value'; expected image, attribute and value in the first row",
        ),
        (
            "a.jpg,hat,1\nb.jpg,hat,0\n",
            "no column 'image'; expected image, attribute and value in the first row",
        ),
        (
            "image,attribute,value\na.jpg,hat,1\nb.jpg,hat\n",
            "row 3: got 2 cells, expected 3 as in the header",
        ),
        (
            "image,attribute,value\na.jpg,hat,maybe\n",
            "row 2, column 'value': got 'maybe', expected 1, 0 or unknown (empty, NA, NaN or ?)",
        ),
        (
            "image,attribute,value\na.jpg,hat,1\nb.jpg,hat,1\na.jpg,hat,0\n",
            "row 4: image 'a.jpg', attribute 'hat': got '0', but row 2 says otherwise; keep the "
            "right one",
        ),
        (
            "image,attribute,value\na.jpg,hat,\na.jpg,hat,0\n",
            "row 3: image 'a.jpg', attribute 'hat': got '0', but row 2 says otherwise",
        ),
    ],
)
def test_what_is_wrong_with_a_file(write: Write, text: str, message: str) -> None:
    path = write(text)
    with pytest.raises(PipelineError) as error:
        corrections.read(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("image", "attribute", "message"),
    [
        (
            "b.jpeg",
            "hat",
            "row 7: no image 'b.jpeg' among the usable rows of the label table; did you mean "
            "'b.jpg'?; correct or remove the row",
        ),
        (
            "zzz",
            "hat",
            "row 7: no image 'zzz' among the usable rows of the label table; 3 are known; correct "
            "or remove the row",
        ),
        (
            "b.jpg",
            "hats",
            "row 7: no attribute 'hats' among the usable rows of the label table; did you mean "
            "'hat'?; correct or remove the row",
        ),
    ],
)
def test_a_cell_that_the_table_lacks(image: str, attribute: str, message: str) -> None:
    with pytest.raises(PipelineError) as error:
        corrections.apply(table(), [Correction(image, attribute, 1.0, 7)])
    assert str(error.value) == f"data/corrections.csv: {message}"
    with pytest.raises(PipelineError, match=r"^mine\.csv: row 7"):
        corrections.apply(table(), [Correction(image, attribute, 1.0, 7)], "mine.csv")


def test_corrections_override_and_changed_cells_are_counted() -> None:
    before = table()
    found = [
        Correction("a.jpg", "hat", 0.0, 2),  # turned
        Correction("a.jpg", "sleeves", 1.0, 3),  # newly known
        Correction("b.jpg", "sleeves", NAN, 4),  # withdrawn
        Correction("b.jpg", "hat", 0.0, 5),  # as it was
        Correction("c.jpg", "hat", NAN, 6),  # as unknown as it was
    ]
    after, count = corrections.apply(before, found)
    assert count == 3
    assert np.array_equal(after.values, [[0, 1], [0, NAN], [NAN, NAN]], equal_nan=True)
    assert after.values.dtype == np.float32
    assert (after.images, after.attributes, after.split) == (
        before.images, before.attributes, before.split
    )  # fmt: skip
    assert np.array_equal(before.values, table().values, equal_nan=True), "the input is left alone"
    assert corrections.apply(before, [])[1] == 0


def coloured() -> LabelTable:
    """Red and blue have columns, teal is rare."""
    cells = {
        "hat": np.array([1, 0, NAN, 1], dtype=np.float32),
        "colour": np.array(["red", "blue", "", "teal"], dtype=object),
    }
    images = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    return LabelTable(images, cells, ["train"] * 4, vocabulary={"colour": ("red", "blue")})


def test_values_of_categorical_attributes_are_texts(write: Write) -> None:
    path = write(
        "image,attribute,value\na.jpg,colour, teal \nb.jpg,colour,NA\nc.jpg,colour,1.0\n"
        "a.jpg,hat,1.0\na.jpg,colour,teal\nb.jpg,colour,?\n"
    )
    assert corrections.read(path, ["colour"]) == [
        Correction("a.jpg", "colour", "teal", 2),
        Correction("b.jpg", "colour", "", 3),
        Correction("c.jpg", "colour", "1.0", 4),
        Correction("a.jpg", "hat", 1.0, 5),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "a.jpg,colour,red\na.jpg,colour,Red\n",
            "row 3: image 'a.jpg', attribute 'colour': got 'Red', but row 2 says otherwise",
        ),
        (
            "a.jpg,colour,red\na.jpg,colour,\n",
            "row 3: image 'a.jpg', attribute 'colour': got '', but row 2 says otherwise",
        ),
        ("a.jpg,hat,red\n", "row 2, column 'value': got 'red', expected 1, 0 or unknown"),
    ],
)
def test_what_is_wrong_with_a_file_of_texts(write: Write, lines: str, message: str) -> None:
    path = write("image,attribute,value\n" + lines)
    with pytest.raises(PipelineError) as error:
        corrections.read(path, ["colour"])
    assert str(error.value).startswith(f"{path}: {message}")


def test_corrected_categorical_cells_and_their_count() -> None:
    before = coloured()
    found = [
        Correction("a.jpg", "colour", "blue", 2),  # another value
        Correction("b.jpg", "colour", "teal", 3),  # one without a column
        Correction("c.jpg", "colour", "red", 4),  # newly known
        Correction("d.jpg", "colour", "", 5),  # a rare one withdrawn
        Correction("d.jpg", "hat", 0.0, 6),
    ]
    after, count = corrections.apply(before, found)
    assert count == 5, "a cell counts once, however many columns it has"
    np.testing.assert_array_equal(after.values, [[1, 0, 1], [0, 0, 0], [NAN, 1, 0], [0, NAN, NAN]])
    assert after.values.dtype == np.float32
    assert after.cells["colour"].tolist() == ["blue", "teal", "red", ""]
    assert after.categories == before.categories
    assert before.cells["colour"].tolist() == ["red", "blue", "", "teal"], "the input is left alone"
    np.testing.assert_array_equal(before.values, coloured().values)


def test_categorical_corrections_that_change_nothing() -> None:
    before = coloured()
    found = [
        Correction("a.jpg", "colour", "red", 2),
        Correction("c.jpg", "colour", "", 3),
        Correction("d.jpg", "colour", "teal", 4),
        Correction("a.jpg", "hat", 1.0, 5),
        Correction("c.jpg", "hat", NAN, 6),
    ]
    after, count = corrections.apply(before, found)
    assert count == 0
    np.testing.assert_array_equal(after.values, before.values)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("colour", "blu", "no value 'blu' of attribute 'colour'; did you mean 'blue'?; correct it"),
        (
            "colour",
            "x" * 99,
            f"no value '{'x' * 60}' of attribute 'colour'; it is on no usable row of the label "
            "table; correct it, or use a new value in the label table first",
        ),
        ("colour=red", 1.0, "no attribute 'colour=red'"),
    ],
)
def test_a_value_that_the_table_lacks(attribute: str, value: float | str, message: str) -> None:
    with pytest.raises(PipelineError) as error:
        corrections.apply(coloured(), [Correction("a.jpg", attribute, value, 9)])
    assert str(error.value).startswith(f"data/corrections.csv: row 9: {message}")


@pytest.mark.parametrize("content", ["", "\n", " \r\n\n"])
def test_an_empty_file_has_no_corrections(tmp_path: Path, content: str) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text(content)
    assert corrections.read(path) == []


def test_a_guess_that_is_no_value_of_its_attribute() -> None:
    corrections.check(coloured(), [Correction("a.jpg", "colour", "red", 9, guess="teal")])
    with pytest.raises(PipelineError, match="row 9: no guess 'blu' of attribute 'colour'; did you"):
        corrections.check(coloured(), [Correction("a.jpg", "colour", "red", 9, guess="blu")])


def test_cells_that_nobody_can_tell_are_listed_apart(write: Write, tmp_path: Path) -> None:
    path = write("image,attribute,value\nc.jpg,hat,?\na.jpg,hat,\nb.jpg,hat,1\nc.jpg,colour,?\n")
    said = corrections.read(path, ["colour"])
    corrections.account(coloured(), said).to_csv(tmp_path / corrections.CORRECTED, index=False)
    assert corrections.undecided(tmp_path) == [
        ("a.jpg", "hat"),
        ("c.jpg", "colour"),
        ("c.jpg", "hat"),
    ]
    assert corrections.read_account(tmp_path)["image"].tolist() == ["b.jpg"]
