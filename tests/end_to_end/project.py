"""A small project of its own with everything wrong that may be wrong, run by DVC."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from pipeline.demo import generate

ROOT = Path(__file__).resolve().parents[2]
ATTRIBUTES = ["hat", "None", "always"]
"""The second is what pandas takes for a missing value unless it is asked not to."""
KIND = "kind"
"""A categorical attribute that the pictures show."""
NUMBER = 90
TRACKED = (
    *("pipeline", "dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"),
    "data/corrections.csv",
)
GIVEN = ("checked.txt", "corrections.csv")


def make(folder: Path) -> None:
    """A copy of the tracked files in ``folder`` with small params and its own data, after
    ``dvc repro``."""
    tracked = subprocess.run(
        ["git", "ls-files", *TRACKED], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    write_data(folder / "mine")
    content = yaml.safe_load((folder / "params.yaml").read_text())
    content["data"] |= {"labels": "mine/labels.csv", "images": "mine/images"}
    content["backbone"] |= {"name": "mobilenet_v2", "weights": "random", "precision": "float32"}
    content["backbone"]["runtime"] = "keras"
    content["categorical"] = {"columns": [KIND], "min_count": 3}
    content |= {"image_size": [64, 64], "epochs": 3, "batch_size": 8}
    content["features"]["views"] = 2
    content["impute"] |= {"folds": 2, "rounds": 1, "confidence": 0.6}
    content["demo"]["rows"] = 50
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True, env=environment())
    repro(folder)


def write_data(folder: Path) -> None:
    """Pictures and a table: holes, a missing and a truncated file, two identical, one class."""
    table = generate.generate(NUMBER, seed=3)
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    hat, sleeves = (generate.ATTRIBUTES.index(name) for name in ("has_hat", "has_sleeves"))
    rows = []
    for i, name in enumerate(table.images):
        truth = table.truth[i].copy()
        truth[hat] = i % 3 == 0
        file = folder / "images" / name
        file.write_bytes(generate.jpeg(generate.picture(truth.tolist(), 3, i)))
        cells = [str(truth[hat]), str(truth[sleeves]), "1"]
        cells.append("capped" if truth[hat] else "sleeved" if truth[sleeves] else "plain")
        rows.append([name, *("" if rng.random() < 0.2 else cell for cell in cells)])
    (folder / "images" / "image_7.jpg").unlink()
    truncated = folder / "images" / "image_8.jpg"
    truncated.write_bytes(truncated.read_bytes()[:900])
    shutil.copy(folder / "images" / "image_20.jpg", folder / "images" / "image_21.jpg")
    rows[1][-1] = "a value of its own"
    frame = pd.DataFrame(rows, columns=["image", *ATTRIBUTES, KIND])
    frame.to_csv(folder / "labels.csv", index=False)


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "DVC_NO_ANALYTICS": "1"}


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def predict(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "pipeline.predict", *arguments)


def repro(folder: Path) -> list[str]:
    """``dvc repro``, which has to succeed; returns the stages that ran."""
    done = run(folder, "dvc", "repro")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [line.split("'")[1] for line in done.stdout.splitlines() if "Running stage" in line]


def assert_refused(folder: Path, *words: str) -> None:
    """``dvc repro`` fails with ``words`` in its message, and every output stays as it was."""
    before = tree(folder)
    done = run(folder, "dvc", "repro")
    printed = done.stderr + done.stdout
    assert done.returncode != 0
    assert all(word in printed for word in words), printed
    assert "Traceback" not in printed
    assert tree(folder) == before


def edit_params(folder: Path, old: str, new: str) -> None:
    path = folder / "params.yaml"
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def tree(folder: Path) -> dict[str, int]:
    """Every output file with the time of its last change, without the mark that params are good."""
    files = [p for part in ("data", "models", "reports") for p in (folder / part).rglob("*")]
    return {str(p): p.stat().st_mtime_ns for p in files if p.is_file() and p.name not in GIVEN}
