"""python -m benchmarks.export NAME=MODEL:PICTURES ...: exports beside the classifier, on photos.

MODEL is what stage ``train`` or ``fine_tune`` wrote, PICTURES a folder. Every format is written, is
run by its own runtime on 1, 3 and 64 pictures, and is compared with the classifier in float32.
Writes benchmarks/export.csv, a row per model and format: the largest difference of probabilities,
decisions that come out otherwise, megabytes, and milliseconds for one picture (the fastest of 8, as
others may be at work on the machine), beside those of the classifier's own network. Rows of other
names stay.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.workshop import machine
from pipeline import runtime
from pipeline.data import image_files
from pipeline.errors import PipelineError, run
from pipeline.export import graph, metadata, parity
from pipeline.export.formats import FORMATS
from pipeline.files import write_csv
from pipeline.predict.pictures import load
from pipeline.training.inference import Predictor

RESULT = Path("benchmarks/export.csv")
CALLS = 8


def photos(folder: Path, size: tuple[int, int], count: int) -> np.ndarray:
    """uint8 [count, h, w, 3], the first of a folder that can be read."""
    found = (load(file, size) for file in image_files.list_images(folder))
    several = [picture for picture in found if isinstance(picture, np.ndarray)][:count]
    if len(several) < count:
        raise PipelineError(f"{folder}: {len(several)} pictures, expected {count} at least")
    return np.stack(several)


def milliseconds(call: Callable[[], object]) -> float:
    """Of the fastest of some calls."""
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return round(1000 * min(seconds), 1)


def measure(predictor: Predictor, shown: np.ndarray) -> list[dict[str, Any]]:
    """A row for each format."""
    expected = predictor.probabilities(shown)
    own = milliseconds(lambda: predictor.probabilities(shown[:1]))
    rows = []
    for name, one in FORMATS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / one.file
            config = metadata.config(predictor, {name: one.any_size})
            one.write(graph.module(predictor, one.any_size), path, config)
            files = [file for file in Path(folder).rglob("*") if file.is_file()]
            call = one.open(path)
            found = {count: call(shown[:count]) for count in parity.BATCHES}
            row = {
                f"difference_{count}": float(np.abs(p - expected[:count]).max())
                for count, p in found.items()
            }
            others = parity.other_decisions(predictor, found[max(parity.BATCHES)], expected)
            rows.append(
                {"format": name}
                | {key: f"{value:.1e}" for key, value in row.items()}
                | {
                    "other_decisions": int(others.sum()),
                    "decisions": others.size,
                    "megabytes": round(sum(file.stat().st_size for file in files) / 1e6, 1),
                    "milliseconds": milliseconds(lambda call=call: call(shown[:1])),
                    "milliseconds_of_predict": own,
                }
            )
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__)
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL:PICTURES")
    rows = []
    for given in parser.parse_args().models:
        name, _, places = given.partition("=")
        model, _, folder = places.partition(":")
        runtime.prepare(0)
        predictor = Predictor(model, precision="float32")
        shown = photos(Path(folder), predictor.card.image_size, max(parity.BATCHES))
        rows += [{"model": name, **row} for row in measure(predictor, shown)]
    new = pd.DataFrame(rows).assign(machine=machine())
    if RESULT.is_file():
        old = pd.read_csv(RESULT, dtype=str)
        new = pd.concat([old[~old["model"].isin(new["model"])], new], ignore_index=True)
    write_csv(new, RESULT)


if __name__ == "__main__":
    run(main)
