"""python -m benchmarks.predict_rate FOLDER --model M: predict beside the bare network.

Pictures per second from files to rows, as `pipeline.predict` does it, of the classifier alone on
pictures that are in memory, and of decoding alone on all cores, in turns in one process that is
warm; for 1, 64 and 5,000 pictures of FOLDER, taken again and again where it has fewer. `share` is
what predict reaches of the classifier alone, `bound` what it would where decoding comes on top,
both at full use of the same cores, and `of the processor` the part of predict's processor time that
the classifier alone takes, which others at work on the machine change less. Writes
benchmarks/predict_rate.csv, where other classifiers keep their rows.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.workshop import machine
from pipeline import runtime
from pipeline.data import image_files
from pipeline.data.loading import ahead
from pipeline.errors import run
from pipeline.files import write_csv
from pipeline.predict.pictures import load, predictions
from pipeline.training.inference import Predictor

RESULT = Path("benchmarks/predict_rate.csv")
COUNTS = (1, 64, 5000)
TURNS = {1: 40, 64: 8, 5000: 1}
"""The fastest counts, as others may be at work on the machine."""
Way = Callable[[int], object]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict_rate")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    a = parser.parse_args()
    runtime.prepare(0)
    model, files = Predictor(a.model), image_files.list_images(a.folder)
    size = model.card.image_size
    read = [load(file, size) for file in files[: model.batch]]
    shown = np.stack([picture for picture in read if isinstance(picture, np.ndarray)])
    one, threads = partial(load, size=size), len(os.sched_getaffinity(0))

    def chosen(count: int) -> list[Path]:
        return list(islice(cycle(files), count))

    def decode(count: int) -> None:
        for _ in ahead(one, chosen(count), threads, depth=2 * model.batch):
            pass

    rows = []
    for count in a.counts:
        in_memory = shown[np.arange(max(count, 2 * model.batch)) % len(shown)]
        ways: tuple[Way, ...] = (
            lambda count: list(predictions(model, chosen(count))),
            lambda count, pictures=in_memory: model.predict(pictures[:count]),  # type: ignore[misc]
            decode,
        )
        seconds, of_processor = fastest(ways, count, 2 * model.batch)
        whole, bare, decoding = seconds
        row = {"backbone": model.card.backbone["name"], "height": size[0], "width": size[1]}
        row |= {"pictures": count, "predict_per_second": round(count / whole, 1)}
        row |= {"network_per_second": round(count / bare, 1)}
        row |= {"decoding_per_second": round(count / decoding, 1)}
        row |= {"share": round(bare / whole, 2), "bound": round(bare / (bare + decoding), 2)}
        row |= {"of_the_processor": round(of_processor[1] / of_processor[0], 2)}
        print(row, flush=True)
        rows.append(row)
    new = pd.DataFrame(rows).assign(machine=machine())
    if RESULT.is_file():
        new = pd.concat([pd.read_csv(RESULT), new])
        new = new.drop_duplicates(["backbone", "height", "width", "pictures"], keep="last")
    write_csv(new, RESULT)


def fastest(ways: tuple[Way, ...], count: int, warm: int) -> list[list[float]]:
    """Seconds of each with ``count`` pictures, and of all cores together; in turns, after ``warm``
    of them at most."""
    taken = np.full((TURNS.get(count, 3), 2, len(ways)), np.inf)
    for way in ways:
        way(min(count, warm))
    for turn in taken:
        for number, way in enumerate(ways):
            started, worked = time.perf_counter(), time.process_time()
            way(count)
            turn[:, number] = time.perf_counter() - started, time.process_time() - worked
    return taken.min(axis=0).tolist()


if __name__ == "__main__":
    run(main)
