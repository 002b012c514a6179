"""New pictures through the model that a run of the pipeline left."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.data.filled_table import PROVENANCE
from pipeline.features.store import FeatureStore
from pipeline.training import saved_model
from tests.end_to_end.project import ATTRIBUTES, KIND, predict, read


def write_new(project: Path) -> None:
    folder = project / "new"
    (folder / "deeper").mkdir(parents=True)
    shutil.copy(project / "mine/images/image_1.jpg", folder / "a.jpg")
    shutil.copy(project / "mine/images/image_2.jpg", folder / "deeper/b.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")


def assert_as_from_cached_features(project: Path, row: dict[str, str]) -> None:
    """``row`` of image_1.jpg agrees with the classifier on the features of stage embed."""
    head, card = saved_model.load(project / "models/multilabel")
    store = FeatureStore(project / "data/features")
    rows = store.rows(["image_1.jpg"])
    (expected,) = saved_model.probabilities(head, card, store, rows)
    for attribute, p in zip(ATTRIBUTES, expected, strict=False):
        assert float(row[f"{attribute}_probability"]) == pytest.approx(p, abs=2e-3)
    (kind,) = card.categories
    best = int(np.argmax(expected[kind.start :]))
    assert row[KIND] == kind.values[best]
    p = expected[kind.start :].max()
    assert float(row[f"{KIND}_probability"]) == pytest.approx(p, abs=2e-3)


@pytest.mark.parametrize("suffix", [".csv", pytest.param(".json", marks=pytest.mark.slow)])
def test_a_broken_file_is_named_and_the_others_are_classified(project: Path, suffix: str) -> None:
    write_new(project)
    out = project / f"predictions{suffix}"
    done = predict(project, "new", "gone.jpg", "--out", out.name)
    assert done.returncode == 1, done.stderr
    assert "2 of 4 pictures could not be read" in done.stderr
    rows = read(out) if suffix == ".csv" else pd.DataFrame(json.loads(out.read_text()))
    names = ["new/a.jpg", "new/broken.jpg", "new/deeper/b.jpg", "gone.jpg"]
    assert rows["image"].tolist() == names
    assert (rows["error"] != "").tolist() == [False, True, False, True]
    good = rows[rows["error"] == ""]
    for attribute in ATTRIBUTES:
        p = good[f"{attribute}_probability"].astype(float)
        assert p.between(0, 1).all()
        assert good[attribute].astype(float).isin([0, 1]).all()
    by_image = rows.set_index("image")
    assert_as_from_cached_features(project, by_image.loc["new/a.jpg"].to_dict())


@pytest.mark.slow
def test_the_table_is_printed_where_no_file_is_asked_for(project: Path) -> None:
    done = predict(project, "mine/images/image_1.jpg")
    assert done.returncode == 0, done.stderr
    printed = dict(zip(*(line.split(",") for line in done.stdout.splitlines()), strict=True))
    assert_as_from_cached_features(project, printed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty"], "no image in it"),
        (["mine/images", "--out", "gone/p.csv"], "no such folder as gone"),
        (["mine/images", "--out", "p.txt"], "expected a name that ends in .csv or .json"),
    ],
)
def test_refuses_what_it_cannot_do(project: Path, arguments: list[str], message: str) -> None:
    (project / "empty").mkdir()
    done = predict(project, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_writes_a_name_that_is_no_text(project: Path) -> None:
    folder = project / "odd"
    folder.mkdir()
    shutil.copy(project / "mine/images/image_1.jpg", os.fsencode(folder) + b"/\xff.jpg")
    done = predict(project, "odd", "--out", "odd.csv")
    assert done.returncode == 0, done.stderr
    assert read(project / "odd.csv")["image"].tolist() == ["odd/\\udcff.jpg"]


@pytest.mark.slow
def test_refuses_another_backbone(project: Path) -> None:
    path = project / "models/multilabel/backbone/backbone.weights.h5"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + b"0")
    done = predict(project, "mine/images/image_1.jpg")
    assert done.returncode == 2
    assert "not that of the backbone that the classifier was trained on" in done.stderr


def test_known_labels_stay_and_their_rows_are_completed(project: Path) -> None:
    write_new(project)
    (project / "partial.csv").write_text(f"image,{KIND},hat\na.jpg,capped,\nb,,0\nbroken.jpg,,1\n")
    done = predict(project, "new", "--labels", "partial.csv", "--out", "filled")
    assert done.returncode == 1, done.stderr
    assert "1 of 3 pictures could not be read" in done.stderr
    labels = read(project / "filled/labels.csv").set_index("image")
    assert labels.columns.tolist() == [*ATTRIBUTES, KIND]
    assert labels.loc["a.jpg", KIND] == "capped"
    assert labels.loc["deeper/b.jpg", "hat"] == "0"
    # The picture that can't be read keeps what is known of it and gets nothing.
    assert labels.loc["broken.jpg"].tolist() == ["1", "", "", ""]
    assert (labels.drop(index="broken.jpg") != "").all().all()
    cells = read(project / "filled/provenance.csv")
    assert cells.columns.tolist() == list(PROVENANCE)
    assert len(cells) == 6
    for _, cell in cells.iterrows():
        assert labels.loc[cell["image"], cell["attribute"]] == cell["value"]
        assert 0 < float(cell["expected_correctness"]) < 1
    wide = predict(project, "new", "--labels", "partial.csv", "--out", "wide.csv")
    assert wide.returncode == 1, wide.stderr
    row = read(project / "wide.csv").set_index("image").loc["new/a.jpg"]
    assert (row[KIND], float(row[f"{KIND}_probability"])) == ("capped", 1)


@pytest.mark.slow
def test_labels_that_do_not_fit_are_one_line(project: Path) -> None:
    write_new(project)
    for text, message in (
        ("image,hut\na.jpg,1\n", "column 'hut' is no attribute of the classifier; did you mean"),
        ("image,hat\na.jpg,2\n", "'2'"),
        ("image,hat\nq.jpg,1\n", "none of its 1 images is among the 3 pictures"),
    ):
        (project / "partial.csv").write_text(text)
        done = predict(project, "new", "--labels", "partial.csv")
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    done = predict(project, "new", "--labels", "gone.csv", "--out", "filled")
    assert (done.returncode, (project / "filled").exists()) == (2, False)
    assert "gone.csv: no such file" in done.stderr
    assert predict(project, "new", "--out", "filled").returncode == 2
