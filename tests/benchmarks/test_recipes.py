from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks import recipe_report, recipes
from benchmarks.recipe_list import BY_NAME, RECIPES, Recipe, setting
from benchmarks.workshop import params as write_params
from pipeline import params
from pipeline.data.labels import LabelTable
from pipeline.features import backbones
from pipeline.metrics import bootstrap


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_is_a_valid_setting(recipe: Recipe, tmp_path: Path) -> None:
    write_params(tmp_path, recipe.changes)
    p = params.load(tmp_path / "params.yaml")
    backbones.check(p.backbone.name, p.image_size, p.backbone.weights)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_line_says_what_the_recipe_changes(recipe: Recipe, tmp_path: Path) -> None:
    from dvc.utils.hydra import apply_overrides

    words = shlex.split(recipe.line)
    assert words[:3] == ["dvc", "exp", "run"]
    given = words[3:]
    assert given[::2] == ["-S"] * len(recipe.changes)
    write_params(tmp_path, {})
    apply_overrides(tmp_path / "params.yaml", given[1::2])
    by_line = params.load(tmp_path / "params.yaml")
    write_params(tmp_path, recipe.changes)
    assert by_line == params.load(tmp_path / "params.yaml")


def test_settings_are_quoted_for_the_shell() -> None:
    assert setting("image_size", [224, 224]) == "'image_size=[224,224]'"
    assert setting("impute.soft_targets", False) == "impute.soft_targets=false"
    assert setting("categorical.columns", ["a", "b"]) == "'categorical.columns=[a,b]'"


def test_a_budget_shortens_and_shrinks_what_has_no_weights() -> None:
    weights = {"mobilenet_v2": "w.h5"}
    resnet = recipes.budget(BY_NAME["masked-resnet50"], weights, side=96, epochs=5)
    assert (resnet["image_size"], resnet["fine_tune.epochs"], resnet["epochs"]) == ([96, 96], 5, 5)
    assert resnet["backbone.weights"] == "random"
    transfer = recipes.budget(BY_NAME["mobilenet-transfer"], weights, side=96, epochs=50)
    assert (transfer["image_size"], transfer["epochs"]) == ([224, 224], 20)
    assert transfer["backbone.weights"] == "w.h5"
    default = recipes.budget(BY_NAME["default"], weights, side=96, epochs=None)
    assert (default["backbone.name"], default["image_size"]) == ("mobilenet_v2", [224, 224])
    assert "impute.folds" not in default, "the table that it learns from is the real one"


def test_hiding_takes_the_share_asked_for_and_changes_nothing_else() -> None:
    values = (np.random.default_rng(0).random((500, 4)) < 0.4).astype("float32")
    table = LabelTable.binary([f"{i}.jpg" for i in range(500)], list("abcd"), values)
    hidden = recipes.hidden(table, 0.3, seed=1).values
    unknown = np.isnan(hidden)
    assert unknown.mean() == pytest.approx(0.3, abs=0.03)
    assert (hidden[~unknown] == values[~unknown]).all()
    np.testing.assert_array_equal(hidden, recipes.hidden(table, 0.3, seed=1).values)


def row(name: str) -> dict[str, Any]:
    quality = {"f1_samples": 0.7, "subset_accuracy": 0.5, "accuracy_macro": 0.9, "auc_macro": 0.8}
    cost = {"embed_seconds": 3.0, "impute_seconds": 2.0, "train_seconds": 9.0, "peak_mb": 800.0}
    return {
        **{"recipe": name, "backbone": "cnn-4", "pretrained": "no", "size": "96x96"},
        **{**quality, **cost, "cosine_similarity": 0.8, "f1_macro": 0.6},
        **{"best_label": "red", "worst_label": "blue", "parameters": 1234, "trainable": 99},
        **{"size_mb": 1.5, "ms_per_image": 2.5, "machine": "2 cores"},
    }


def test_the_page_has_the_best_first_and_resume_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    truth = (rng.random((60, 3)) < 0.5).astype(float)
    outputs = {"default": rng.random((60, 3)), "single-cnn": 0.8 * truth + 0.1}
    compared = bootstrap.compare(truth, outputs, "default", seed=0)
    path = tmp_path / "reports/recipes.csv"
    recipe_report.write(pd.DataFrame([row(n) for n in outputs]), compared, outputs, path, "a.csv 0")
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert text.index("| single-cnn |") < text.index("| default |")
    assert "180 cells, 3 attributes" in text
    assert path.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    rows, again = recipe_report.earlier(path, "a.csv 0")
    assert [one["recipe"] for one in rows] == ["default", "single-cnn"]
    assert "map" not in rows[0]
    assert rows[0]["auc_macro"] == 0.8
    np.testing.assert_array_equal(again["single-cnn"], outputs["single-cnn"])
    with pytest.raises(SystemExit, match=r"is of a.csv 0 .*, not of b.csv 0; run without --resume"):
        recipe_report.earlier(path, "b.csv 0")


def test_nothing_to_resume(tmp_path: Path) -> None:
    assert recipe_report.earlier(tmp_path / "recipes.csv", "") == ([], {})
