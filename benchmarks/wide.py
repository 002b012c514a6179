"""python -m benchmarks.wide: processor time and memory of stage impute's steps as attributes grow.

A generated table: groups of attributes that go together, four of five of which the features tell a
little of, 30 % of the cells unknown. All in one process, so that the seconds are of one core.
Writes benchmarks/wide.csv.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import progress
from pipeline.files import write_csv
from pipeline.impute import imputer
from pipeline.impute.imputer import Imputer, Table
from pipeline.report.machine import machine

RESULT = Path("benchmarks/wide.csv")
STEPS = ("image models", "label models", "stacking", "calibration", "audit")
FEATURES = 32
UNKNOWN = 0.3
GROUP = 5
"""Attributes that go together."""


def generate(attributes: int, rows: int) -> Table:
    """Features [N, `FEATURES`] and labels; a fifth of the images is outside training."""
    rng = np.random.default_rng([attributes, rows])
    groups = -(-attributes // GROUP)
    group = np.arange(attributes) % groups
    rate = rng.uniform(0.1, 0.9, (2, attributes))
    shown = rng.integers(0, 2, (rows, groups))[:, group]
    truth = rng.random((rows, attributes)) < np.where(shown, rate[1], rate[0])
    told = np.arange(attributes) % GROUP > 0
    axes = rng.normal(size=(attributes, FEATURES)) * told[:, None] / np.sqrt(attributes)
    features = (truth - 0.5) @ axes * 3 + rng.normal(size=(rows, FEATURES))
    labels = np.where(rng.random(truth.shape) < UNKNOWN, np.nan, truth)
    fold = np.arange(rows) % (GROUP + 1) - 1
    return Table(features.astype(np.float32), labels, fold=fold)


def measure(attributes: int, rows: int) -> list[dict[str, Any]]:
    """A row for each of `STEPS`, of a run on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    seconds: dict[str, float] = {}
    original = progress.task

    @contextmanager
    def timed(name: str, *arguments: Any, **named: Any) -> Iterator[Any]:
        started = time.process_time()
        with original(name, *arguments, **named) as advance:
            yield advance
        seconds[name] = time.process_time() - started

    imputer.progress.task = timed  # type: ignore[attr-defined]
    table = generate(attributes, rows)
    Imputer().fill(table)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    of = {"attributes": attributes, "rows": rows}
    return [
        of | {"step": one, "cpu_seconds": round(seconds[one], 1), "peak_mb": memory}
        for one in STEPS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wide", description=__doc__)
    parser.add_argument("--attributes", type=int, nargs="+", default=[50, 100, 300], metavar="N")
    parser.add_argument("--rows", type=int, default=1000, metavar="N")
    options = parser.parse_args()
    found: list[dict[str, Any]] = []
    for attributes in options.attributes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found += pool.submit(measure, attributes, options.rows).result()
        frame = pd.DataFrame(found).assign(machine=machine())
        write_csv(frame, RESULT)
        print(frame.tail(len(STEPS)).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
