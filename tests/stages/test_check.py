from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import params
from pipeline.errors import PipelineError
from pipeline.stages import check

Write = Callable[[dict[str, Any]], Path]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"data.labels": "gone.csv"}, "data.labels: gone.csv: no such file"),
        ({"data.images": "gone"}, "data.images: gone: no such folder"),
        ({"backbone.weights": "w.h5"}, "backbone.weights: w.h5: no such file"),
        ({"backbone.name": "vgg91"}, "backbone.name: got 'vgg91', expected one of vgg16, vgg19,"),
        ({"epochs": -3}, "epochs: got -3"),
        ({"epcohs": 3}, "unknown key epcohs; did you mean epochs?"),
    ],
)
def test_refuses_with_one_line(
    write_params: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    overrides: dict[str, Any],
    message: str,
) -> None:
    write_params(overrides)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError) as caught:
        check.main()
    found = str(caught.value)
    assert message in found
    assert found.startswith("params.yaml")
    assert "\n" not in found
    assert not (tmp_path / "data").exists()


def test_command_line_ends_on_a_bad_param_in_one_line(
    write_params: Write, run_module: Callable
) -> None:
    write_params({"epochs": -3})
    done = run_module("pipeline.stages.check")
    assert done.returncode == 2
    assert done.stderr.startswith("error: params.yaml: epochs: got -3")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_accepts_and_writes_always_the_same(
    write_params: Write, run_module: Callable, tmp_path: Path
) -> None:
    for seed in (1, 2):
        write_params({"seed": seed})
        assert run_module("pipeline.stages.check").returncode == 0
        assert (tmp_path / "data/checked.txt").read_bytes() == b"ok\n"


def test_accepts_paths_that_exist(
    write_params: Write, run_module: Callable, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine.csv").write_text("image,a\n")
    (tmp_path / "w.weights.h5").write_text("")
    write_params(
        {
            "data.labels": "mine.csv",
            "data.images": str(tmp_path / "mine"),
            "backbone.weights": "w.weights.h5",
        }
    )
    assert run_module("pipeline.stages.check").returncode == 0


def checked(tmp_path: Path, param: str, value: str, **compute: str) -> params.Params:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["backbone"][param] = value
    content["compute"] |= compute
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("param", "value", "lacking"),
    [("precision", "int8", "nncf"), ("runtime", "openvino", "openvino")],
)
def test_without_the_extra_the_check_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, param: str, value: str, lacking: str
) -> None:
    p = checked(tmp_path, param, value)
    there = {"openvino", "nncf"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in there else None)
    check.check_runtime(p)
    there.remove(lacking)
    with pytest.raises(PipelineError, match=rf"needs {lacking}; pip install .*\[{value}\]"):
        check.check_runtime(p)


@pytest.mark.parametrize(("param", "value"), [("precision", "int8"), ("runtime", "openvino")])
def test_openvino_runs_on_one_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, param: str, value: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    told = rf"compute\.engine: got 'ray' with backbone\.{param} {value}.*expected local"
    with pytest.raises(PipelineError, match=told):
        check.check_runtime(checked(tmp_path, param, value, engine="ray"))
