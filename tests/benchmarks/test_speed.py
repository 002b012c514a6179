"""What the benchmarks of speed and scale count and generate."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmarks import scale, speed, workshop
from pipeline import params
from pipeline.data.labels import LabelTable

NAN = float("nan")


def test_every_pass_of_the_other_way_is_counted() -> None:
    values = np.array([[1, 0], [1, NAN], [1, 1], [0, NAN], [1, 1], [NAN, 0]], dtype=np.float32)
    split = ["train", "train", "train", "train", "val", "test"]
    table = LabelTable.binary([f"{i}.jpg" for i in range(6)], ["a", "b"], values, split)
    trained, scored = speed.images_of(table, epochs=10)
    # Attribute a: 3 positives doubled; b: one of each class; then the model of all 4 images.
    assert trained == 10 * (6 + 2 + 4)
    # Validation cells each epoch, the unknown cells once, the last model's validation image.
    assert scored == 10 * (1 + 1) + (1 + 2) + 10


@pytest.mark.parametrize("column", range(4))
def test_a_generated_picture_shows_its_attributes(column: int) -> None:
    shown = np.zeros(4, dtype=bool)
    plain = scale.picture(shown, np.random.default_rng(0))
    shown[column] = True
    other = scale.picture(shown, np.random.default_rng(0))
    one, two = (
        np.asarray(Image.open(io.BytesIO(content))).astype(float) for content in (plain, other)
    )
    assert one.shape == (scale.SIDE, scale.SIDE, 3)
    assert np.abs(one - two).mean() > 2


def test_a_generated_project_is_a_valid_one(tmp_path: Path) -> None:
    scale.generate(tmp_path, 60)
    table = pd.read_csv(tmp_path / "labels.csv")
    assert all((tmp_path / "images" / name).is_file() for name in table["image"])
    assert 0.1 < table.isna().to_numpy()[:, 1:].mean() < 0.3
    p = params.load(tmp_path / "params.yaml")
    assert (p.image_size, p.backbone.name) == ((scale.SIDE, scale.SIDE), "mobilenet_v2")
    workshop.params(tmp_path, {"impute.folds": 3})
    assert yaml.safe_load((tmp_path / "params.yaml").read_text())["impute"]["folds"] == 3
