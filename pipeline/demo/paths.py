"""Where the generated demo lies, and whether a run is about it."""

from __future__ import annotations

from pathlib import Path

from pipeline.params import Data

FOLDER = Path("data/demo")
LABELS = FOLDER / "labels.csv"
IMAGES = FOLDER / "images"
TRUTH = FOLDER / "truth.csv"


def is_demo(data: Data) -> bool:
    """Whether labels and images are the generated demo's own."""
    return Path(data.labels) == LABELS and Path(data.images) == IMAGES
