"""python -m benchmarks.scale: seconds, peak memory and disk of every stage as the table grows.

Generated pictures of 32 x 32 pixels that show four attributes, a fifth of the cells unknown, and
MobileNetV2 with random weights: so small that the pipeline's own costs show and not the network's.
The final classifier has the same number of epochs for every table: where it would stop early, the
sizes could not be compared.
Writes benchmarks/scale.csv, stage by stage: rows of other sizes stay. With `--folder` the projects
are kept, and a run that was ended goes on with the stage that it was at.

`--add 1000` measures what follows when a finished table has 1,000 images more, and writes
benchmarks/scale_add.csv.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.workshop import CostOfAll, costs, params, stage
from pipeline.files import write_csv
from pipeline.report.machine import machine

RESULT, ADDED = Path("benchmarks/scale.csv"), Path("benchmarks/scale_add.csv")
ATTRIBUTES = ("bright", "red", "striped", "framed")
SHARES = (0.5, 0.3, 0.2, 0.1)
UNKNOWN = 0.2
SIDE = 32
EPOCHS = 20
PART = 1000
"""Pictures of one folder, drawn by one process, with random numbers of their own: a larger table
begins with the smaller one."""
NEW = "new.csv"
"""In a project's folder, the labels of the images that were added."""
STAGES = ("check", "clean", "backbone", "embed", "classify", "impute", "train", "fine_tune")
REPEATED = {
    "check": "the params",
    "clean": "every image decoded to see that it can be, the split",
    "embed": "nothing: the new images alone pass through the network",
    "classify": "all heads",
    "impute": "all models",
    "train": "the classifier and its baselines",
    "fine_tune": "nothing: off",
    "evaluate": "scores and pictures",
    "predict --labels": "nothing: the new rows alone are filled, by the classifier of before",
}
"""What a stage does again when images are added; the others do nothing."""


