"""python -m benchmarks.whole_run: from files to the filled table, here and by a plain script.

The pictures and labels of the default demo, VGG19 with the same random weights, the same size and
cores; each way's stages or script in processes of their own, by turns, medians over the rounds.
``map`` is the mean average precision of the hidden cells of the four attributes that pictures show
(nothing can tell of the coin). The plain script learns from every known cell, the pipeline from
those of training images. Writes benchmarks/whole_run.csv; with ``--as laptop`` the libraries are
kept to AVX2 and two threads, and the figures go to benchmarks/whole_run_laptop.csv.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from benchmarks import weaker
from benchmarks.workshop import measure, params, record, timed
from pipeline import runtime
from pipeline.demo import paths
from pipeline.demo.generate import VISUAL_ATTRIBUTES

RESULT = Path("benchmarks/whole_run.csv")
STAGES = ("clean", "backbone", "embed", "classify", "impute")
SETTINGS = {"backbone.weights": "random"}
WEIGHTS = Path("models/backbone/backbone.weights.h5")


Way = Callable[[Path], tuple[dict[str, float], pd.DataFrame]]
"""Fills the table of a folder: its costs, and probabilities of 1 by image and attribute."""


def by_pipeline(folder: Path, rows: int, views: int) -> tuple[dict[str, float], pd.DataFrame]:
    """Seconds of all stages and of embed, and the probabilities of 1 of the hidden cells."""
    params(folder, {**SETTINGS, "demo.rows": rows, "features.views": views})
    for earlier in ("data/features", ".cache"):  # or embed would find what it is to compute
        shutil.rmtree(folder / earlier, ignore_errors=True)
    costs = {stage: measure(folder, stage) for stage in STAGES}
    cells = pd.read_csv(folder / "data/imputed/provenance.csv")
    return {
        "seconds": sum(cost.seconds for cost in costs.values()),
        "cpu_seconds": sum(cost.processor for cost in costs.values()),
        "embed_seconds": costs["embed"].seconds,
    }, cells.pivot_table("probability", "image", "attribute")


def by_script(folder: Path, precision: str) -> tuple[dict[str, float], pd.DataFrame]:
    """Seconds of the plain script, until its table is there: TensorFlow then takes up to a minute,
    and does nothing, to end a process that had a generator. The probabilities of 1 of all cells."""
    out = folder / "plain.csv"
    files = [paths.LABELS, paths.IMAGES, WEIGHTS, out]
    command = [sys.executable, "-m", "benchmarks.plain_script", *map(str, files)]
    started = time.time()
    cost = timed([*command, "--precision", precision], folder)
    seconds = out.stat().st_mtime - started
    return {"seconds": seconds, "cpu_seconds": cost.processor}, pd.read_csv(out, index_col=0)


def mean_precision(found: pd.DataFrame, labels: pd.DataFrame, truth: pd.DataFrame) -> float:
    """Mean over `VISUAL_ATTRIBUTES` of the average precision of the hidden cells.

    Parameters
    ----------
    found : probability of 1 of every hidden cell, by image and attribute.
    labels : 1, 0 and NaN for a hidden cell.
    truth : 1 or 0 of every cell.
    """
    scores = []
    for attribute in VISUAL_ATTRIBUTES:
        hidden = found.index[labels.loc[found.index, attribute].isna()]
        real = truth.loc[hidden, attribute]
        scores.append(average_precision_score(real, found.loc[hidden, attribute]))
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=975, help="of the demo table")
    weaker.add_option(parser)
    a = parser.parse_args()
    here = weaker.become(a.weaker, "benchmarks.whole_run")
    auto = "bfloat16" if runtime.processor_has_bfloat16() else "float32"
    ways: list[tuple[str, str, Way]] = [
        *(
            ("plain script", precision, partial(by_script, precision=precision))
            for precision in dict.fromkeys(["float32", auto])
        ),
        ("pipeline, one view", auto, partial(by_pipeline, rows=a.rows, views=1)),
        ("pipeline, two views", auto, partial(by_pipeline, rows=a.rows, views=2)),
    ]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        params(folder, {**SETTINGS, "demo.rows": a.rows})
        for stage in ("check", "demo", "clean", "backbone"):
            measure(folder, stage)
        labels, truth = (
            pd.read_csv(folder / file, index_col=0) for file in (paths.LABELS, paths.TRUTH)
        )
        for _ in range(a.rounds):
            for way, precision, run in ways:
                costs, found = run(folder)
                score = mean_precision(found, labels, truth)
                rows.append({"way": way, "precision": precision, **costs, "map": score})
                print(rows[-1], flush=True)
    medians = pd.DataFrame(rows).groupby(["way", "precision"], sort=False).median()
    medians = medians.round({**dict.fromkeys(medians, 1), "map": 4})
    medians["rounds"] = a.rounds
    record(medians.reset_index().to_dict("records"), weaker.result(RESULT, a.weaker), here)
    print(medians.to_string())


if __name__ == "__main__":
    main()
