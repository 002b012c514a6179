"""Exports of small classifiers, each run by its format's own runtime."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.data import images
from pipeline.errors import PipelineError
from pipeline.export import __main__ as command
from pipeline.export import graph, parity
from pipeline.export.formats import FORMATS
from pipeline.training.inference import Predictor
from tests.export.small import COLUMNS, SIZE, write_model

MODELS: dict[str, dict[str, Any]] = {
    "stack": {"kind": "stack"},
    "grid": {"kind": "conv", "grid": 3},
    "pooled": {"kind": "linear", "backbone": "cnn-4-8-6"},
    "bfloat16": {"kind": "dense", "precision": "bfloat16"},
    "means": {"kind": "linear", "backbone": "vgg16"},
    "fine-tuned": {"kind": "linear", "fine_tuned": True},
}


def needs(name: str) -> None:
    for module in FORMATS[name].packages:
        if importlib.util.find_spec(module) is None:
            pytest.skip("the extra export is not installed")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, Path] = {}

    def model(name: str) -> Path:
        if name not in made:
            made[name] = write_model(folder / name, **MODELS[name])
        return made[name]

    return model


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_is_the_classifier(name: str, models: Any) -> None:
    predictor = Predictor(models(name), precision="float32")
    pictures = parity.pictures(SIZE, 5)
    expected = predictor.probabilities(pictures)
    found = graph.module(predictor, any_size=False)(pictures)[graph.OUTPUT].numpy()
    assert found == pytest.approx(expected, abs=1e-4)
    assert found.std(axis=0).min() > 1e-3, "all pictures are the same to it"
    assert found[:, 1:4].sum(axis=1) == pytest.approx(np.ones(5), abs=1e-6)


def test_pictures_are_resized_as_by_pillow() -> None:
    sizes = [
        *((40, 32), (80, 64), (45, 133), (11, 260), (25, 15), (1, 1), (68, 41), (125, 40)),
        *((50, 27), (38, 27), (78, 51), (79, 51), (78, 50), (41, 32), (40, 33)),
    ]
    for number, size in enumerate(sizes):
        shown = parity.pictures(size, 2, number)
        found = graph.resized(shown, SIZE).numpy()
        expected = np.stack([images.resize(Image.fromarray(one), SIZE) for one in shown])
        gap = np.abs(found - expected)
        assert gap.max() == 0, size
    shown = parity.pictures((900, 1100), 1)
    gap = graph.resized(shown, SIZE).numpy()[0] - images.resize(Image.fromarray(shown[0]), SIZE)
    assert np.abs(gap).max() <= 1
    assert (gap != 0).mean() < 0.002


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("onnx", "stack"),
        ("onnx", "means"),
        pytest.param("all", "stack", marks=pytest.mark.slow),
        pytest.param("all", "grid", marks=pytest.mark.slow),
        pytest.param("all", "pooled", marks=pytest.mark.slow),
        pytest.param("all", "bfloat16", marks=pytest.mark.slow),
        pytest.param("all", "fine-tuned", marks=pytest.mark.slow),
    ],
)
def test_an_export_says_what_the_classifier_says(
    to: str, name: str, models: Any, tmp_path: Path
) -> None:
    chosen = {one: FORMATS[one] for one in (FORMATS if to == "all" else [to])}
    for one in chosen:
        needs(one)
    out = tmp_path / "out"
    command.main(["--to", to, str(out), "--model", str(models(name))])
    predictor = Predictor(models(name), precision="float32")
    for each, one in chosen.items():
        run = one.open(out / one.file)
        found = parity.compare(run, predictor, one.any_size)
        assert found.difference <= 1e-4, each
        assert found.other_decisions == 0
        assert (found.resized is not None) == one.any_size
        assert run(parity.pictures(SIZE, 1)).shape == (1, len(COLUMNS))
    assert json.loads((out / "config.json").read_text())["thresholds"]["hat"] == 0.4


def test_an_attribute_is_decided_otherwise_once_however_many_values_change(models: Any) -> None:
    predictor = Predictor(models("stack"), precision="float32")
    expected = np.array([[0.5, 0.6, 0.3, 0.1, 0.9], [0.5, 0.2, 0.7, 0.1, 0.9]])
    found = expected.copy()
    found[0, 1:4] = 0.3, 0.6, 0.1
    found[1, 0] = 0.3  # the threshold is .4
    assert parity.other_decisions(predictor, found, expected).tolist() == [
        [False, True, False],
        [True, False, False],
    ]


def test_what_does_not_agree_is_not_left_on_disk(
    models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that is wrong in one batch size alone, as one that is not there in the tests."""
    out = tmp_path / "out"
    saved = FORMATS["saved_model"]
    command.main(["--to", "saved_model", str(out), "--model", str(models("stack"))])
    earlier = (out / "README.md").read_bytes()

    def wrong(path: Path) -> Any:
        run = saved.open(path)
        return lambda pictures: run(pictures) + (6e-4 if len(pictures) == 3 else 0)

    monkeypatch.setitem(
        FORMATS,
        "saved_model",
        type(saved)(saved.file, {}, saved.any_size, saved.write, wrong),
    )
    with pytest.raises(PipelineError, match=r"--to saved_model: .* differ by 0\.0006"):
        command.main(["--to", "saved_model", str(out), "--model", str(models("stack"))])
    assert (out / "README.md").read_bytes() == earlier
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_onnx_holds_what_a_decision_needs(models: Any, tmp_path: Path) -> None:
    needs("onnx")
    import onnx

    out = tmp_path / "out"
    command.main(["--to", "onnx", str(out), "--model", str(models("stack"))])
    proto = onnx.load(out / "model.onnx")
    onnx.checker.check_model(proto, full_check=True)
    props = {one.key: one.value for one in proto.metadata_props}
    config = json.loads((out / "config.json").read_text())
    assert {
        k: json.loads(v) if k not in ("model_type", "problem_type", "head", "trained_in") else v
        for k, v in props.items()
    } == config
    (given,), (result,) = proto.graph.input, proto.graph.output
    assert (given.name, result.name) == ("pictures", "probabilities")
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert result.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "onnx", "taken"], "taken: neither empty nor an earlier export"),
        (["--to", "onnx", "file"], "file: a file; expected a folder"),
        (["--to", "onnx", "no/such"], "no/such: no such folder as no; make it"),
        (["--to", "onnx", "new"], r"models/multilabel/model\.json: no such file; .*--model"),
        (["--to", "onnx", "new", "--model", "gone"], r"gone/model\.json: no such file"),
        (["--to", "onnx", "new", "--reports", "gone"], "gone/metrics.json: can't be read"),
    ],
)
def test_what_can_not_be_exported(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("onnx")
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    Path("taken/config.json").write_text("{}")
    Path("file").touch()
    with pytest.raises(PipelineError, match=message):
        command.main(arguments)
    assert not Path("new").exists()
    assert Path("taken/config.json").read_text() == "{}"


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PipelineError, match=r"not installed: .*onnxruntime.*'\.\[export\]'"):
        command.main(["--to", "onnx", str(tmp_path / "new")])


@pytest.mark.slow
def test_the_command_line_by_itself(models: Any, tmp_path: Path, root: Path) -> None:
    needs("onnx")
    line = [sys.executable, "-m", "pipeline.export", "--to", "onnx", "out"]
    done = subprocess.run(
        [*line, "--model", str(models("stack"))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    names = ["README.md", "config.json", "model.onnx", "preprocessor_config.json"]
    told = [line.partition(":")[0] for line in done.stdout.splitlines()]  # large ones with sizes
    assert told == [f"out/{name}" for name in names]
