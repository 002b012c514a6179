"""Where the generated demo lies, and whether a run is about it."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path("data/demo")
LABELS = FOLDER / "labels.csv"
IMAGES = FOLDER / "images"
TRUTH = FOLDER / "truth.csv"


def is_demo(labels: str | Path, images: str | Path) -> bool:
    """Whether a label table and a folder of images are the generated demo's own."""
    return Path(labels) == LABELS and Path(images) == IMAGES
