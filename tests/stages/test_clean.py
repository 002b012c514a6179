"""The clean stage in a folder of its own: every row accounted for, bad input in one line."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from pipeline.data.clean_table import read_clean
from pipeline.data.labels import SPLITS
from pipeline.errors import PipelineError
from pipeline.stages import clean as stage

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "attributes.csv",
    "class_distribution.csv",
    "class_distribution.png",
    "corrected.csv",
    "dropped.csv",
    "duplicates.csv",
    "images.csv",
    "labels.csv",
    "resolved.csv",
    "values.csv",
}


def picture(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """20 rows: 001 missing, 002 cut off, 003 text, 004 empty, 006 = 005 with other labels, one
    name outside the folder, 010 twice in the table; nobody knows 'empty', 'same' is always 1."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        picture(number).save(folder / f"{number:03d}.jpg")
    (folder / "001.jpg").unlink()
    whole = (folder / "002.jpg").read_bytes()
    (folder / "002.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "003.jpg").write_text("<html>404</html>")
    (folder / "004.jpg").write_bytes(b"")
    shutil.copy(folder / "005.jpg", folder / "006.jpg")
    picture(99).save(tmp_path / "outside.jpg")
    rows = [[f"{n:03d}.jpg", n % 2, (n + 1) % 3 and n % 2, 1, "NA"] for n in range(20)]
    rows += [["../outside.jpg", 1, 1, 1, ""], ["010.jpg", "", 0, "", ""]]
    columns = ["image", "a", "b", "same", "empty"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "labels.csv", index=False)
    set_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def set_params(folder: Path, **changes: object) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["data"] |= {"labels": "labels.csv", "images": "pictures"}
    content["attributes"] = ["a", "b", "same"]
    for key, value in changes.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def run_stage(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipeline.stages.clean"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_stage_accounts_for_every_row(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stage.main()
    output = project / "data/clean"
    assert set(contents(output)) == FILES
    table = read_clean(output / "labels.csv")
    dropped = pd.read_csv(output / "dropped.csv")
    assert dict(zip(dropped["image"], dropped["reason"], strict=True)) == {
        "../outside.jpg": "outside_folder",
        "001.jpg": "missing",
        "002.jpg": "truncated",
        "003.jpg": "not_an_image",
        "004.jpg": "empty_file",
    }
    assert len(table.images) + len(dropped) == 21
    assert pd.read_csv(output / "images.csv")["image"].tolist() == table.images
    assert set(table.split or []) == set(SPLITS)
    duplicates = pd.read_csv(output / "duplicates.csv")
    assert duplicates["image"].tolist() == ["005.jpg", "006.jpg"]
    assert duplicates["conflicting"].tolist() == ["a"] * 2
    split = dict(zip(table.images, table.split or [], strict=True))
    assert split["005.jpg"] == split["006.jpg"]
    for part in (
        "22 rows read (1 of them merged",
        "16 images kept: train ",
        "1 dropped, truncated: 002.jpg",
        "1 dropped, outside_folder: ../outside.jpg",
        "groups of byte-identical images: 1 (2 images)",
        "groups whose labels disagree: 1",
        "'same': only 1s are known, an empty cell is unknown",
    ):
        assert part in caplog.text


def test_stage_writes_the_same_bytes_again(project: Path) -> None:
    stage.main()
    first = contents(project / "data/clean")
    stage.main()
    assert contents(project / "data/clean") == first
    assert sorted(path.name for path in (project / "data").iterdir()) == ["clean"]


def test_command_line(project: Path) -> None:
    done = run_stage(project)
    assert done.returncode == 0
    assert "clean: 16 images kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert "\r" not in done.stderr  # no progress bar unless on a terminal
    assert set(contents(project / "data/clean")) == FILES


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"data": {"labels": "none.csv", "images": "pictures"}}, ["none.csv: no such file"]),
        ({"data": {"labels": "labels.csv", "images": "none"}}, ["none: no such folder", "labels"]),
        (
            {"data": {"labels": "labels.csv", "images": "labels.csv"}},
            ["labels.csv: a file", "expected the folder"],
        ),
        (
            {"data": {"labels": "labels.csv", "images": "elsewhere"}},
            ["elsewhere: none of the 21 images", "elsewhere/000.jpg", "it holds no image"],
        ),
        ({"attributes": None}, ["no label of 'empty' is known", "leave it out"]),
        ({"attributes": ["a", "bb"]}, ["no column 'bb'", "'a', 'b', 'same', 'empty'"]),
        ({"split": {"val": 0.01}}, ["split.val: got 0.01"]),
    ],
)
def test_bad_input_is_one_line_and_the_earlier_output_stays(
    project: Path, changes: dict[str, object], parts: list[str]
) -> None:
    earlier = write_earlier(project)
    set_params(project, **({"data": {"labels": "labels.csv", "images": "pictures"}} | changes))
    with pytest.raises(PipelineError) as caught:
        stage.main()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    assert contents(earlier) == {"labels.csv": b"earlier"}
    assert [path.name for path in (project / "data").iterdir()] == ["clean"]


