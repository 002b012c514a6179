"""The writers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.writers import cvat, fiftyone, huggingface, label_studio, open_images
from pipeline.writers.cells import Outgoing, Returned


@dataclass(frozen=True)
class Writer:
    """Gives a filled table to another tool, and reads what people said there.

    layout : what it writes, for people; carries : what of a cell it can hold; back : the file, or
        the folder, that comes back, in the words of that tool.
    write : into an empty folder; returns what to do with it.
    read : the cells as they came back, from a file or a folder.
    """

    layout: str
    carries: str
    back: str
    write: Callable[[Outgoing, Path], str]
    read: Callable[[Path, Outgoing], Iterator[Returned]]


WRITERS = {
    "label-studio": Writer(
        "Label Studio's tasks, one per cell that was unknown",
        "value and probability of cells that were unknown",
        "the project's JSON export",
        label_studio.write,
        label_studio.read,
    ),
    "cvat": Writer("CVAT for images 1.1", "value", "annotations.xml", cvat.write, cvat.read),
    "fiftyone": Writer(
        "FiftyOneImageClassificationDataset",
        "value, probability and state",
        "labels.json",
        fiftyone.write,
        fiftyone.read,
    ),
    "open-images": Writer(
        "image labels of Open Images",
        "known values, and the probability of filled ones",
        "*imagelabels.csv",
        open_images.write,
        open_images.read,
    ),
    "huggingface": Writer(
        "Hugging Face's ImageFolder",
        "value, probability and state",
        "metadata.jsonl",
        huggingface.write,
        huggingface.read,
    ),
}
"""Everything that names writers is made from this: the command line, its help, docs/review.md."""
