"""python -m benchmarks.cost: what classify and impute cost on cached features.

Seconds of both stages for the default run, which must have been made before, and for synthetic
tables: features of the demo's shape, in which each attribute is a noisy direction of some map
positions. The embedding is no part of it. A second run of impute, under cProfile, says what part
of its seconds goes into what people can rely on (`GUARANTEES`): bounded errors, budget, shares,
suspects and the review list. Writes benchmarks/cost.csv.
"""

from __future__ import annotations

import argparse
import pstats
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.workshop import measure, record, timed
from pipeline.data import corrections
from pipeline.data.clean_table import write_clean
from pipeline.data.labels import SPLITS, LabelTable
from pipeline.features.store import FeatureWriter, stored
from pipeline.files import write_csv

RESULT = Path("benchmarks/cost.csv")
MAP = (4, 3, 512)
STAGES = ("classify", "impute")
GUARANTEES = (
    *(("promises.py", "promise"), ("missingness.py", "exchangeable"), ("guarantees.py", "tables")),
    ("audit_by_people.py", "table"),
)
"""Modules below pipeline/impute, and their functions that stage impute calls."""
SIGNALS = 40
"""Independent things that a picture shows; an attribute is a mixture of a few."""


def project(folder: Path, images: int, attributes: int, seed: int = 0) -> None:
    """Write a clean table and a feature store, as the stages before would leave them."""
    rng = np.random.default_rng(seed)
    names = [f"image_{i:06d}.jpg" for i in range(images)]
    signal = rng.normal(size=(images, SIGNALS)).astype(np.float32)
    mix = rng.normal(size=(SIGNALS, attributes)) * (rng.random((SIGNALS, attributes)) < 0.1)
    score = signal @ mix + rng.normal(size=(images, attributes)) * 0.5
    cut = np.quantile(score, rng.uniform(0.5, 0.9, attributes), axis=0).diagonal()
    values = np.where(rng.random(score.shape) < 0.2, np.nan, score > cut).astype(np.float32)
    split = rng.choice(SPLITS, size=images, p=[0.7, 0.1, 0.2]).tolist()
    (folder / "data/clean").mkdir(parents=True)
    (folder / "data/features").mkdir(parents=True)
    table = LabelTable.binary(
        names, [f"attribute_{a:02d}" for a in range(attributes)], values, split
    )
    write_clean(table, folder / "data/clean/labels.csv")
    index = pd.DataFrame({"image": names, "sha256": names, "group": range(images)})
    write_csv(index, folder / "data/clean/images.csv")
    account = pd.DataFrame(columns=list(corrections.ACCOUNT))
    write_csv(account, folder / "data/clean" / corrections.CORRECTED)
    weights = rng.normal(size=(SIGNALS, int(np.prod(MAP)))).astype(np.float32)
    with FeatureWriter(folder / "data/features", images, 1, MAP) as writer:
        for start in range(0, images, 500):
            block = signal[start : start + 500] @ weights / np.sqrt(SIGNALS)
            block += rng.normal(size=block.shape).astype(np.float32)
            writer.append(0, *stored(np.maximum(block, 0).reshape(-1, *MAP)))
        backbone = {"name": "synthetic", "sha256": "0"}
        writer.finish(index, {"backbone": backbone, "precision": "float32", "grid": None})
    shutil.copy("params.yaml", folder / "params.yaml")


def share_of_guarantees(folder: Path) -> float:
    """Of the seconds of impute in ``folder``, those of `GUARANTEES`."""
    with tempfile.TemporaryDirectory() as name:
        profile = Path(name) / "profile"
        command = ["-m", "cProfile", "-o", str(profile), "-m", "pipeline.stages.impute"]
        timed([sys.executable, *command], folder)
        stats = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    seconds = {(*Path(file).parts[-2:], name): own[3] for (file, _, name), own in stats.items()}
    missing = [one for one in GUARANTEES if ("impute", *one) not in seconds]
    if missing:
        raise SystemExit(f"error: impute did not call {missing}")
    found = sum(seconds["impute", *one] for one in GUARANTEES)
    return float(found / seconds["stages", "impute.py", "main"])


def tables(text: str) -> tuple[int, int]:
    """Attributes and images of ``20x5000``."""
    attributes, images = map(int, text.split("x"))
    return attributes, images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--tables",
        type=tables,
        nargs="+",
        default=[(4, 1000), (40, 1000), (20, 5000)],
        help="attributes x images of synthetic tables: 20x5000",
    )
    a = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        runs = [("demo", 5, 972, Path.cwd())]
        for attributes, images in a.tables:
            folder = Path(name) / f"{attributes}x{images}"
            folder.mkdir()
            project(folder, images, attributes)
            runs.append(("synthetic", attributes, images, folder))
        for kind, attributes, images, folder in runs:
            row = {"table": kind, "attributes": attributes, "images": images}
            measured = [measure(folder, stage) for stage in STAGES]
            row |= {s: round(cost.seconds, 1) for s, cost in zip(STAGES, measured)}
            row["both"] = round(sum(cost.seconds for cost in measured), 1)
            row["peak_mb"] = round(max(cost.megabytes for cost in measured))
            row["guarantees_of_impute"] = f"{share_of_guarantees(folder):.1%}"
            rows.append(row)
            print(rows[-1], flush=True)
    record(rows, RESULT)


if __name__ == "__main__":
    main()