def test_command_line_ends_on_bad_input_in_one_line(project: Path) -> None:
    earlier = write_earlier(project)
    set_params(project, data={"labels": "none.csv", "images": "pictures"})
    done = run_stage(project)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "none.csv: no such file" in done.stderr
    assert done.stderr.count("\n") == 1
    assert contents(earlier) == {"labels.csv": b"earlier"}


def write_earlier(folder: Path) -> Path:
    """What an earlier run left, and an empty folder of pictures."""
    (folder / "elsewhere").mkdir()
    earlier = folder / "data/clean"
    earlier.mkdir(parents=True)
    (earlier / "labels.csv").write_text("earlier")
    return earlier


def test_names_in_other_ways_than_their_files(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    set_params(project, attributes=None)
    rows = [f"{number:03d},{number % 2},1" for number in range(14)]
    rows += [r"pictures\014.JPG,1,0", f"{project / 'pictures/015.jpg'},0,0", "016.jpg,1,1"]
    (project / "labels.csv").write_text("id,a,b\n" + "\n".join(rows))
    (project / "data").mkdir()
    (project / "data/corrections.csv").write_text("image,attribute,value\n008,a,1\n")
    stage.main()
    table = read_clean(project / "data/clean/labels.csv")
    assert table.images[:2] == ["000.jpg", "005.jpg"]
    assert table.images[-3:] == ["014.jpg", "015.jpg", "016.jpg"]
    assert table.values[table.images.index("008.jpg"), 0] == 1
    resolved = pd.read_csv(project / "data/clean/resolved.csv", dtype=str)
    assert resolved.iloc[0].tolist() == ["000.jpg", "000", "suffix"]
    assert resolved["how"].tolist()[-2:] == ["backslashes, folder, case", "absolute path"]
    dropped = pd.read_csv(project / "data/clean/dropped.csv", dtype=str)
    assert dropped["image"].tolist()[0] == "001"
    assert "no such file; the nearest is 000.jpg" in dropped["detail"][0]
    assert (
        "13 images named in another way than their file, which alone fits: suffix (as 000 for"
        in (caplog.text)
    )


def test_no_name_is_in_the_folder(project: Path) -> None:
    (project / "pictures").rename(project / "day0")
    (project / "pictures").mkdir()
    (project / "day0").rename(project / "pictures/day0")
    (project / "labels.csv").write_text(
        "image,a,b,same\n" + "".join(f"x{i},1,0,1\n" for i in range(9))
    )
    with pytest.raises(PipelineError) as caught:
        stage.main()
    assert "none of the 9 images that labels.csv names is there (tried pictures/x0;" in str(
        caught.value
    )
    assert "it holds 19 others, as day0/000.jpg" in str(caught.value)


def test_an_unknown_name_in_corrections_ends_before_any_picture_is_read(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data").mkdir()
    (project / "data/corrections.csv").write_text("image,attribute,value\n0007.jpg,a,1\n")
    monkeypatch.setattr(stage, "read", lambda *_: pytest.fail("a picture was read"))
    with pytest.raises(PipelineError) as caught:
        stage.main()
    assert "row 2: no image '0007.jpg' among the usable rows" in str(caught.value)
    assert "did you mean '00" in str(caught.value)


def test_a_table_of_thousands_of_attributes_is_refused_and_what_to_do_is_said(
    project: Path,
) -> None:
    names = [f"a{number}" for number in range(5_000)]
    row = ",".join("01"[number % 2] for number in range(5_000))
    (project / "labels.csv").write_text(f"image,{','.join(names)}\n000.jpg,{row}\n")
    set_params(project, attributes=None)
    with pytest.raises(PipelineError) as caught:
        stage.main()
    assert str(caught.value).startswith("labels.csv: 5,000 columns of labels, expected 1,000 at")
    assert "name those to fill in attributes in params.yaml" in str(caught.value)


def test_every_image_broken(project: Path) -> None:
    for path in (project / "pictures").iterdir():
        path.write_bytes(b"")
    with pytest.raises(PipelineError, match=r"labels\.csv: 0 usable images of 21"):
        stage.main()


@pytest.mark.parametrize(
    ("impute", "message"),
    [
        (
            {"threshold": {"hat": "f1", "default": "f1"}},
            "impute.threshold: no binary attribute 'hat'; expected some of 'a', 'b', 'same'",
        ),
        (
            {"threshold": {"a": {"recall": 0.95}, "b": {"precision": 0.9}, "same": "f1"}},
            "can't be promised with 95% confidence for a (",
        ),
        (
            {"threshold": {"default": {"precision": 0.3}}, "prior": {"a": 0.2}},
            "impute.threshold: got {'precision': 0.3} for a, whose share of 1",
        ),
    ],
)
def test_promises_that_cannot_be_kept_are_refused_before_anything_is_written(
    project: Path, impute: dict[str, object], message: str
) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["impute"]
    set_params(project, impute=content | impute)
    with pytest.raises(PipelineError) as caught:
        stage.main()
    assert f"params.yaml: {message}" in str(caught.value) or message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (project / "data/clean").exists()


def test_promises_that_the_labels_may_bear_out(project: Path) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["impute"]
    set_params(project, impute=content | {"threshold": {"recall": 0.01}})
    stage.main()
    assert (project / "data/clean/labels.csv").is_file()


def test_a_folder_that_vanishes_midway_is_no_folder_without_images(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = stage.read, []

    def vanishing(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 12:  # as a mount that is lost: its place stays, empty
            (project / "pictures").rename(project / "elsewhere")
            (project / "pictures").mkdir()
        return read(*arguments)

    monkeypatch.setattr(stage, "read", vanishing)
    with pytest.raises(PipelineError, match=r"pictures: \d+ of 21 images were there when"):
        stage.main()
    assert not (project / "data/clean").exists()


def test_too_many_missing_images_are_refused_unless_a_param_allows_them(project: Path) -> None:
    for number in range(7, 17):
        (project / f"pictures/{number:03d}.jpg").unlink()
    message = r"pictures: 11 of 21 images that labels.csv names .*'001.jpg' first.*max_m"
    with pytest.raises(PipelineError, match=message):
        stage.main()
    set_params(project, data={"max_missing": 0.9})
    with pytest.raises(PipelineError, match="usable images of 21, expected at least 10"):
        stage.main()


def test_names_that_a_spreadsheet_computes_are_said_once(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = pd.read_csv(project / "labels.csv", dtype=str, keep_default_na=False)
    table.rename(columns={"a": "=1+1"}).to_csv(project / "labels.csv", index=False)
    set_params(project, attributes=["=1+1", "b"])
    with caplog.at_level(logging.WARNING):
        stage.main()
    (line,) = [text for text in caplog.messages if "formula" in text]
    assert line.startswith("1 names begin as a formula") and "=1+1" in line


def test_pictures_of_few_bits_are_counted(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    values = np.random.default_rng(0).integers(2000, 4096, (20, 20)).astype(np.uint16)
    Image.fromarray(values).save(project / "pictures/007.jpg", "PNG")
    stage.main()
    assert (
        "pictures of 16 bits with samples up to 4095 are scaled by 12 bits, 1 of them: 007"
        in caplog.text
    )


def test_positives_alone_are_refused_and_blank_may_mean_no(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rows = "".join(f"{n:03d}.jpg,{'1' * (n % 2)},{'1' * (n % 3 == 0)}\n" for n in range(20))
    (project / "labels.csv").write_text("image,a,b\n" + rows)
    set_params(project, attributes=None)
    with pytest.raises(PipelineError, match=r"has one class only: 'a', 'b': only 1s"):
        stage.main()
    assert not (project / "data").exists()
    set_params(project, attributes=None, data={"blank": "negative"})
    stage.main()
    table = read_clean(project / "data/clean/labels.csv")
    assert not np.isnan(table.values).any()
    assert "23 empty cells are taken for 0 (data.blank: negative)" in caplog.text


def test_a_split_and_groups_of_the_users(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    part = {0: "Test", 1: "Train", 2: "train"}
    rows = "".join(f"{n:03d}.jpg,{n % 2},{part[n // 2 % 3]},p{n // 2}\n" for n in range(20))
    (project / "labels.csv").write_text("image,a,part,who\n" + rows)
    split = {"column": "part", "group_column": "who", "val": 0.3}
    set_params(project, attributes=None, split=split)
    stage.main()
    table = read_clean(project / "data/clean/labels.csv")
    assert table.attributes == ["a"]
    of = dict(zip(table.images, table.split or [], strict=True))
    assert {name for name, one in of.items() if one == "test"} == {
        f"{n:03d}.jpg" for n in range(20) if n // 2 % 3 == 0 and n not in (0, 1)
    } | {"000.jpg"}
    assert "val" in of.values()
    assert of["014.jpg"] == of["015.jpg"]
    assert "the table's split has no images for validation" in caplog.text
    images = pd.read_csv(project / "data/clean/images.csv").set_index("image")["group"]
    assert images["014.jpg"] == images["015.jpg"] != images["016.jpg"]
