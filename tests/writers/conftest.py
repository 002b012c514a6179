"""A small filled table with cells of every state."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests import finished_run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run whose policy left some cells empty, as the folder to work in."""
    finished_run.make(tmp_path, images=40)
    imputed = tmp_path / "data/imputed"
    cells = pd.read_csv(imputed / "provenance.csv", dtype=str, keep_default_na=False)
    labels = pd.read_csv(imputed / "labels.csv", dtype=str, keep_default_na=False)
    for place, (image, name) in cells.loc[::7, ["image", "attribute"]].iterrows():
        cells.loc[place, "value"] = ""
        labels.loc[labels["image"] == image, name] = ""
    cells.to_csv(imputed / "provenance.csv", index=False)
    labels.to_csv(imputed / "labels.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
