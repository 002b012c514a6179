"""A project of 48 small pictures, its table filled by coins, through the stages before training."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from pipeline.data import imputed_arrays, splits
from pipeline.data.clean_table import read_clean, write_clean
from pipeline.data.imputed_arrays import ImputedArrays
from pipeline.stages import backbone, clean, embed

ROOT = Path(__file__).resolve().parents[2]
N = 48
COLUMNS = ("colour=blue", "colour=red", "bright", "shade=dark", "shade=light")
SOFTMAX = ((0, 2), (3, 5))
PARAMS: dict[str, Any] = {
    "data": {"labels": "labels.csv", "images": "images"},
    "categorical": {"columns": ["colour", "shade"], "min_count": 3},
    "image_size": [32, 32],
    "backbone": {
        "name": "cnn-4-8",
        "weights": "random",
        "precision": "float32",
        "runtime": "keras",
    },
    "dense_units": 8,
    "epochs": 1,
    "batch_size": 16,
}


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def write_params(fine_tuned: dict[str, Any], head: str = "dense") -> None:
    """Params of the project in the current folder."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content |= PARAMS | {"data": content["data"] | PARAMS["data"]}
    content["head"] = head
    content["features"]["views"] = 2
    content["fine_tune"] |= {"learning_rate": 0.01} | fine_tuned
    Path("params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def write_data() -> None:
    """Pictures and their table, with holes, and a value that two pictures have."""
    rng = np.random.default_rng(0)
    Path("images").mkdir()
    rows = []
    for i in range(N):
        red, bright, light = i % 2, i // 2 % 2, i // 4 % 2
        values = rng.integers(20, 100, (32, 32, 3))
        values[..., 0 if red else 2] += 90
        values[:16] += 60 * bright
        Image.fromarray(values.astype("uint8")).save(f"images/{i:02d}.png")
        colour = "gold" if i in (5, 6) else "red" if red else "blue"
        cells = [colour, str(bright), "light" if light else "dark"]
        rows.append([f"{i:02d}.png", *("" if rng.random() < 0.15 else cell for cell in cells)])
    frame = pd.DataFrame(rows, columns=["image", "colour", "bright", "shade"])
    frame.to_csv("labels.csv", index=False)


def write_imputed() -> None:
    """A table filled in by the flip of a coin."""
    table = read_clean("data/clean/labels.csv")
    unknown = np.isnan(table.values)
    filled = np.nan_to_num(table.values)
    for start, stop in SOFTMAX:
        filled[unknown[:, start], start:stop] = [1, 0]
    folder = Path("data/imputed")
    folder.mkdir()
    write_clean(table.filled(filled), folder / "labels.csv")
    probability = np.where(unknown, 0.5, table.values).astype("float32")
    weight = np.where(unknown, 0.3, 1).astype("float32")
    verdicts = np.full(len(COLUMNS), "yes")
    arrays = ImputedArrays(probability, probability, probability, weight, verdicts)
    imputed_arrays.write(arrays, folder)
    training = np.array(table.split) == "train"
    splits.FOLDS.mkdir(parents=True)
    splits.write_folds(table, np.where(training, np.cumsum(training) % 3, -1), splits.FOLDS)


def make(head: str = "dense") -> None:
    """The project in the current folder, ready for stage train."""
    write_params({"epochs": 0}, head)
    write_data()
    Path("data").mkdir()
    shutil.copy(ROOT / "data/corrections.csv", "data")
    for stage in (clean, backbone, embed):
        stage.main()
    write_imputed()
