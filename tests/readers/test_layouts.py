"""A look-alike of every layout through its reader, and what is wrong with others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.image_names import ImageNames
from pipeline.data.read_table import read_table
from pipeline.errors import PipelineError
from pipeline.readers import chexpert, coco, hugging_face, open_images, tags
from pipeline.readers.__main__ import main
from pipeline.readers.registry import READERS
from tests.readers.layouts import LAYOUTS

N = 40


def labels() -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.where(rng.random((N, 2)) < 0.2, np.nan, rng.integers(0, 2, (N, 2)))


def test_every_reader_has_a_look_alike() -> None:
    assert READERS.keys() == LAYOUTS.keys() | {"voc", "styles"}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_look_alike_becomes_a_label_table(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout, given = LAYOUTS[name], labels()
    out, root = tmp_path / "labels.csv", tmp_path / "set"
    root.mkdir()
    main([name, *layout.write(root, given), "--out", str(out)])
    said = dict(re.findall(r"-S '?([a-z_.]+)=([^'\s]+)", capsys.readouterr().out))
    assert said["data.labels"] == str(out)
    images = Path(said["data.images"])
    assert images.resolve() == (root / layout.images).resolve()
    for number in range(N):
        path = images / layout.name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    names = ImageNames(images)
    table = read_table(
        out,
        names=names,
        split_column=said.get("split.column"),
        group_column=said.get("split.group_column"),
        exclude=["text"] if "text" in out.read_text().split("\n", 1)[0] else (),
    )
    assert [one.replace("_", " ").title() for one in table.attributes] == ["Hat", "Long Sleeves"]
    expected = given if layout.unknown else np.nan_to_num(given)
    row = {image: i for i, image in enumerate(table.images)}
    order = [row[layout.name(number)] for number in range(N)]
    np.testing.assert_array_equal(table.values[order], expected)
    if table.split is not None:
        assert {*table.split} >= {"train", "test"}
    if table.group is not None:
        assert len({*table.group}) == N // 2


def write(folder: Path, text: str, name: str = "in.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_what_an_uncertain_and_a_blank_cell_mean(tmp_path: Path) -> None:
    path = write(tmp_path, "Path,Sex,Edema\na/patient1/x.jpg,M,-1.0\na/patient2/y.jpg,F,\n")
    assert [row[1] for row in chexpert.read(path).rows] == ["", ""]
    found = chexpert.read(path, "positive", "negative")
    assert [row[1] for row in found.rows] == ["1", "0"]
    assert found.notes == (
        "-1 is taken for positive: 1 cells",
        "a blank is taken for negative: 1 cells",
    )


def test_tags_by_any_separator_and_what_an_absent_one_means(tmp_path: Path) -> None:
    path = write(tmp_path, "file;labels\na.jpg;Red | Dot\nb.jpg;Dot\nc.jpg;\n")
    found = tags.read(path)
    assert found.columns == ["Dot", "Red"]
    assert found.rows == [["a.jpg", "1", "1"], ["b.jpg", "1", "0"], ["c.jpg", "", ""]]
    assert "separated by '|'" in found.notes[0]
    assert tags.read(path, absent="unknown").rows[1] == ["b.jpg", "1", ""]
    assert tags.read(path, separator="|", columns=["Red"]).columns == ["Red"]


def test_people_go_before_machines_and_disagreement_is_unknown(tmp_path: Path) -> None:
    rows = ["a,verification,Cat,0", "a,machine,Cat,0.9", "a,machine,Dog,0.8", "a,machine,Cow,0.4"]
    rows += ["b,verification,Dog,1", "b,crowdsource-verification,Dog,0", "b,verification,Dog,0"]
    path = write(tmp_path, "\n".join(["ImageID,Source,LabelName,Confidence", *rows]))
    assert open_images.read(path).rows == [["a.jpg", "0", "", ""], ["b.jpg", "", "", ""]]
    found = open_images.read(path, machine=0.5)
    assert found.columns == ["Cat", "Cow", "Dog"]
    assert found.rows == [["a.jpg", "0", "", "1"], ["b.jpg", "", "", ""]]


def test_fields_of_a_record(tmp_path: Path) -> None:
    records = [
        {"file_name": f"{i}.png", "hat": i % 2, "kind": "ab"[i % 2], "labels": ["x"] * (i % 2)}
        for i in range(6)
    ]
    records[0] |= {"labels": None, "size": 0.5}
    path = write(tmp_path, "\n".join(map(json.dumps, records)), "metadata.jsonl")
    found = hugging_face.read(path)
    assert found.columns == ["hat", "kind", "x"]
    assert found.rows[:3] == [
        ["0.png", "0", "a", ""],
        ["1.png", "1", "b", "1"],
        ["2.png", "0", "a", "0"],
    ]
    assert found.params == {"categorical.columns": ["kind"]}
    assert found.notes == ("left out, as no attribute: 'size'",)
    assert hugging_face.read(path, ["kind"]).columns == ["kind"]


def test_categories_on_few_images_are_left_out(tmp_path: Path) -> None:
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(3)],
        "annotations": [{"image_id": i, "category_id": i % 2} for i in range(3)],
        "categories": [{"id": i, "name": name} for i, name in enumerate("abc")],
    }
    path = write(tmp_path, json.dumps(content), "x.json")
    assert coco.read(path).columns == ["a", "b"]
    assert coco.read(path, min_count=0).columns == ["a", "b", "c"]
    assert coco.read(path, columns=["b"]).rows == [["0.jpg", "0"], ["1.jpg", "1"], ["2.jpg", "0"]]
    assert coco.read(path, min_count=2).notes == ("2 of 3 categories left out",)


WRONG = {
    "celeba": [
        ("3\na b\nx.jpg 1 -1\n", "row 1: 3 images, but 1 rows follow"),
        ("1\na b\nx.jpg 1 0\n", "row 3, column 'b': got '0', expected 1 or -1"),
        ("1\na b\nx.jpg 1\n", "row 3: got 2 cells, expected 3"),
        ("2\na b\nx.jpg 1 1\nx.jpg 1 1\n", "image 'x.jpg' is in row 3, too"),
        ("image,a\nx.jpg,1\n", "expected the number of images or a header"),
    ],
    "chexpert": [
        ("Name,Edema\nx,1\n", "no column 'Path'"),
        ("Path,Edema\nx.jpg,2\n", "row 2, column 'Edema': got '2', expected 1, 0, -1 or blank"),
    ],
    "nih": [
        ("Image Index,Finding Labels\nx.png,\n", "it is empty, expected No Finding or findings"),
        ("Image Index,Finding Labels\nx.png,No Finding|Mass\n", "No Finding beside a finding"),
    ],
    "tags": [
        ("image,words\nx,a b\n", "no column of tags: got 'image', 'words'; name it with --column"),
        ("image,tags\nx,a\nx,b\n", "row 3: image 'x' is in another row, too"),
    ],
    "coco": [
        ("{", "not valid JSON"),
        ("[]", "no list 'images' in it"),
        ('{"images": [{}]}', "images[0]: expected an object with id"),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 2, '
            '"category_id": 3}], "categories": []}',
            "an annotation of image 2, which is not in the file",
        ),
    ],
    "lvis": [
        (
            '{"images": [{"id": 1, "file_name": "a", "neg_category_ids": [3]}], "annotations": '
            '[{"image_id": 1, "category_id": 3}], "categories": [{"id": 3, "name": "cat"}]}',
            "category 'cat' is annotated and in neg_category_ids",
        )
    ],
    "open_images": [
        ("ImageID,Source,LabelName,Confidence\na,machine,Cat,2\n", "got '2', expected 0 to 1"),
        ("ImageID,Source,LabelName,Confidence\na,verification,Cat,.5\n", "got .5 of people"),
    ],
    "hugging_face": [
        ("{", "row 1: not valid JSON"),
        ('{"image": "a.png"}', "row 1: expected an object with a text 'file_name'"),
        ('{"file_name": "a", "x": [1]}\n{"file_name": "b", "x": 1}', "got '1' beside lists"),
        ('{"file_name": "a"}\n{"file_name": "a"}', "row 2: 'a' is in row 1, too"),
    ],
}


@pytest.mark.parametrize(
    ("name", "text", "message"), [(name, *one) for name, all_ in WRONG.items() for one in all_]
)
def test_what_is_wrong_with_a_file(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = write(tmp_path, text, "source.txt")
    with pytest.raises(PipelineError) as error:
        main([name, str(path), "--out", str(tmp_path / "labels.csv")])
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "labels.csv").exists()
