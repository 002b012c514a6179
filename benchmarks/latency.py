"""python -m benchmarks.latency FOLDER: milliseconds of the project's classifier for a picture.

From the file to the decision, as `pipeline.predict` does it, in one process that is warm: the
median over turns through the folder. Run it in a folder that `dvc repro` has been through.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from pipeline import runtime
from pipeline.data import image_files
from pipeline.predict import Predictor
from pipeline.predict.pictures import predictions

TURNS = 5


def milliseconds(folder: Path) -> float:
    """Of one picture of ``folder``, median over `TURNS`."""
    predictor, files = Predictor(), image_files.list_images(folder)
    taken = []
    for _ in range(1 + TURNS):  # the first one warms up
        started = time.perf_counter()
        list(predictions(predictor, files))
        taken.append(1e3 * (time.perf_counter() - started) / len(files))
    return float(np.median(taken[1:]))


if __name__ == "__main__":
    runtime.prepare(0)
    print(milliseconds(Path(sys.argv[1])))
