"""What the benchmarks of speed and scale count and generate."""

from __future__ import annotations

import io
import sys
from functools import partial
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
    assert len(list(tmp_path.glob("images/*/*.jpg"))) == len(table) == 60
    assert all((tmp_path / "images" / name).is_file() for name in table["image"])
    assert 0.1 < table.isna().to_numpy()[:, 1:].mean() < 0.3
    p = params.load(tmp_path / "params.yaml")
    assert (p.image_size, p.backbone.name) == ((scale.SIDE, scale.SIDE), "mobilenet_v2")
    workshop.params(tmp_path, {"impute.folds": 3})
    assert yaml.safe_load((tmp_path / "params.yaml").read_text())["impute"]["folds"] == 3


def test_a_larger_table_begins_with_the_smaller_one(tmp_path: Path) -> None:
    scale.generate(tmp_path, 20)
    before = {path: path.read_bytes() for path in tmp_path.glob("images/*/*.jpg")}
    labels = (tmp_path / "labels.csv").read_text()
    scale.generate(tmp_path, 30, before=20)
    assert (tmp_path / "labels.csv").read_text().startswith(labels)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(list(tmp_path.glob("images/*/*.jpg"))) == 30
    truth, holes = (
        pd.read_csv(tmp_path / name).drop(columns="image") for name in ("truth.csv", "labels.csv")
    )
    assert (holes.isna() | (holes == truth)).all(axis=None)


def test_steps_that_were_measured_are_not_repeated(tmp_path: Path) -> None:
    ran = []

    def step(name: str) -> workshop.CostOfAll:
        ran.append(name)
        if len(ran) == 2:
            raise KeyboardInterrupt
        return workshop.CostOfAll(2.04, 1.0, 100.4, 120.0)

    steps = [(name, partial(step, name)) for name in ("clean", "embed")]
    with pytest.raises(KeyboardInterrupt):
        scale.measured(tmp_path / "measured.csv", steps)
    found = scale.measured(tmp_path / "measured.csv", steps)
    assert ran == ["clean", "embed", "embed"]
    assert found.to_dict("list") == {
        "stage": ["clean", "embed"],
        "seconds": [2.0, 2.0],
        "cpu_seconds": [1.0, 1.0],
        "peak_mb": [100, 100],
        "all_processes_mb": [120, 120],
    }


def test_rows_of_other_sizes_are_kept(tmp_path: Path) -> None:
    def rows(images: int, seconds: float) -> pd.DataFrame:
        return pd.DataFrame({"images": [images], "stage": ["embed"], "seconds": [seconds]})

    for images, seconds in ((1000, 1.0), (100, 2.0), (1000, 3.0)):
        scale.keep(rows(images, seconds), tmp_path / "scale.csv")
    found = pd.read_csv(tmp_path / "scale.csv")
    assert found[["images", "seconds"]].to_numpy().tolist() == [[100, 2.0], [1000, 3.0]]


def test_a_command_costs_what_all_of_its_processes_take(tmp_path: Path) -> None:
    child = "import time; held = bytearray(60 * 2**20); time.sleep(2)"
    both = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    found = workshop.costs([sys.executable, "-c", both], tmp_path)
    assert found.seconds > 2 > found.cpu_seconds > 0
    assert found.all_processes_mb > 60


def test_images_are_added_to_a_finished_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def stage(folder: Path, name: str) -> workshop.CostOfAll:
        (folder / "data/features").mkdir(exist_ok=True)
        ran.append(f"{name} of {len(pd.read_csv(folder / 'labels.csv'))}")
        return workshop.CostOfAll(float(len(ran)), 1.0, 1.0, 1.0)

    def costs(command: list[str], folder: Path) -> workshop.CostOfAll:
        ran.append(" ".join(command[3:]))
        return workshop.CostOfAll(1.0, 1.0, 1.0, 1.0)

    monkeypatch.setattr(scale, "stage", stage)
    monkeypatch.setattr(scale, "costs", costs)
    found = scale.added(tmp_path, 20, 5).set_index("stage")
    stages = [name for name in (*scale.STAGES, "evaluate") if name != "backbone"]
    assert ran[8:11] == [
        "evaluate of 20",
        "images --out predicted.csv",
        "images/000 --labels new.csv --out filled",
    ]
    assert ran[11:] == [f"{name} of 25" for name in stages]
    assert found.index.tolist() == ["predict --labels", *stages]
    assert found.loc["check", "seconds_before"] == 1.0
    assert found["repeated"].notna().all()
    assert pd.read_csv(tmp_path / "new.csv")["image"].tolist() == [
        f"000/{number:06d}.jpg" for number in range(20, 25)
    ]
    # Once more: nothing is drawn or measured again.
    assert (scale.added(tmp_path, 20, 5).set_index("stage") == found)["seconds"].all()
    assert len(ran) == 11 + len(stages)
