"""A small filled table with cells of every state."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests import finished_run


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose policy left some cells empty, to copy."""
    folder = tmp_path_factory.mktemp("template")
    finished_run.make(folder, images=40)
    imputed = folder / "data/imputed"
    cells = pd.read_csv(imputed / "provenance.csv", dtype=str, keep_default_na=False)
    labels = pd.read_csv(imputed / "labels.csv", dtype=str, keep_default_na=False)
    for place, (image, name) in cells.loc[::7, ["image", "attribute"]].iterrows():
        cells.loc[place, "value"] = ""
        labels.loc[labels["image"] == image, name] = ""
    cells.to_csv(imputed / "provenance.csv", index=False)
    labels.to_csv(imputed / "labels.csv", index=False)
    return folder


@pytest.fixture
def project(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