def picture(shown: np.ndarray, rng: np.random.Generator) -> bytes:
    """A JPEG of a bright or dark ground, a red or blue disc, stripes or none, on a frame or not."""
    bright, red, striped, framed = shown
    pixels = rng.normal(150 if bright else 100, 25, (SIDE, SIDE, 3))
    y, x = np.mgrid[:SIDE, :SIDE] - rng.integers(8, SIDE - 8, (2, 1, 1))
    disc = x**2 + y**2 < rng.integers(20, 60)
    pixels[disc] = (200, 60, 60) if red else (60, 60, 200)
    if striped:
        pixels[:: rng.integers(3, 6)] *= 0.6
    if framed:
        pixels[[0, 1, -2, -1]] = pixels[:, [0, 1, -2, -1]] = 30
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def rows(part: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of a part, and the same with holes."""
    rng = np.random.default_rng([part, 0])
    truth = pd.DataFrame(rng.random((PART, len(SHARES))) < SHARES, columns=list(ATTRIBUTES))
    truth = truth.astype("Int64")
    holes = truth.mask(rng.random(truth.shape) < UNKNOWN)
    names = [f"{part:03d}/{number:06d}.jpg" for number in range(part * PART, (part + 1) * PART)]
    for table in (truth, holes):
        table.insert(0, "image", names)
    return truth, holes


def draw(folder: Path, images: int, part: int) -> None:
    """The pictures of a part, of a table of so many images."""
    rng = np.random.default_rng([part, 1])
    truth, _ = rows(part)
    (folder / f"{part:03d}").mkdir(exist_ok=True)
    for name, *shown in truth[: images - part * PART].itertuples(index=False):
        (folder / name).write_bytes(picture(np.array(shown, dtype=bool), rng))


def generate(folder: Path, images: int, before: int = 0) -> None:
    """Pictures, their table with holes, and params.yaml; ``before`` : images that there are."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    parts = range(-(-images // PART))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(partial(draw, folder / "images", images), parts[before // PART :]))
    tables = [rows(part) for part in parts]
    for name, table in zip(("truth.csv", "labels.csv"), zip(*tables, strict=True), strict=True):
        write_csv(pd.concat(table)[:images], folder / name)
    (folder / "data/corrections.csv").write_text("image,attribute,value\n")
    params(
        folder,
        {
            "data.labels": "labels.csv",
            "data.images": "images",
            "image_size": [SIDE, SIDE],
            "backbone.name": "mobilenet_v2",
            "backbone.weights": "random",
            "features.views": 1,
            "epochs": EPOCHS,
            "patience": EPOCHS,
        },
    )


def predict(*arguments: str, folder: Path) -> CostOfAll:
    """What the command line costs."""
    return costs([sys.executable, "-m", "pipeline.predict", *arguments], folder)


def measured(path: Path, steps: Sequence[tuple[str, Callable[[], CostOfAll]]]) -> pd.DataFrame:
    """What each named step costs, a row each in ``path``; those that have one are not repeated."""
    done = pd.read_csv(path).to_dict("records") if path.exists() else []
    for name, step in steps:
        if name in {row["stage"] for row in done}:
            continue
        cost = step()
        done.append(
            {
                "stage": name,
                "seconds": round(cost.seconds, 1),
                "cpu_seconds": round(cost.cpu_seconds, 1),
                "peak_mb": round(cost.peak_mb),
                "all_processes_mb": round(cost.all_processes_mb),
            }
        )
        print(path.parent.name, done[-1], flush=True)
        # In the order of the steps, whichever was measured again.
        place = [one for one, _ in steps]
        done.sort(key=lambda row: place.index(row["stage"]))
        write_csv(pd.DataFrame(done), path)
    return pd.DataFrame(done)


def whole(folder: Path, images: int) -> pd.DataFrame:
    """The costs of every stage of a project with so many images, and its features' room."""
    if not (folder / "labels.csv").exists():
        began = time.perf_counter()
        generate(folder, images)
        print(f"{images} pictures drawn in {time.perf_counter() - began:.0f} s", flush=True)
    steps = [(name, partial(stage, folder, name)) for name in (*STAGES, "evaluate")]
    everything = partial(predict, "images", "--out", "predicted.csv", folder=folder)
    frame = measured(folder / "measured.csv", [*steps, ("predict", everything)])
    frame.insert(0, "images", images)
    for place, (of, name) in enumerate((("", "ms_per_image"), ("cpu_", "cpu_ms_per_image")), 4):
        frame.insert(place, name, (frame[f"{of}seconds"] / images * 1e3).round(2))
    store = sum(file.stat().st_size for file in (folder / "data/features").iterdir())
    return frame.assign(feature_bytes_per_image=round(store / images))


def added(folder: Path, images: int, more: int) -> pd.DataFrame:
    """The costs of ``more`` images in a finished project of ``images``: until their rows are filled
    by the classifier that there is, then of every stage, which ends in a new table."""
    before = whole(folder, images).set_index("stage")["seconds"]
    if not (folder / NEW).exists():
        generate(folder, images + more, images)
        write_csv(pd.read_csv(folder / "labels.csv", dtype=str)[images:], folder / NEW)
    new = sorted({f"images/{Path(name).parent}" for name in pd.read_csv(folder / NEW)["image"]})
    fill = partial(predict, *new, "--labels", NEW, "--out", "filled", folder=folder)
    steps = [(name, partial(stage, folder, name)) for name in (*STAGES, "evaluate")]
    # Nothing that it depends on has changed.
    steps = [(name, step) for name, step in steps if name != "backbone"]
    frame = measured(folder / "added.csv", [("predict --labels", fill), *steps])
    frame.insert(0, "images", images)
    frame.insert(1, "added", more)
    frame.insert(4, "seconds_before", frame["stage"].map(before))
    return frame.assign(repeated=frame["stage"].map(REPEATED))


def keep(frame: pd.DataFrame, path: Path) -> None:
    """``frame`` into a file in which rows of other sizes stay as they are."""
    frame = frame.assign(machine=machine())
    if path.exists():
        others = pd.read_csv(path)
        frame = pd.concat([others[~others["images"].isin(frame["images"])], frame])
    write_csv(frame.sort_values("images", kind="stable"), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, nargs="+", default=(1000, 10_000, 100_000))
    parser.add_argument("--add", type=int, metavar="M", help="measure M images more instead")
    parser.add_argument("--folder", type=Path, help="where projects are kept; default: nowhere")
    a = parser.parse_args()
    for images in a.images:
        with tempfile.TemporaryDirectory() as name:
            folder = (a.folder or Path(name)).absolute() / str(images)
            if a.add:
                keep(added(folder, images, a.add), ADDED)
            else:
                keep(whole(folder, images), RESULT)


if __name__ == "__main__":
    main()
