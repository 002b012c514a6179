"""The reader of PASCAL VOC folders: exact cells from either source, and every way to be wrong."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.read_table import read_table
from pipeline.errors import PipelineError
from pipeline.readers import voc, voc_annotations

NAMES = [
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
]
SHOWN, DIFFICULT, ABSENT = "1", "", "0"
VALUES = {SHOWN: " 1", DIFFICULT: " 0", ABSENT: "-1"}

Cells = dict[str, dict[str, str]]
"""Image -> class -> cell, all 20 classes."""


def make_cells() -> Cells:
    """Twelve images: i and i + 1 are shown in image i, i + 2 is difficult where i is even."""
    cells: Cells = {}
    for i in range(12):
        row = dict.fromkeys(NAMES, ABSENT)
        row[NAMES[i]] = row[NAMES[i + 1]] = SHOWN
        if i % 2 == 0:
            row[NAMES[i + 2]] = DIFFICULT
        cells[f"{i:06d}"] = row
    row = cells["000011"]
    row.update(dict.fromkeys(NAMES[13:], SHOWN))  # so that every class occurs
    return cells


def thing(name: str, difficult: bool | None, inner: str = "") -> str:
    flag = "" if difficult is None else f"<difficult>{int(difficult)}</difficult>"
    return f"<object><name>{name}</name><pose>Left</pose>{flag}{inner}</object>"


def xml(objects: str) -> str:
    return f"<annotation><filename>any.jpg</filename>{objects}</annotation>"


def objects(row: dict[str, str]) -> str:
    """A shown class has a difficult object, too; a difficult one has two."""
    text = ""
    for name, cell in row.items():
        if cell == SHOWN:
            text += thing(name, True) + thing(name, False)
        if cell == DIFFICULT:
            text += thing(name, True) * 2
    return text


def write_annotations(root: Path, cells: Cells) -> None:
    (root / "Annotations").mkdir(parents=True)
    for image, row in cells.items():
        (root / "Annotations" / f"{image}.xml").write_text(xml(objects(row)), encoding="utf-8")


def write_sets(root: Path, cells: Cells, split: str = "trainval", listed: bool = True) -> None:
    folder = root / "ImageSets/Main"
    folder.mkdir(parents=True, exist_ok=True)
    if listed:
        (folder / f"{split}.txt").write_text("".join(f"{i}\n" for i in cells), encoding="utf-8")
    for name in NAMES:
        lines = [f"{image} {VALUES[row[name]]}\n" for image, row in cells.items()]
        (folder / f"{name}_{split}.txt").write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """JPEGImages of a folder that has nothing else yet."""
    folder = tmp_path / "VOC2007"
    (folder / "JPEGImages").mkdir(parents=True)
    for image in make_cells():
        (folder / "JPEGImages" / f"{image}.jpg").touch()
    return folder


def expected(cells: Cells) -> list[list[str]]:
    return [[f"{image}.jpg", *(row[name] for name in NAMES)] for image, row in cells.items()]


def failure(root: Path, *arguments: str | None) -> str:
    with pytest.raises(PipelineError) as error:
        voc.read(root, *arguments)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(root))
    return message.removeprefix(str(root))


@pytest.mark.parametrize(
    ("sets", "annotations", "truth"),
    [
        (True, True, "ImageSets/Main/CLASS_trainval.txt, the same as in 12 annotations"),
        (True, False, "ImageSets/Main/CLASS_trainval.txt alone"),
        (False, True, "Annotations of all images"),
    ],
)
def test_both_sources_give_the_same_cells(
    root: Path, sets: bool, annotations: bool, truth: str
) -> None:
    cells = make_cells()
    if sets:
        write_sets(root, cells)
    if annotations:
        write_annotations(root, cells)
    reading = voc.read(root)
    assert reading.table.columns == NAMES
    assert reading.table.rows == expected(cells)
    assert (reading.truth, reading.missing) == (truth, 0)


def test_a_list_without_classes_takes_its_images_from_the_annotations(root: Path) -> None:
    write_annotations(root, make_cells())
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/val.txt").write_text("000011\r\n000000\r\n\r\n", encoding="utf-8")
    reading = voc.read(root, "val")
    assert reading.truth == "Annotations of val"
    assert reading.table.columns == [*NAMES[:3], *NAMES[11:]], "classes that these images have"
    assert [row[0] for row in reading.table.rows] == ["000000.jpg", "000011.jpg"]
    assert reading.table.rows[0][1:5] == ["1", "1", "", "0"]


def test_splits_are_told_apart(root: Path) -> None:
    cells = make_cells()
    train = {image: cells[image] for image in list(cells)[:5]}
    write_sets(root, cells)
    write_sets(root, train, "train", listed=False)
    assert voc.read(root).table.rows == expected(cells)
    assert voc.read(root, "train").table.rows == expected(train)
    assert failure(root, "test").startswith(
        "/ImageSets/Main: no test.txt and no CLASS_test.txt in it; choose one of train, trainval"
    )


def test_only_images_with_an_annotation_are_compared(root: Path) -> None:
    cells = make_cells()
    write_sets(root, cells)
    write_annotations(root, {"000003": cells["000003"]})
    (root / "Annotations/other.xml").write_text("not of this split", encoding="utf-8")
    assert voc.read(root).truth.endswith("the same as in 1 annotations")


def test_a_disagreement_is_named_and_can_be_decided(root: Path) -> None:
    cells = make_cells()
    write_sets(root, cells)
    cells["000002"]["cat"] = SHOWN
    cells["000007"]["dog"] = DIFFICULT
    write_annotations(root, cells)
    assert failure(root) == (
        "/ImageSets/Main/cat_trainval.txt: row 3: image '000002', class 'cat': got -1, but "
        "Annotations/000002.xml means 1 (1 more such cells follow); correct one of them, or read "
        "one only with --truth sets or annotations"
    )
    assert voc.read(root, truth="annotations").table.rows == expected(cells)
    assert voc.read(root, truth="sets").table.rows == expected(make_cells())


def test_difficult_and_shown_disagree(root: Path) -> None:
    cells = make_cells()
    write_annotations(root, cells)
    cells["000000"]["bird"] = SHOWN
    write_sets(root, cells)
    message = "row 1: image '000000', class 'bird': got 1, but Annotations/000000.xml means 0"
    assert message in failure(root)


def test_a_class_without_its_file_is_a_disagreement(root: Path) -> None:
    write_sets(root, make_cells())
    write_annotations(root, make_cells())
    (root / "ImageSets/Main/bird_trainval.txt").unlink()
    assert failure(root).startswith(
        "/Annotations/000000.xml: image '000000' has an object of class 'bird', but there is no "
        "bird_trainval.txt in ImageSets/Main"
    )


def test_images_keep_their_suffix_and_missing_ones_are_counted(root: Path) -> None:
    write_sets(root, make_cells())
    folder = root / "JPEGImages"
    (folder / "000001.jpg").rename(folder / "000001.PNG")
    (folder / "000004.jpg").unlink()
    (folder / "000004.txt").touch()
    reading = voc.read(root)
    assert [row[0] for row in reading.table.rows[:5]] == [
        *("000000.jpg", "000001.PNG", "000002.jpg", "000003.jpg", "000004.jpg")
    ]
    assert reading.missing == 1
    (folder / "000002.png").touch()
    assert failure(root).startswith("/JPEGImages: both 000002.jpg and 000002.png in it")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("cat_trainval", "000002 -1", "000002 2", "row 3, image '000002': got '2', expected 1, -1"),
        ("cat_trainval", "000002 -1", "000002", "row 3, image '000002': got '', expected 1, -1"),
        ("cat_trainval", "000002 -1\n", "", "no row for image '000002', which trainval.txt lists"),
        ("cat_trainval", "000002 -1", "zzz -1", "row 3: image 'zzz' is not in trainval.txt"),
        (
            "cat_trainval",
            "000002 -1",
            "000002 -1\n000002 1",
            "row 4, image '000002': got 1, but row 3 says otherwise; keep the right one",
        ),
        ("trainval", "000002", "../000002", "row 3: got '../000002' as an image"),
        ("cat_trainval", "000002", "../x", "row 3: got '../x' as an image"),
    ],
)
def test_what_is_wrong_with_an_image_set(
    root: Path, name: str, old: str, new: str, message: str
) -> None:
    write_sets(root, make_cells())
    path = root / f"ImageSets/Main/{name}.txt"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert failure(root).startswith(f"/ImageSets/Main/{name}.txt: {message}")


def test_an_empty_split(root: Path) -> None:
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/trainval.txt").write_text("\n", encoding="utf-8")
    assert failure(root).startswith("/ImageSets/Main/trainval.txt: no image in it")


def test_parts_that_are_missing(root: Path, tmp_path: Path) -> None:
    assert failure(root).startswith(": no files in ImageSets/Main and no Annotations in it")
    assert failure(root, "val").startswith("/ImageSets/Main: no val.txt and no CLASS_val.txt in it")
    assert failure(root, None, "sets").startswith("/ImageSets/Main: no CLASS_trainval.txt in it")
    assert failure(tmp_path).endswith(f"in it; did you mean {root}?")
    assert failure(tmp_path / "none").startswith(": no such folder")
    assert failure(tmp_path / ("x" * 300)).startswith(": no such folder")
    (root / "Annotations").mkdir()
    assert failure(root).startswith("/Annotations: no .xml file in it")
    (root / "Annotations/0.xml").write_text(xml(""), encoding="utf-8")
    assert failure(root).startswith(": no column to write")
    for path in (root / "JPEGImages").iterdir():
        path.unlink()
    (root / "JPEGImages").rmdir()
    assert failure(root).startswith(": no folder JPEGImages in it; unpack the images, too")


def test_a_listed_image_without_any_truth(root: Path) -> None:
    cells = make_cells()
    write_sets(root, cells)
    write_annotations(root, dict(list(cells.items())[:10]))
    assert failure(root, None, "annotations").startswith(
        "/Annotations/000010.xml: no such file (1 more are missing), and no file per class"
    )


def annotation(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "one.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_parts_of_a_person_are_no_objects_and_difficult_may_be_absent(tmp_path: Path) -> None:
    part = "<part><name>head</name><difficult>1</difficult></part>"
    text = xml(thing(" dining\n table ", None) + thing("person", False, part) + thing("cat", True))
    assert voc_annotations.read(annotation(tmp_path, text)) == {
        "dining table": True, "person": True, "cat": False
    }  # fmt: skip


def test_other_encodings_that_an_annotation_declares(tmp_path: Path) -> None:
    text = f'<?xml version="1.0" encoding="ISO-8859-1"?>{xml(thing("café", False))}'
    path = annotation(tmp_path, text.encode("latin-1"))
    assert voc_annotations.read(path) == {"café": True}


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
BOMB = f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>' + xml(thing("&l9;", False))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xml(thing("cat", True))[:-4], "damaged XML ("),
        ("", "damaged XML ("),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "damaged XML ("),
        ('<?xml version="1.0" encoding="utf-7"?><annotation/>', "damaged XML ("),
        ("<html/>", "element <html>, expected <annotation> of PASCAL VOC"),
        (
            xml(thing("cat", True) + "<object><pose/></object>"),
            "object 2: no <name>, expected the object's class; add it",
        ),
        (
            xml("<object><name>cat</name><difficult>maybe</difficult></object>"),
            "object 1 ('cat'): got 'maybe' in <difficult>, expected 0 or 1; correct it",
        ),
        (BOMB, "got <!DOCTYPE, expected an annotation without document type"),
        (BOMB.encode("utf-16"), "UTF-16 or no text, expected an annotation in XML"),
        (BOMB.encode("utf-16-be"), "UTF-16 or no text, expected an annotation in XML"),
        (b" " * (voc_annotations.MAX_BYTES + 1), "got 16777217 bytes, expected at most"),
    ],
)
def test_what_is_wrong_with_an_annotation(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = annotation(tmp_path, content)
    started = time.perf_counter()
    with pytest.raises(PipelineError) as error:
        voc_annotations.read(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)
    assert time.perf_counter() - started < 5


PIECES = st.sampled_from(
    [
        *("<annotation>", "</annotation>", "<object>", "</object>", "<name>", "</name>", "cat"),
        *("<difficult>", "</difficult>", "1", "0", "&lt;", "&x;", "<!DOCTYPE", "]]>", "é", "<"),
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(PIECES, max_size=15).map(lambda pieces: "".join(pieces).encode()),
        st.lists(PIECES, max_size=9).map(lambda pieces: xml("".join(pieces)).encode()),
    )
)
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    try:
        found = voc_annotations.read(annotation(tmp_path, content))
    except PipelineError as error:
        assert "\n" not in str(error)
    else:
        assert all(name and name == " ".join(name.split()) for name in found)


def test_the_command_line(
    root: Path, tmp_path: Path, run_module: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    cells = make_cells()
    write_annotations(root, cells)
    write_sets(root, cells)
    (root / "JPEGImages/000004.jpg").unlink()
    arguments = ("pipeline.readers.voc", "VOC2007", "--out", "labels.csv")
    done = run_module(*arguments, "--split", "trainval")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "labels.csv: 12 images, 20 columns, 234 known and 6 unknown cells, from "
        "ImageSets/Main/CLASS_trainval.txt, the same as in 12 annotations; 1 images not in "
        "JPEGImages; next: dvc exp run -S data.labels=labels.csv -S data.images=VOC2007/JPEGImages"
        "\n"
    )
    written = read_table(tmp_path / "labels.csv")
    assert (written.attributes, written.images) == (NAMES, [f"{image}.jpg" for image in cells])
    numbers = [[float(cell or "nan") for cell in row[1:]] for row in expected(cells)]
    assert np.array_equal(written.values, np.array(numbers), equal_nan=True)

    before = (tmp_path / "labels.csv").read_bytes()
    (root / "Annotations/000005.xml").write_text("<annotation>", encoding="utf-8")
    done = run_module(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: VOC2007/Annotations/000005.xml: damaged XML (")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "labels.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["VOC2007", "labels.csv"]
