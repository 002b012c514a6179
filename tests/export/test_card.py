from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline.errors import PipelineError
from pipeline.export import card, metadata
from pipeline.export.parity import Parity
from pipeline.training.inference import Predictor
from tests.export.small import COLUMNS, SIZE, write_model

FOUND = {"onnx": Parity(1e-5, 2e-4, 30, 0), "litert": Parity(2e-6, None, 30, 0)}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(write_model(tmp_path_factory.mktemp("model") / "own"))


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    attributes = {"attribute": ["hat", "coin"], "known": [80, 90], "positive": [20, 50]}
    attributes |= {"negative": [60, 40], "unknown": [20, 10], "missing_at_random": ["no", ""]}
    pd.DataFrame(attributes).to_csv(tmp_path / "attributes.csv", index=False)
    scores = {"attribute": ["hat", "coin"], "auc": [0.91, None]}
    scores |= {"auc_low": [0.85, None], "auc_high": [0.95, None]}
    pd.DataFrame(scores).to_csv(tmp_path / "test.csv", index=False)
    categories = {"attribute": ["colour"], "accuracy": [0.7]}
    categories |= {"accuracy_low": [0.6], "accuracy_high": [0.8]}
    pd.DataFrame(categories).to_csv(tmp_path / "categories.csv", index=False)
    metrics = {"table": {"images": 100, "filled_cells": 30}, "test": {"map": 0.8}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def test_the_card_of_a_run(predictor: Predictor, reports: Path) -> None:
    text = card.write(predictor, "clothes", FOUND, card.read_reports(reports))
    assert "| `hat` | 0, 1 | 0.4000 | learnable | ROC AUC 0.910 (0.850 to 0.950) |" in text
    assert "| `colour` | blue, red, tan |  | learnable | accuracy 0.700 (0.600 to 0.800) |" in text
    assert "| `coin` | 0, 1 | 0.6000 | not learnable |  |" in text
    assert "| `hat` | 20 | 60 | 20 | 20% |" in text
    assert "tell `coin`: what it says there is a guess" in text
    assert "Labels of `hat` were not missing at random" in text
    assert "| onnx | 1.0e-05 | 2.0e-04 | 0 of 30 |" in text
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["library_name"] == "onnx"
    (result,) = head["model-index"][0]["results"]
    assert [one["value"] for one in result["metrics"]] == [0.8, 0.91]


def test_the_card_is_read_by_hugging_face_s_parser(predictor: Predictor, reports: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    text = card.write(predictor, "clothes", FOUND, card.read_reports(reports))
    found = hub.ModelCard(text)
    assert found.data.pipeline_tag == "image-classification"
    assert found.data.model_name == "clothes"
    assert [one.metric_value for one in found.data.eval_results] == [0.8, 0.91]
    plain = hub.ModelCard(card.write(predictor, "clothes", FOUND, None))
    assert plain.data.eval_results is None
    assert "No reports of the run were given" in plain.text


@pytest.mark.parametrize(
    ("name", "weights", "licence", "words"),
    [
        ("cnn-4-8", "random", "other", "began at random"),
        ("cnn-4-8", "mine.weights.h5", "other", "`mine.weights.h5`, whose licence its owner knows"),
        (
            "vgg19",
            "imagenet",
            "cc-by-4.0",
            "weights of vgg19 .* made of: CC-BY-4.0",
        ),
        ("resnet50", "imagenet", "mit", "MIT"),
        ("hub:dinov2_small", "imagenet", "other", "the preset's own"),
    ],
)
def test_the_weights_licence(
    name: str, weights: str, licence: str, words: str, tmp_path: Path
) -> None:
    predictor = Predictor(write_model(tmp_path / "own"))
    predictor.card.backbone["name"] = name
    about = {"weights": weights, "pretrained": int(weights != "random")}
    (tmp_path / "own/backbone/backbone.json").write_text(json.dumps(about))
    text = card.write(predictor, "x", FOUND, None)
    assert yaml.safe_load(text.split("---\n")[1])["license"] == licence
    assert re.search(words, text)


def test_reports_that_are_none(tmp_path: Path, reports: Path) -> None:
    (reports / "test.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PipelineError, match=r"holds no reports of a run .*; run `dvc repro`"):
        card.read_reports(reports)
    (reports / "metrics.json").unlink()
    with pytest.raises(PipelineError, match=r"metrics\.json: can't be read \(No such file"):
        card.read_reports(reports)


def test_config_and_preprocessor(predictor: Predictor) -> None:
    config = metadata.config(predictor, {"onnx": True})
    assert list(config["id2label"].values()) == list(COLUMNS)
    assert config["categorical"] == {"colour": ["blue", "red", "tan"]}
    assert config["learnable"]["coin"] == "no"
    assert config["problem_type"] == "multi_label_classification"
    assert set(config["sha256"]) == {
        "model.json",
        "head.weights.h5",
        "backbone/backbone.weights.h5",
    }
    assert config["sha256"]["backbone/backbone.weights.h5"] == config["backbone"]["sha256"]
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    size = metadata.preprocessor(predictor)["size"]
    assert (size["height"], size["width"]) == SIZE
