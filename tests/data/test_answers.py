from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import answers, corrections
from pipeline.data.answers import Answer, AnsweredMeanwhileError, Reading
from pipeline.data.labels import meanings
from pipeline.errors import PipelineError


def test_an_answer_is_a_line_that_the_pipeline_reads(tmp_path: Path) -> None:
    path = tmp_path / "data/corrections.csv"
    said = answers.put([Answer("a.jpg", "hat", "1"), Answer("b.jpg", "hat", "?")], path)
    assert said == answers.read(path) == {("a.jpg", "hat"): "1", ("b.jpg", "hat"): "?"}
    first, second = corrections.read(path)
    assert (first.image, first.attribute, first.value) == ("a.jpg", "hat", 1)
    assert second.value != second.value  # unknown


def test_other_lines_and_columns_stay(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text("note,image,attribute,value\nby hand,a.jpg,hat,yes\n,b.jpg,hat,0\n")
    answers.put([Answer("c.jpg", "hat", "1", further={"queue": "image"})], path)
    assert path.read_text() == (
        "note,image,attribute,value,queue\nby hand,a.jpg,hat,yes,\n,b.jpg,hat,0,\n"
        ",c.jpg,hat,1,image\n"
    )


def test_an_answer_replaces_the_one_that_was_seen_and_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    answers.put([Answer("a.jpg", "hat", "1")], path)
    answers.put([Answer("a.jpg", "hat", "0", before="1")], path)
    assert answers.read(path) == {("a.jpg", "hat"): "0"}
    answers.put([Answer("a.jpg", "hat", None, before="0")], path)
    assert path.read_text() == "image,attribute,value\n"


def test_what_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    answers.put([Answer("a.jpg", "hat", "1")], path)
    before = path.read_bytes()
    both = [Answer("b.jpg", "hat", "1"), Answer("a.jpg", "hat", "0")]
    with pytest.raises(AnsweredMeanwhileError, match=r"a\.jpg.*answered '1' meanwhile") as found:
        answers.put(both, path)
    assert found.value.current == "1"
    assert path.read_bytes() == before
    answers.put([Answer("a.jpg", "hat", "1")], path)  # the same answer is no contradiction
    assert path.read_bytes() == before


def test_many_at_a_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    cells = [(f"{i}.jpg", "hat") for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda cell: answers.put([Answer(*cell, "1")], path), cells))
    assert answers.read(path) == dict.fromkeys(cells, "1")


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "corrections.csv"
    answers.put([Answer("a.jpg", "hat", "1")], path)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        answers.put([Answer("b.jpg", "hat", "1")], path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["corrections.csv"]


def test_a_damaged_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text("image,attribute,value\na.jpg,hat,maybe\n")
    with pytest.raises(PipelineError, match="row 2, column 'value': got 'maybe'"):
        answers.put([Answer("b.jpg", "hat", "1")], path)
    assert path.read_text() == "image,attribute,value\na.jpg,hat,maybe\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.csv"
    real.write_text("")
    link = tmp_path / "corrections.csv"
    link.symlink_to(real)
    answers.put([Answer("a.jpg", "hat", "1")], link)
    assert link.is_symlink()
    assert answers.read(real) == {("a.jpg", "hat"): "1"}


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp", "Cf"]),
    min_size=1,
    max_size=12,
)


@settings(max_examples=30)
@given(st.dictionaries(st.tuples(NAMES, st.just("hat")), st.sampled_from("10?"), min_size=1))
def test_any_name_comes_back(
    tmp_path_factory: pytest.TempPathFactory, said: dict[tuple[str, str], str]
) -> None:
    path = tmp_path_factory.mktemp("any") / "corrections.csv"
    answers.put([Answer(*cell, value) for cell, value in said.items()], path)
    assert answers.read(path) == said
    half = dict(list(said.items())[::2])
    answers.put([Answer(*cell, None, before=value) for cell, value in half.items()], path)
    assert answers.read(path) == {cell: v for cell, v in said.items() if cell not in half}


def test_lines_by_hand_comments_and_other_spellings_stay_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text(
        "# by Ann\nimage,attribute,value,note\na.jpg,hat,-1,x\nB.JPG,hat,1\n"
        "image,attribute,correct_value,guess\nc.jpg,hat,,0\nd.jpg,hat,0,1\n"
    )
    how = Reading(image_of=str.lower, meaning=meanings("negative"))
    before = answers.read(path, how)
    assert before == {("a.jpg", "hat"): "0", ("b.jpg", "hat"): "1", ("d.jpg", "hat"): "0"}
    said = answers.put([Answer("e.jpg", "hat", "1", further={"queue": "image"})], path, how)
    assert said == answers.read(path, how) == before | {("e.jpg", "hat"): "1"}
    assert path.read_text() == (
        "# by Ann\nimage,attribute,value,note\na.jpg,hat,-1,x\nB.JPG,hat,1,\n"
        "image,attribute,correct_value,guess,queue\nc.jpg,hat,,0,\nd.jpg,hat,0,1,\n"
        "e.jpg,hat,1,,image\n"
    )
    answers.put([Answer("b.jpg", "hat", "0", before="1")], path, how)
    assert answers.read(path, how)["b.jpg", "hat"] == "0"


def test_a_list_whose_column_is_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text(
        "image,attribute,correct_value,guess,queue\na.jpg,hat,,1,image\nb.jpg,hat,0,1,cvat\n"
    )
    assert answers.read(path) == {("b.jpg", "hat"): "0"}
    record = {"guess": "1", "queue": "image"}
    answers.put([Answer("a.jpg", "hat", "1", further=record)], path)
    assert path.read_text() == (
        "image,attribute,correct_value,guess,queue\nb.jpg,hat,0,1,cvat\na.jpg,hat,1,1,image\n"
    )
    assert [dict(one.further) for one in answers.from_file(path)] == [
        {"guess": "1", "queue": "cvat"},
        record,
    ]
