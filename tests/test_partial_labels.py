"""Known labels of new pictures: read as label tables are, kept, and told of in the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import expit

from pipeline import partial_labels
from pipeline.data.categories import Attribute
from pipeline.data.labels import LabelTable
from pipeline.errors import PipelineError
from pipeline.impute import label_completion
from pipeline.impute.completion import Completion
from pipeline.impute.decisions import Decisions

ATTRIBUTES = [Attribute("hat", (), 0), Attribute("colour", ("red", "blue"), 1)]
VERDICTS = ["yes"] * 3


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "deeper/c.jpg"):
        Image.new("RGB", (4, 4)).save(folder / name)
    return folder


def read(tmp_path: Path, text: str, *paths: Path) -> partial_labels.Partial:
    table = tmp_path / "partial.csv"
    table.write_text(text, encoding="utf-8")
    files = [f for one in paths for f in ([one] if one.is_file() else sorted(one.rglob("*.jpg")))]
    return partial_labels.read(table, paths, files, ATTRIBUTES)


def test_every_picture_has_a_row_and_every_attribute_a_column(tmp_path: Path, photos: Path) -> None:
    found = read(tmp_path, "image,colour\nA.JPG,blue\nc,?\nb.jpg,green\n", photos)
    assert found.table.images == ["a.jpg", "b.jpg", "deeper/c.jpg"]
    assert found.table.attributes == ["hat", "colour=red", "colour=blue"]
    np.testing.assert_array_equal(
        found.table.values,
        [[np.nan, 0, 1], [np.nan, 0, 0], [np.nan, np.nan, np.nan]],
    )
    assert found.table.cells["colour"].tolist() == ["blue", "green", ""]
    assert any("'green': not among the values" in note for note in found.notes)


def test_pictures_by_their_paths(tmp_path: Path, photos: Path) -> None:
    files = photos / "a.jpg", photos / "deeper"
    found = read(tmp_path, f"image,hat\na.jpg,yes\n{photos / 'deeper/c.jpg'},0\nz.jpg,1\n", *files)
    assert found.table.cells["hat"].tolist() == [1, 0]
    assert found.table.images == [str(photos / "a.jpg"), str(photos / "deeper/c.jpg")]
    assert any("1 of 3 rows name none of the pictures" in note for note in found.notes)


def test_every_way_to_call_a_given_picture(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linked").symlink_to(photos)
    files = [Path("photos/a.jpg"), Path("photos/b.jpg")]
    for name in (
        *("photos/a.jpg", "./photos/a.jpg", str(photos / "a.jpg"), "linked/a.jpg"),
        *("a.jpg", "a", "A/a.png"),
    ):
        found = read(tmp_path, f"image,hat\n{name},1\n", *files)
        assert found.table.cells["hat"].tolist() == [1, pytest.approx(np.nan, nan_ok=True)], name
        assert found.table.images == ["photos/a.jpg", "photos/b.jpg"]
        assert found.notes == ()
    (only,) = read(tmp_path, "image,hat\na,1\n", files[0]).table.cells["hat"]
    assert only == 1


def test_rows_of_one_picture_are_merged_or_disagree(tmp_path: Path, photos: Path) -> None:
    files = [photos / "a.jpg", photos / "b.jpg"]
    text = f"image,hat,colour\na.jpg,,red\n{files[0]},1,\nb.jpg,0,\n"
    found = read(tmp_path, text, *files)
    assert found.table.cells["hat"].tolist() == [1, 0]
    assert found.table.cells["colour"].tolist() == ["red", ""]
    with pytest.raises(PipelineError, match=r"got 1 in row 2 and 0 in row 3, expected one value"):
        read(tmp_path, f"image,hat\na.jpg,1\n{files[0]},0\n", *files)


def test_a_name_that_is_no_text_is_escaped(tmp_path: Path, photos: Path) -> None:
    (photos / "b\udce9.jpg").write_bytes(b"")
    found = read(tmp_path, "image,hat\na.jpg,1\n", photos)
    assert found.table.images[1:3] == ["b.jpg", "b\\udce9.jpg"]


def test_a_name_of_several_pictures_is_said_to_be_one(tmp_path: Path, photos: Path) -> None:
    (photos / "deeper/b.jpg").write_bytes((photos / "b.jpg").read_bytes())
    files = sorted(photos.rglob("*.jpg"))
    found = read(tmp_path, "image,hat\na.jpg,1\nb.jpg,0\nx/b.png,0\nz.jpg,0\n", *files)
    assert found.table.cells["hat"].tolist()[0] == 1
    two = f"{photos / 'b.jpg'}, {photos / 'deeper/b.jpg'}"
    table = tmp_path / "partial.csv"
    assert found.notes == (
        f"{table}: 2 of 4 rows may name several pictures, or one that another row names: left out "
        f"('b.jpg': fits {two}; write the path; 'x/b.png': fits {two}; write the path)",
        f"{table}: 1 of 4 rows name none of the pictures: left out ('z.jpg')",
    )
    with pytest.raises(PipelineError, match=r"none of its 1 images .* 'b\.jpg': fits "):
        read(tmp_path, "image,hat\nb.jpg,1\n", *files)


def test_a_picture_of_two_names_is_said_to_be_one(tmp_path: Path, photos: Path) -> None:
    for paths in ([photos], [photos / "a.jpg", photos / "b.jpg"]):
        found = read(tmp_path, "image,hat\na.jpg,1\na.png,0\nb,0\n", *paths)
        assert found.table.cells["hat"].tolist()[:2] == [1, 0]
        (note,) = found.notes
        assert "1 of 3 rows may name several pictures, or one that another row names" in note
        assert "but so does 'a.jpg'; write the path" in note
    text = "image,hat\nb.jpg,0\nx/a.jpg,1\ny/a.jpg,1\n"
    for paths in ([photos], [photos / "a.jpg", photos / "b.jpg"]):
        found = read(tmp_path, text, *paths)
        assert np.isnan(found.table.cells["hat"][0]), "of two other folders' pictures"


def test_values_in_another_case_are_refused(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        read(tmp_path, "image,colour\na.jpg,red\nb.jpg, Blue \n", photos)
    assert str(caught.value) == (
        f"{tmp_path / 'partial.csv'}: row 3, column 'colour': got 'Blue', expected 'blue', as the "
        "classifier has it; write 'blue'"
    )
    found = read(tmp_path, 'image,colour\na.jpg,red\nb.jpg," blue "\n', photos)
    assert found.table.cells["colour"].tolist() == ["red", "blue", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,hut\na.jpg,1\n", "column 'hut' is no attribute of the classifier; did you mean"),
        ("image,hat\na.jpg,3\n", "'3'"),
        ("image,hat\na.jpg,1\na.jpg,0\n", "expected one value"),
        ("image,hat\nq.jpg,1\n", "none of its 1 images is among the 3 pictures; it has 'q.jpg'"),
        ("image,hat\na.jpg,\n", "is unknown"),
    ],
)
def test_tables_that_do_not_fit(tmp_path: Path, photos: Path, text: str, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        read(tmp_path, text, photos)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_table(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r": a folder, expected a table of known labels"):
        partial_labels.read(tmp_path, [], [], ATTRIBUTES)
    with pytest.raises(PipelineError, match=r"gone.csv: no such file"):
        partial_labels.read(tmp_path / "gone.csv", [], [], ATTRIBUTES)


@pytest.fixture(scope="module")
def completion() -> Completion:
    """The hat goes with red, nine times in ten."""
    rng = np.random.default_rng(0)
    hat = rng.integers(0, 2, 300)
    red = np.where(rng.random(300) < 0.9, hat, 1 - hat)
    labels = np.stack([hat, red, 1 - red], axis=1).astype(float)
    image = 0.5 * (2 * labels - 1) + rng.normal(0, 1, labels.shape)
    categories = [ATTRIBUTES[1]]
    model, held_out = label_completion.fit(image, labels, np.arange(300) % 3, (0,), categories)
    half, truth = np.full(3, 0.5), labels.astype(np.float32)
    seen, both = (expit(z).astype(np.float32) for z in (image, held_out))
    return Completion(model, Decisions(half, seen, truth), Decisions(half, both, truth))


LABELS = np.array([[1, np.nan, np.nan], [np.nan, 1, 0], [np.nan] * 3, [0, 0, 0]])
PROBABILITY = np.array([[0.2, 0.4, 0.6], [0.4, 0.3, 0.7], [0.6, 0.2, 0.8], [0.9, 0.5, 0.5]])


def test_rows_are_completed_and_known_cells_kept(completion: Completion) -> None:
    found = partial_labels.complete(completion, PROBABILITY, LABELS, ATTRIBUTES, VERDICTS)
    known = ~np.isnan(LABELS)
    assert (found.values[known] == (LABELS[known] == 1)).all()
    assert (found.correctness[known] == 1).all()
    assert (found.evidence[known] == "").all()
    assert found.values[0].tolist() == [True, True, False], "a hat tells of red"
    assert found.probability[1, 0] > PROBABILITY[1, 0]
    assert found.probability[0, 1:].sum() == pytest.approx(1)
    assert (found.probability[2] == PROBABILITY[2]).all()
    assert found.evidence[:3].tolist() == [
        ["", "picture+labels", "picture+labels"],
        ["picture+labels", "", ""],
        ["picture"] * 3,
    ]
    top = np.where(found.values, found.probability, 1 - found.probability)
    assert (found.correctness[:, 0] <= np.where(known[:, 0], 1, top[:, 0])).all()


def test_what_is_not_learnable_is_a_guess(completion: Completion) -> None:
    verdicts = ["no", "yes", "yes"]
    found = partial_labels.complete(completion, PROBABILITY, LABELS, ATTRIBUTES, verdicts)
    assert found.evidence[1:3, 0].tolist() == ["prior", "prior"]
    assert found.correctness[2, 0] == pytest.approx(0.6)
    without = Completion(None, completion.by_picture, None)
    alone = partial_labels.complete(without, PROBABILITY, LABELS, ATTRIBUTES, VERDICTS)
    assert set(alone.evidence[:3].ravel()) == {"", "picture"}


def test_tables_are_written_as_of_a_run(completion: Completion, tmp_path: Path) -> None:
    cells = {
        "hat": LABELS[:, 0].astype(np.float32),
        "colour": np.array(["", "red", "", "odd"], dtype=object),
    }
    table = LabelTable(["a", "b", "c", "d"], cells, vocabulary={"colour": ("red", "blue")})
    rows = [0, 1, 3]  # c can't be read
    found = partial_labels.complete(
        completion, PROBABILITY[rows], table.values[rows], ATTRIBUTES, VERDICTS
    )
    pictures = pd.DataFrame({"image": table.images, "error": ["", "", "broken", ""]})
    partial_labels.write(table, rows, found, pictures, tmp_path / "out")
    labels = pd.read_csv(tmp_path / "out/labels.csv", dtype=str, keep_default_na=False)
    assert labels["image"].tolist() == ["a", "b", "c", "d"]
    assert labels["hat"].tolist()[2:] == ["", "0"]
    assert labels["colour"].tolist() == ["red", "red", "", "odd"]
    provenance = pd.read_csv(tmp_path / "out/provenance.csv")
    assert provenance[["image", "attribute"]].to_numpy().tolist() == [["a", "colour"], ["b", "hat"]]
    assert provenance["value"].tolist()[0] == "red"
    text = (tmp_path / "out/pictures.csv").read_text()
    assert text == "image,error\na,\nb,\nc,broken\nd,\n"
    assert partial_labels.told(table, found) == (
        "in their rows 4 known labels are kept and 2 cells told, 2 of them from labels, too"
    )


@pytest.mark.parametrize("name", partial_labels.TABLES)
def test_tables_are_replaced_together(completion: Completion, tmp_path: Path, name: str) -> None:
    cells = {"hat": np.array([1, np.nan], "f4"), "colour": np.array(["", "red"], dtype=object)}
    table = LabelTable(["a", "b"], cells, vocabulary={"colour": ("red", "blue")})
    found = partial_labels.complete(completion, PROBABILITY[:2], table.values, ATTRIBUTES, VERDICTS)
    pictures = pd.DataFrame({"image": table.images})
    for one in partial_labels.TABLES:
        (tmp_path / one).write_text("earlier")
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(IsADirectoryError):
        partial_labels.write(table, [0, 1], found, pictures, tmp_path)
    others = [tmp_path / one for one in partial_labels.TABLES if one != name]
    assert [file.read_text() for file in others] == ["earlier"] * 2
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / name).rmdir()
    partial_labels.write(table, [0, 1], found, pictures, tmp_path)
    assert (tmp_path / "pictures.csv").read_text() == "image\na\nb\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(partial_labels.TABLES)
