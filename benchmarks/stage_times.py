"""python -m benchmarks.stage_times: seconds, start-up and peak memory of every stage from scratch.

Runs the stages of dvc.yaml with the default params.yaml in an empty folder, in the order in which
they depend on each other. Start-up: what Python takes to import the stage's module before anything
is done, the smaller of two imports. Writes benchmarks/stage_times.csv; with
``--as laptop`` the libraries of networks and of matrices are kept to what most laptops have, and
the figures go to benchmarks/stage_times_laptop.csv.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import pandas as pd
import yaml

from benchmarks import weaker
from benchmarks.workshop import measure, params, timed
from pipeline.files import write_csv

RESULT = Path("benchmarks/stage_times.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    weaker.add_option(parser)
    a = parser.parse_args()
    here = weaker.become(a.weaker, "benchmarks.stage_times")
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        params(folder, {})
        (folder / "data").mkdir()
        shutil.copy("data/corrections.csv", folder / "data/corrections.csv")
        for stage in stages:
            command = [sys.executable, "-c", f"import pipeline.stages.{stage}"]
            start = min(timed(command, folder).seconds for _ in range(2))
            seconds, megabytes, _ = measure(folder, stage)
            row = {"stage": stage, "seconds": round(seconds, 1), "start_up": round(start, 1)}
            rows.append({**row, "peak_mb": round(megabytes)})
    frame = pd.DataFrame(rows)
    total = frame[["seconds", "start_up"]].sum().round(1).to_dict()
    whole = pd.DataFrame([{"stage": "all", **total, "peak_mb": frame["peak_mb"].max()}])
    frame = pd.concat([frame, whole], ignore_index=True)
    frame["machine"] = here
    write_csv(frame, weaker.result(RESULT, a.weaker))
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
