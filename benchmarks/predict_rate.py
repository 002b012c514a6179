"""python -m benchmarks.predict_rate FOLDER --model M: predict beside the bare network.

Pictures per second from files to rows, as `pipeline.predict` does it, and of the classifier alone
on pictures that are in memory, in turns in one process that is warm; for 1, 64 and 5,000 pictures
of FOLDER, taken again and again where it has fewer. Writes benchmarks/predict_rate.csv, where other
classifiers keep their rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.workshop import machine
from pipeline import runtime
from pipeline.data import image_files
from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.predict import load, predictions
from pipeline.training.inference import Predictor

RESULT = Path("benchmarks/predict_rate.csv")
COUNTS = (1, 64, 5000)
TURNS = {1: 20, 64: 5, 5000: 1}
"""The fastest counts, as others may be at work on the machine."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict_rate")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    a = parser.parse_args()
    runtime.prepare(0)
    model, files = Predictor(a.model), image_files.list_images(a.folder)
    read = [load(file, model.card.image_size) for file in files[: model.batch]]
    shown = np.stack([picture for picture in read if isinstance(picture, np.ndarray)])
    rows = []
    for count in a.counts:
        chosen = list(islice(cycle(files), count))
        ready = shown[np.arange(count) % len(shown)]
        ways: list[Callable[[], object]] = [
            lambda chosen=chosen: list(predictions(model, chosen)),
            lambda ready=ready: model.predict(ready),
        ]
        whole, bare = fastest(ways, TURNS.get(count, 3))
        row = {"backbone": model.card.backbone["name"], "pictures": count}
        row |= {"predict_per_second": round(count / whole, 1)}
        row |= {"network_per_second": round(count / bare, 1), "share": round(bare / whole, 2)}
        print(row, flush=True)
        rows.append(row)
    new = pd.DataFrame(rows).assign(machine=machine())
    if RESULT.is_file():
        new = pd.concat([pd.read_csv(RESULT), new])
        new = new.drop_duplicates(["backbone", "pictures"], keep="last")
    write_csv(new, RESULT)


def fastest(ways: list[Callable[[], object]], turns: int) -> list[float]:
    """Seconds of each, taken in turns after one that warms up."""
    taken = np.full((turns, len(ways)), np.inf)
    for way in ways:
        way()
    for turn in taken:
        for number, way in enumerate(ways):
            started = time.perf_counter()
            way()
            turn[number] = time.perf_counter() - started
    return taken.min(axis=0).tolist()


if __name__ == "__main__":
    run(main)
