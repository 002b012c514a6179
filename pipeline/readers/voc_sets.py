"""PASCAL VOC's ImageSets/Main: which images a split has, and which classes they show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import fail
from pipeline.readers.table import check_image, is_folder, list_folder, read_text

FOLDER = Path("ImageSets/Main")
DEFAULT_SPLIT = "trainval"
CELLS = {"1": "1", "-1": "0", "0": ""}
"""The label table's cell for a value: shown, not shown, only objects that are difficult."""


class Entry(NamedTuple):
    """A label table's cell ("1", "0" or "" for unknown) and the row of the file it comes from."""

    cell: str
    row: int


@dataclass(frozen=True)
class ImageSet:
    """A split: sorted names of its N images without suffix, and per class an entry for each.

    ``classes`` is empty where the split is only a list of images.
    """

    split: str
    images: list[str]
    classes: dict[str, dict[str, Entry]]


def read(root: Path, split: str | None = None) -> ImageSet | None:
    """The split's files ``<split>.txt`` and ``<class>_<split>.txt``; one kind may be absent.

    None without a split to ask for (``split`` is None) where ImageSets/Main has no .txt file.

    Raises
    ------
    PipelineError
        If there is no file of the split, if a line is wrong, or if two files of the split don't
        list the same images.
    """
    folder = root / FOLDER
    files = list_folder(folder) if is_folder(folder) else []
    files = [name for name in files if name.endswith(".txt")]
    if split is None and not files:
        return None
    wanted = split or DEFAULT_SPLIT
    ending = f"_{wanted}.txt"
    by_class = {name.removesuffix(ending): name for name in files if name.endswith(ending)}
    listed = f"{wanted}.txt" in files
    if not listed and not by_class:
        others = sorted({Path(name).stem.rpartition("_")[2] for name in files})
        hint = f"choose one of {', '.join(others[:10])}" if others else "leave it out to read all"
        fail(folder, f"no {wanted}.txt and no CLASS{ending} in it; {hint} with --split")
    classes = {name: _read_class(folder / file) for name, file in sorted(by_class.items())}
    if listed:
        first = folder / f"{wanted}.txt"
        images = set(_read_list(first))
    else:
        first = folder / next(iter(by_class.values()))
        images = set(next(iter(classes.values())))
    if not images:
        fail(first, "no image in it, expected one per row; unpack the image sets again")
    for name, entries in classes.items():
        _check_same(folder / by_class[name], first, entries, images)
    return ImageSet(wanted, sorted(images), classes)


def _read_list(path: Path) -> list[str]:
    images = []
    for row, line in enumerate(read_text(path, "a list of images").splitlines(), start=1):
        if image := line.strip():
            check_image(path, f"row {row}", image)
            images.append(image)
    return images


def _read_class(path: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for row, line in enumerate(read_text(path, "images and 1, -1 or 0").splitlines(), start=1):
        if not line.strip():
            continue
        image, value = line.rsplit(maxsplit=1) if len(line.split()) > 1 else (line.strip(), "")
        image = image.strip()
        check_image(path, f"row {row}", image)
        if value not in CELLS:
            fail(
                path,
                f"row {row}, image {image!r}: got {value[:60]!r}, expected 1, -1 or 0 (only "
                "difficult objects); correct it",
            )
        earlier = entries.setdefault(image, Entry(CELLS[value], row))
        if earlier.cell != CELLS[value]:
            fail(
                path,
                f"row {row}, image {image!r}: got {value}, but row {earlier.row} says otherwise; "
                "keep the right one",
            )
    return entries


def _check_same(path: Path, first: Path, entries: dict[str, Entry], images: set[str]) -> None:
    if foreign := entries.keys() - images:
        image = min(foreign)
        fail(
            path,
            f"row {entries[image].row}: image {image!r} is not in {first.name}; both have to list "
            "the same images, so add or remove it",
        )
    if absent := images - entries.keys():
        fail(
            path,
            f"no row for image {min(absent)!r}, which {first.name} lists; add one, with 0 if it is "
            "unknown",
        )
