"""Runs after a change: what runs again, and what comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pipeline.data import imputed_arrays
from tests.end_to_end.project import ATTRIBUTES, KIND, edit_params, predict, read, repro, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("policy", ["mask", "negative"])
def test_another_policy_for_unknown_cells_fits_the_final_head_alone(
    project: Path, policy: str
) -> None:
    edit_params(project, "missing: impute", f"missing: {policy}")
    # Where imputing brought nothing, masking was kept already and its model is the same.
    assert repro(project) in (
        ["check", "train", "fine_tune", "evaluate", "report"],
        ["check", "train", "report"],
    )
    card = json.loads((project / "models/multilabel/model.json").read_text())
    assert card["missing"] == policy


def test_abstaining_leaves_what_cannot_be_trusted_empty(project: Path) -> None:
    edit_params(project, "policy: fill", "policy: abstain")
    repro(project)
    cells = read(project / "data/imputed/provenance.csv")
    sure = cells["expected_correctness"].astype(float) >= 0.9
    assert ((cells["value"] != "") == sure).all()
    filled = read(project / "data/imputed/labels.csv").set_index("image")
    for row in cells.itertuples():
        assert filled.loc[row.image, row.attribute] == row.value
    weight = imputed_arrays.read(project / "data/imputed").weight
    empty = (filled[ATTRIBUTES] == "").to_numpy()
    assert empty.any()
    assert (weight[:, : len(ATTRIBUTES)][empty] == 0).all()
    assert (weight[(filled[KIND] == "").to_numpy(), len(ATTRIBUTES) :] == 0).all()


def test_corrections_override_and_re_embed_nothing(project: Path) -> None:
    path = project / "data/corrections.csv"
    header = path.read_text()
    split = read(project / "data/clean/labels.csv").set_index("image")["split"]
    review = read(project / "reports/review.csv")
    row = review[review["attribute"] != KIND].iloc[0]
    turned = "0" if row["guess"] == "1" else "1"
    lines = [f"{row['image']},{row['attribute']},{turned}", f"image_3.jpg,{KIND},capped"]
    path.write_text(header + "\n".join(lines) + "\n")
    assert repro(project) == [
        "clean",
        "classify",
        "impute",
        "train",
        "fine_tune",
        "evaluate",
        "report",
    ]
    filled = read(project / "data/imputed/labels.csv").set_index("image")
    assert filled.loc["image_3.jpg", KIND] == "capped"
    assert filled.loc[row["image"], row["attribute"]] == turned
    cells = read(project / "data/imputed/provenance.csv")
    assert not ((cells["image"] == row["image"]) & (cells["attribute"] == row["attribute"])).any()
    assert (read(project / "data/clean/labels.csv").set_index("image")["split"] == split).all()
    path.write_text(header)
    repro(project)


def test_fresh_networks_learn_from_the_filled_table(project: Path) -> None:
    content = yaml.safe_load((project / "params.yaml").read_text())["fine_tune"]
    fresh = content | {"epochs": 2, "start": "fresh", "network": "shared", "learning_rate": 0.001}
    old, new = (yaml.safe_dump({"fine_tune": one}) for one in (content, fresh))
    edit_params(project, old, new)
    done = run(project, "dvc", "repro")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "a backbone with its head for hat" in done.stderr + done.stdout
    # The model that the fill is made with has a linear head, the networks the one asked for.
    for folder, head in (("attributes/heads", "linear"), ("fine_tuned/model", "conv")):
        card = json.loads((project / f"models/{folder}.json").read_text())
        assert card["head"]["kind"] == head
    for history in ("history.csv", "iterations.csv"):
        shown = (project / "reports" / history).read_bytes()
        assert shown == (project / "models/fine_tuned" / history).read_bytes()
    filled = read(project / "data/imputed/labels.csv")
    assert filled[ATTRIBUTES].isin(["0", "1"]).all(axis=None)
    table = read(project / "reports/missing.csv")
    assert table["model"].tolist() == ["impute", "mask", "negative", "logistic", "fine_tuned"]
    out = predict(project, "mine/images/image_1.jpg")
    assert out.returncode == 0, out.stderr
