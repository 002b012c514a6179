"""Where the generated demo lies, and whether a run is about it."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path("data/demo")
LABELS = FOLDER / "labels.csv"
IMAGES = FOLDER / "images"
TRUTH = FOLDER / "truth.csv"


def is_needed(labels: str | Path, images: str | Path) -> bool:
    """Whether a label table or a folder of images lies in the demo's folder."""
    inside = (Path(path).absolute() for path in (labels, images))
    return any(path.is_relative_to(FOLDER.absolute()) for path in inside)


def is_demo(labels: str | Path, images: str | Path) -> bool:
    """Whether a label table and a folder of images are the generated demo's own."""
    return Path(labels) == LABELS and Path(images) == IMAGES
