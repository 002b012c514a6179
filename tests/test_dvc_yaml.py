"""The contract of dvc.yaml: DVC follows neither imports nor params that are not declared."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DVC: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES = sorted(DVC["stages"])
PROPERTIES = {
    "frozen_head": {"head", "fine_tune.start"},
    "attribute_head": {"head", "fine_tune.start"},
    "epoch_head": {"head"},
}
"""What properties of `Params` read."""
WHOLE = {"check", "report"}
"""Stages that go by the whole of params.yaml."""
COMMAND_LINES = {
    "pipeline/doctor.py",
    "pipeline/predict/__main__.py",
    "pipeline/review/__main__.py",
    "pipeline/writers/__main__.py",
    "pipeline/explain/__main__.py",
    "pipeline/tune/__main__.py",
}
"""What a person runs beside the stages."""


def imported(module: Path) -> set[Path]:
    """Local modules that ``module`` imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline"):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("pipeline")]
        else:
            continue
        paths = (ROOT / f"{name.replace('.', '/')}.py" for name in names)
        found |= {path for path in paths if path.is_file()}
    return found


def closure(module: Path) -> set[str]:
    seen: set[Path] = set()
    todo = {module}
    while todo:
        path = todo.pop()
        seen.add(path)
        todo |= imported(path) - seen
    return {path.relative_to(ROOT).as_posix() for path in seen}


def units(modules: set[str]) -> set[str]:
    """What stands for ``modules`` among the dependencies: their packages, and modules of no package
    but the stages' themselves."""
    paths = map(Path, modules)
    return {
        str(path if path.parent.name in ("pipeline", "stages") else path.parent) for path in paths
    }


def attribute_chain(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [*attribute_chain(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else [""]


def params_read(module: str) -> set[str]:
    """Dotted keys that ``module`` reads from a variable named p."""
    keys = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        names = attribute_chain(node)
        if len(names) == 2 and names[0] == "p":
            keys |= PROPERTIES.get(names[1], set())
        if len(names) > 1 and names[0] == "p" and names[1] in PARAMS:
            section = PARAMS[names[1]]
            if not isinstance(section, dict):
                keys.add(names[1])
            elif len(names) > 2 and names[2] in section:
                keys.add(f"{names[1]}.{names[2]}")
    return keys


def declared_params(stage: str) -> set[str]:
    declared = set()
    for entry in DVC["stages"][stage]["params"]:
        if isinstance(entry, dict):
            return _leaves(PARAMS)
        declared |= {entry} if not isinstance(PARAMS.get(entry), dict) else _leaves(PARAMS[entry])
    return declared


def _leaves(content: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in content.items():
        if isinstance(value, dict):
            found |= _leaves(value, f"{prefix}{key}.")
        else:
            found.add(f"{prefix}{key}")
    return found


def test_stages_and_modules_are_the_same() -> None:
    modules = {path.stem for path in (ROOT / "pipeline/stages").glob("*.py")} - {"__init__"}
    assert modules == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_command_and_description(stage: str) -> None:
    assert DVC["stages"][stage]["cmd"] == f"python -m pipeline.stages.{stage}"
    assert len(DVC["stages"][stage]["desc"]) > 20


@pytest.mark.parametrize("stage", STAGES)
def test_every_imported_package_is_a_dependency(stage: str) -> None:
    declared = {dep for dep in DVC["stages"][stage]["deps"] if dep.startswith("pipeline/")}
    assert declared == units(closure(ROOT / f"pipeline/stages/{stage}.py"))


@pytest.mark.parametrize("stage", [s for s in STAGES if s not in WHOLE])
def test_every_param_read_is_declared_and_the_other_way_round(stage: str) -> None:
    assert declared_params(stage) == params_read(f"pipeline/stages/{stage}.py")


def test_only_stages_and_command_lines_know_params() -> None:
    for path in (ROOT / "pipeline").rglob("*.py"):
        if ROOT / "pipeline/params.py" in imported(path):
            name = path.relative_to(ROOT).as_posix()
            assert path.parent.name == "stages" or name in COMMAND_LINES, name


def test_params_import_nothing_whose_edit_would_run_every_stage_again() -> None:
    known = closure(ROOT / "pipeline/params.py")
    assert known == {f"pipeline/{name}.py" for name in ("params", "errors")}


@pytest.mark.parametrize("stage", sorted(WHOLE))
def test_some_see_every_param(stage: str) -> None:
    assert declared_params(stage) == _leaves(PARAMS)


def test_every_param_is_read_somewhere() -> None:
    read = set().union(*(declared_params(stage) for stage in STAGES if stage not in WHOLE))
    assert read == _leaves(PARAMS)


def test_stages_do_not_import_each_other_and_nothing_imports_a_stage() -> None:
    for path in (ROOT / "pipeline").rglob("*.py"):
        for other in imported(path):
            assert other.parent.name != "stages", f"{path} imports {other}"


def test_imputation_knows_neither_images_nor_backbones() -> None:
    for path in (ROOT / "pipeline/impute").glob("*.py"):
        known = closure(path)
        assert not known & {"pipeline/data/images.py", "pipeline/data/augment.py"}
        assert not [module for module in known if module.startswith("pipeline/features/")]


@pytest.mark.parametrize("stage", ["check", "demo", "clean"])
def test_cheap_stages_do_not_import_tensorflow(stage: str) -> None:
    for module in closure(ROOT / f"pipeline/stages/{stage}.py"):
        tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        text = " ".join(ast.unparse(node) for node in top)
        assert "tensorflow" not in text
        assert "keras" not in text


def test_only_what_git_keeps_is_uncached() -> None:
    for stage in STAGES:
        for out in DVC["stages"][stage]["outs"]:
            options = next(iter(out.values())) if isinstance(out, dict) else {}
            assert options.get("cache", True) is (stage not in ("evaluate", "report"))


def test_a_stage_from_the_run_cache_depends_on_no_part_of_a_folder_from_there() -> None:
    """Where both are restored at once, DVC looks the part up in the folder as dvc.lock last had it,
    and fails where that is in no cache, as after a clone. Stages that keep their output (persist)
    or have one outside the cache are never restored."""

    def restored(stage: str) -> bool:
        outs = [out for out in DVC["stages"][stage]["outs"] if isinstance(out, dict)]
        options = [next(iter(out.values())) for out in outs]
        return not any(o.get("persist") or o.get("cache") is False for o in options)

    folders = [out for stage in STAGES if restored(stage) for out in DVC["stages"][stage]["outs"]]
    for stage in filter(restored, STAGES):
        for dep in DVC["stages"][stage]["deps"]:
            assert not [f for f in folders if dep.startswith(f"{f}/")], f"{stage}: {dep}"


def test_plots_and_metrics_are_outputs() -> None:
    outs = {
        next(iter(out)) if isinstance(out, dict) else out
        for stage in DVC["stages"].values()
        for out in stage["outs"]
    }
    files = [*DVC["metrics"]]
    for plot in DVC["plots"]:
        if isinstance(plot, str):
            files.append(plot)
        else:
            files += next(iter(plot.values()))["y"]
    for file in files:
        assert any(file == out or file.startswith(f"{out}/") for out in outs), file
