from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _leaves(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= _leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def test_every_param_is_explained_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| ([^|]+?) \|", README, flags=re.MULTILINE))
    params = _leaves(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")))
    for key, value in params.items():
        told = rows.pop(key)
        if not key.startswith("data."):
            assert told == ("null" if value is None else str(value)), key
    assert not [key for key in rows if key.split(".")[0] in {p.split(".")[0] for p in params}]


def test_the_tree_names_every_module() -> None:
    tree = README[README.index("## The tree") :]
    for path in (ROOT / "pipeline").glob("*.py"):
        assert path.name == "__init__.py" or path.name in tree, path.name


def test_every_stage_is_in_the_graph() -> None:
    graph = README[README.index("```mermaid") : README.index("* **clean**")]
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]:
        assert f'{stage}["{stage}:' in graph
