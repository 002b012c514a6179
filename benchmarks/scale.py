"""python -m benchmarks.scale: seconds, peak memory and disk of every stage as the table grows.

Generated pictures of 32 x 32 pixels that show four attributes, a fifth of the cells unknown, and
MobileNetV2 with random weights: so small that the pipeline's own costs show and not the network's.
The final classifier has the same number of epochs for every table: where it would stop early, the
sizes could not be compared.
Writes benchmarks/scale.csv.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.workshop import Cost, measure, params, timed
from pipeline.files import write_csv
from pipeline.report.machine import machine

RESULT = Path("benchmarks/scale.csv")
STAGES = ("check", "clean", "backbone", "embed", "classify", "impute", "train", "fine_tune")
SIDE = 32
EPOCHS = 20


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


def generate(folder: Path, images: int) -> None:
    """Pictures, their table with holes, and params.yaml."""
    rng = np.random.default_rng(images)
    truth = rng.random((images, 4)) < (0.5, 0.3, 0.2, 0.1)
    (folder / "images").mkdir()
    names = [f"{number // 1000:03d}/{number:06d}.jpg" for number in range(images)]
    for name, shown in zip(names, truth):
        path = folder / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(shown, rng))
    table = pd.DataFrame(truth.astype(int), columns=["bright", "red", "striped", "framed"])
    table = table.astype("Int64").mask(rng.random(truth.shape) < 0.2)
    table.insert(0, "image", names)
    write_csv(table, folder / "labels.csv")
    (folder / "data").mkdir()
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


def predict(folder: Path) -> Cost:
    """What the command line costs on all images."""
    command = [sys.executable, "-m", "pipeline.predict", "images", "--out", "predicted.csv"]
    return timed(command, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, nargs="+", default=(1000, 10_000, 100_000))
    a = parser.parse_args()
    rows = []
    for images in a.images:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            generate(folder, images)
            for stage in (*STAGES, "evaluate", "predict"):
                run = predict(folder) if stage == "predict" else measure(folder, stage)
                row = {"images": images, "stage": stage, "seconds": round(run.seconds, 1)}
                row |= {
                    "ms_per_image": round(run.seconds / images * 1e3, 2),
                    "peak_mb": round(run.megabytes),
                }
                rows.append(row)
                print(row, flush=True)
            store = sum(file.stat().st_size for file in (folder / "data/features").iterdir())
        frame = pd.DataFrame(rows)
        frame.loc[frame["images"] == images, "feature_bytes_per_image"] = round(store / images)
        rows = frame.to_dict("records")
        frame["machine"] = machine()
        write_csv(frame, RESULT)
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
