"""A PASCAL VOC folder from its annotations to the filled table and the scores."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.readers.test_voc import ABSENT, DIFFICULT, NAMES, SHOWN, write_annotations, write_sets

STAGES = (
    *("check", "clean", "backbone", "embed", "classify", "impute", "train", "fine_tune"),
    "evaluate",
)
NUMBER = 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Pictures of two colours, one by each of two classes; every seventh class is difficult."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "VOC2007"
    (folder / "JPEGImages").mkdir(parents=True)
    cells = {}
    for i in range(NUMBER):
        shown = rng.random(len(NAMES)) < 0.3
        row = {n: SHOWN if one else ABSENT for n, one in zip(NAMES, shown, strict=True)}
        row[NAMES[i % 20]] = DIFFICULT if i % 7 == 0 else SHOWN
        cells[f"{i:06d}"] = row
        picture = rng.integers(0, 120, (40, 48, 3))
        picture[:, :24, 0] += 120 * (row[NAMES[0]] == SHOWN)
        picture[:, 24:, 2] += 120 * (row[NAMES[1]] == SHOWN)
        Image.fromarray(picture.astype("uint8")).save(folder / f"JPEGImages/{i:06d}.jpg")
    write_annotations(folder, cells)
    write_sets(folder, cells)
    return folder


def test_a_converted_folder_runs_through_every_stage(
    root: Path,
    tmp_path: Path,
    write_params: Callable[[dict[str, Any]], Path],
    run_module: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    converted = run_module("pipeline.readers.voc", str(root), "--out", "labels.csv")
    assert converted.returncode == 0, converted.stderr
    assert f"{NUMBER} images, 20 columns" in converted.stdout + converted.stderr
    write_params(
        {
            **{"data.labels": "labels.csv", "data.images": str(root / "JPEGImages")},
            **{"backbone.name": "cnn-4-8", "backbone.weights": "random", "image_size": [32, 32]},
            **{"backbone.precision": "float32", "features.views": 1, "head": "linear"},
            **{"epochs": 2, "impute.folds": 2, "impute.rounds": 0},
        }
    )
    for stage in STAGES:
        done = run_module(f"pipeline.stages.{stage}")
        assert done.returncode == 0, f"{stage}: {done.stderr[-1500:]}"
    given = pd.read_csv(tmp_path / "labels.csv", dtype=str, keep_default_na=False)
    filled = pd.read_csv(tmp_path / "data/imputed/labels.csv", dtype=str, keep_default_na=False)
    assert list(filled.columns) == ["image", "split", *NAMES]
    known = (given[NAMES] != "").to_numpy()
    assert (~known).any()
    assert (filled[NAMES].to_numpy()[known] == given[NAMES].to_numpy()[known]).all()
    assert filled[NAMES].isin(["0", "1"]).all(axis=None)
    scores = json.loads((tmp_path / "reports/metrics.json").read_text(encoding="utf-8"))
    assert scores["table"]["attributes"] == 20
    assert scores["table"]["filled_cells"] == (~known).sum()
