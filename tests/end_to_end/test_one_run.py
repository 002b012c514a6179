"""What one run of the whole pipeline by DVC leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pipeline.data import imputed_arrays
from pipeline.data.clean_table import read_clean
from pipeline.training import targets
from tests.end_to_end.project import ATTRIBUTES, KIND, NUMBER, read, repro
from tests.report.html import check_addresses, check_figures, parse


def test_table_comes_out_whole_and_known_cells_unchanged(reproduced: Path) -> None:
    given = read(reproduced / "mine/labels.csv").set_index("image")
    filled = read(reproduced / "data/imputed/labels.csv").set_index("image")
    assert list(filled.columns) == ["split", *ATTRIBUTES, KIND]
    assert len(filled) == NUMBER - 2
    assert filled[ATTRIBUTES].isin(["0", "1"]).all(axis=None)
    given = given.loc[filled.index]
    known = given != ""
    assert (filled.drop(columns="split").to_numpy()[known] == given.to_numpy()[known]).all()
    assert set(filled.loc[~known[KIND], KIND]) <= {"capped", "sleeved", "plain"}
    assert filled.loc["image_1.jpg", KIND] == "a value of its own"


def test_every_hole_has_its_provenance(reproduced: Path) -> None:
    clean = read(reproduced / "data/clean/labels.csv").set_index("image")
    filled = read(reproduced / "data/imputed/labels.csv").set_index("image")
    cells = read(reproduced / "data/imputed/provenance.csv")
    assert list(cells.columns) == [
        "image",
        "attribute",
        "value",
        "probability",
        "round",
        "evidence",
        "expected_correctness",
        "q_value",
    ]
    names = [*ATTRIBUTES, KIND]
    holes = {(i, a) for i in clean.index for a in names if clean.loc[i, a] == ""}
    assert set(zip(cells["image"], cells["attribute"], strict=True)) == holes
    assert len(cells) == len(holes)
    for row in cells.itertuples():
        assert filled.loc[row.image, row.attribute] == row.value
        assert 0 < float(row.probability) < 1
    assert set(cells[cells["attribute"] == "always"]["evidence"]) == {"one-class"}
    assert set(cells[cells["attribute"] == "always"]["value"]) == {"1"}


def test_dropped_and_identical_images(reproduced: Path) -> None:
    dropped = read(reproduced / "data/clean/dropped.csv")
    assert dict(zip(dropped["image"], dropped["reason"], strict=True)) == {
        "image_7.jpg": "missing",
        "image_8.jpg": "truncated",
    }
    split = read(reproduced / "data/clean/labels.csv").set_index("image")["split"]
    assert split["image_20.jpg"] == split["image_21.jpg"]
    folds = read(reproduced / "models/attributes/folds.csv").set_index("image")["fold"]
    assert folds["image_20.jpg"] == folds["image_21.jpg"]
    assert ((folds == "-1") == (split != "train")).all()


def test_scores_have_not_seen_their_image(reproduced: Path) -> None:
    """Head k has no score for what it was fitted on: known training cells outside its fold."""
    clean = read(reproduced / "data/clean/labels.csv")
    fold = read(reproduced / "models/attributes/folds.csv")["fold"].astype(int).to_numpy()
    logits = np.load(reproduced / "models/attributes/logits.npy")
    for a, attribute in enumerate(ATTRIBUTES):
        known = (clean[attribute] != "").to_numpy()
        for k in range(2):
            fitted = known & (fold >= 0) & (fold != k)
            assert (np.isnan(logits[a, k]) == fitted).all()


def test_metrics_are_few_finite_and_on_known_test_cells(reproduced: Path) -> None:
    content = json.loads((reproduced / "reports/metrics.json").read_text())
    clean = read(reproduced / "data/clean/labels.csv")
    test = clean[clean["split"] == "test"]
    binary, categorical = (test[ATTRIBUTES] != "").sum(axis=None), (test[KIND] != "").sum()
    assert content["test_all"]["n_cells"] == binary + 3 * categorical, "a column for each value"
    told = imputed_arrays.read(reproduced / "data/imputed").learnable
    known = read_clean(reproduced / "data/clean/labels.csv").values[
        np.array(clean["split"] == "test")
    ]
    assert content["test"]["n_cells"] == (~np.isnan(targets.of_learnable(known, told))).sum()
    assert 0 <= content["categories"]["accuracy"] <= 1
    assert content["backbone"]["pretrained"] == 0
    assert "demo_truth" not in content
    assert sum(len(group) for group in content.values()) <= 44
    headline = json.loads((reproduced / "reports/headline.json").read_text())
    assert 4 <= sum(len(group) for group in headline.values()) <= 6
    for group, numbers in headline.items():
        assert numbers.items() <= content[group].items()
    table = read(reproduced / "reports/attributes.csv").set_index("attribute")
    assert table.loc["always", "learnable"] == "too few labels"
    assert table.loc["always", "auc"] == ""
    train = clean[clean["split"] == "train"]["always"]
    assert int(table.loc["always", "positive"]) == (train == "1").sum()
    assert set(table["pretrained"]) == {"no"}


def test_pictures_are_there(reproduced: Path) -> None:
    for name in (
        "roc_pr",
        "roc_pr_heads",
        "calibration",
        "confusion",
        "learning_curves",
        "training_loss",
        "gallery",
    ):
        assert (reproduced / f"reports/{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_the_report_tells_what_the_files_hold(reproduced: Path) -> None:
    html = (reproduced / "reports/report.html").read_text(encoding="utf-8")
    check_addresses(html)
    assert check_figures(html, reproduced) > 20
    headings = [one.text for one in parse(html).all("h3")]
    assert [one.split()[0] for one in headings] == [*ATTRIBUTES, KIND]
    assert headings[2] == "always too few labels to tell"


def test_three_treatments_of_unknown_cells_are_compared(reproduced: Path) -> None:
    table = read(reproduced / "reports/missing.csv").set_index("model")
    assert list(table.index) == ["impute", "mask", "negative", "logistic"]
    clean = read_clean(reproduced / "data/clean/labels.csv")
    told = read(reproduced / "reports/attributes.csv")["learnable"] == "yes"
    known = clean.values[np.array(clean.split) == "test"]
    cells = (~np.isnan(targets.of_learnable(known, told.to_numpy()))).sum()
    assert set(table["cells"]) == {str(cells)}
    assert float(table.loc["mask", "map_gain"]) == 0
    for row in table.itertuples():
        assert float(row.map_low) <= float(row.map) <= float(row.map_high)
    kept = json.loads((reproduced / "models/multilabel/model.json").read_text())["missing"]
    variant = reproduced / f"models/multilabel/variants/{kept}/head.weights.h5"
    head = reproduced / "models/multilabel/head.weights.h5"
    assert head.read_bytes() == variant.read_bytes()


def test_the_audit_says_what_to_expect(reproduced: Path) -> None:
    table = read(reproduced / "reports/attributes.csv").set_index("attribute")
    for attribute in ATTRIBUTES[:2]:
        row = table.loc[attribute]
        for figure in ("accuracy", "brier", "mcc"):
            low, high = float(row[f"expected_{figure}_low"]), float(row[f"expected_{figure}_high"])
            assert low <= high
        assert 0 <= float(row["permutation_p"]) <= 1
    review = read(reproduced / "reports/review.csv")
    cells = read(reproduced / "data/imputed/provenance.csv")
    assert 0 < len(review) <= len(cells)
    assert set(review["correct_value"]) == {""}
    assert set(zip(review["image"], review["attribute"], strict=True)) <= set(
        zip(cells["image"], cells["attribute"], strict=True)
    )


def test_a_second_repro_does_nothing(project: Path) -> None:
    assert repro(project) == []
