"""python -m benchmarks.report: seconds, memory and size of the report of large tables.

The tables are made up, with a tenth of their cells unknown; their pictures are noise, which a JPEG
makes least of. Writes benchmarks/report.csv.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks import finished
from benchmarks.workshop import measure, record

RESULT = Path("benchmarks/report.csv")
SIZES = ((5, 1_000), (40, 20_000))
"""Attributes and images."""


def main() -> None:
    rows = []
    for attributes, images in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "run"
            names = [f"attribute_{i}" for i in range(attributes)]
            finished.write(folder, images, names, size=(480, 640))
            seconds, megabytes, _ = measure(folder, "report")
            cells = len(pd.read_csv(folder / "data/imputed/provenance.csv"))
            size = (folder / "reports/report.html").stat().st_size
            rows.append(
                {
                    "attributes": attributes,
                    "images": images,
                    "filled_cells": cells,
                    "seconds": round(seconds, 1),
                    "peak_mb": round(megabytes),
                    "page_mb": round(size / 1e6, 2),
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    record(rows, RESULT)


if __name__ == "__main__":
    main()
