"""python -m pipeline.readers voc ROOT --out labels.csv: a label table of a PASCAL VOC folder.

One row per image, one column per class. What counts as true:

* ``ImageSets/Main/CLASS_SPLIT.txt`` where there are such files: 1 is 1, -1 is 0, and 0, which says
  that all objects of the class are difficult to see, is unknown.
* ``Annotations/IMAGE.xml`` else: an object that is not difficult gives 1, none gives 0, only
  difficult ones give unknown.
* Where both are there, the first serves, and the second must agree wherever an image has one.

Layout: http://host.robots.ox.ac.uk/pascal/VOC/voc2007/devkit_doc_07-Jun-2007.pdf
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.image_files import SUFFIXES
from pipeline.errors import fail, run
from pipeline.readers import table, voc_annotations, voc_sets
from pipeline.readers.voc_sets import ImageSet

SETS = "sets"
ANNOTATIONS = "annotations"
_VALUES = {cell: value for value, cell in voc_sets.CELLS.items()}

Annotations = dict[str, dict[str, bool]]
"""Image without suffix -> class -> whether an object of it is not difficult."""


@dataclass(frozen=True)
class Reading:
    """The table, what its cells come from, and how many of its images JPEGImages lacks."""

    table: table.Table
    truth: str
    missing: int


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.readers voc",
        description="Write the label table of a PASCAL VOC folder: ImageSets/Main where it has a "
        "file per class, else Annotations; where both are there, they must agree.",
    )
    parser.add_argument("root", metavar="ROOT", type=Path, help="such as VOCdevkit/VOC2007")
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="a .csv file")
    parser.add_argument(
        "--split",
        help="of ImageSets/Main (default: trainval; without ImageSets/Main every annotation)",
    )
    parser.add_argument(
        "--truth", choices=(SETS, ANNOTATIONS), help="read only these and compare nothing"
    )
    options = parser.parse_args(arguments)
    table.check_out(options.out, options.root)
    reading = read(options.root, options.split, options.truth)
    table.write(reading.table, options.out)
    command = table.experiment(
        {"data.labels": options.out, "data.images": options.root / "JPEGImages"}
    )
    table.say(
        f"{options.out}: {reading.table.summary()}, from {reading.truth}; {reading.missing} images "
        f"not in JPEGImages; next: {command}"
    )


def read(root: str | Path, split: str | None = None, truth: str | None = None) -> Reading:
    """The label table of a folder, rows by image name, columns by class name.

    Parameters
    ----------
    root
        Has JPEGImages, and ImageSets/Main or Annotations or both.
    split
        Of ImageSets/Main; None takes trainval, or every annotation where ImageSets/Main is empty
        or absent.
    truth
        "sets" or "annotations" reads only those; None what is there, and compares.

    Raises
    ------
    PipelineError
        If a part is missing or damaged, or if the two sources disagree about an image and a class.
    """
    root = Path(root)
    _check_root(root)
    images_set = voc_sets.read(root, split)
    if truth == ANNOTATIONS and images_set is not None:
        images_set = ImageSet(images_set.split, images_set.images, {})
    from_sets = images_set is not None and bool(images_set.classes)
    if truth == SETS and not from_sets:
        ending = f"{images_set.split if images_set else voc_sets.DEFAULT_SPLIT}.txt"
        fail(root / voc_sets.FOLDER, f"no CLASS_{ending} in it, which --truth sets asks for")
    if images_set is not None and from_sets:
        images, classes = images_set.images, list(images_set.classes)
        found = {} if truth == SETS else _annotations(root, images, all_needed=False)
        _compare(root, images_set, found)
        compared = f", the same as in {len(found)} annotations" if found else " alone"
        source = f"{voc_sets.FOLDER}/CLASS_{images_set.split}.txt{compared}"
        cells = [[images_set.classes[name][image].cell for name in classes] for image in images]
    else:
        images = _annotated(root) if images_set is None else images_set.images
        found = _annotations(root, images, all_needed=True)
        classes = sorted(set().union(*found.values()))
        source = f"Annotations of {'all images' if images_set is None else images_set.split}"
        cells = [[_cell(found[image], name) for name in classes] for image in images]
    table.check_columns(root, classes)
    files = _image_files(root / "JPEGImages")
    rows = [
        [files.get(image, f"{image}.jpg"), *row] for image, row in zip(images, cells, strict=True)
    ]
    missing = sum(image not in files for image in images)
    return Reading(table.Table(classes, rows), source, missing)


def _check_root(root: Path) -> None:
    if not table.is_folder(root):
        fail(root, "no such folder; expected a PASCAL VOC folder as VOCdevkit/VOC2007")
    parts = ("JPEGImages", voc_sets.FOLDER, "Annotations")
    if not any(table.is_folder(root / part) for part in parts):
        inner = [
            name for name in table.list_folder(root) if table.is_folder(root / name / "JPEGImages")
        ]
        hint = f"did you mean {root / inner[0]}?" if inner else "give the folder that has them"
        fail(root, f"neither JPEGImages nor ImageSets/Main nor Annotations in it; {hint}")
    if not table.is_folder(root / "JPEGImages"):
        fail(root, "no folder JPEGImages in it; unpack the images, too, or link their folder")


def _image_files(folder: Path) -> dict[str, str]:
    """Names without suffix -> names of the images in ``folder``."""
    files: dict[str, str] = {}
    for name in table.list_folder(folder):
        path = Path(name)
        if path.suffix.lower() not in SUFFIXES:
            continue
        if path.stem in files:
            fail(folder, f"both {files[path.stem]} and {name} in it; keep the one that is meant")
        files[path.stem] = name
    return files


def _annotated(root: Path) -> list[str]:
    folder = root / "Annotations"
    if not table.is_folder(folder):
        fail(root, "no files in ImageSets/Main and no Annotations in it; unpack one of them")
    names = [Path(name) for name in table.list_folder(folder)]
    images = [name.stem for name in names if name.suffix == ".xml"]
    if not images:
        fail(folder, "no .xml file in it, expected one per image; unpack the annotations again")
    for image in images:
        table.check_image(folder, "file name", image)
    return sorted(images)


def _annotations(root: Path, images: list[str], all_needed: bool) -> Annotations:
    folder = root / "Annotations"
    there = set(table.list_folder(folder)) if table.is_folder(folder) else set()
    absent = [image for image in images if f"{image}.xml" not in there]
    if absent and all_needed:
        more = f" ({len(absent) - 1} more are missing)" if len(absent) > 1 else ""
        fail(
            folder / f"{absent[0]}.xml",
            f"no such file{more}, and no file per class in {voc_sets.FOLDER}, expected one of "
            "them; unpack the annotations, or leave the image out of the split's list",
        )
    known = [image for image in images if f"{image}.xml" in there]
    return {image: voc_annotations.read(folder / f"{image}.xml") for image in known}


def _cell(found: dict[str, bool], name: str) -> str:
    if name not in found:
        return "0"
    return "1" if found[name] else ""


def _compare(root: Path, image_set: ImageSet, annotations: Annotations) -> None:
    advice = f"correct one of them, or read one only with --truth {SETS} or {ANNOTATIONS}"
    for image, found in annotations.items():
        if foreign := sorted(found.keys() - image_set.classes.keys()):
            fail(
                root / "Annotations" / f"{image}.xml",
                f"image {image!r} has an object of class {foreign[0]!r}, but there is no "
                f"{foreign[0]}_{image_set.split}.txt in {voc_sets.FOLDER}; {advice}",
            )
    wrong = [
        (image, name)
        for image, found in annotations.items()
        for name, entries in image_set.classes.items()
        if entries[image].cell != _cell(found, name)
    ]
    if wrong:
        image, name = wrong[0]
        entry = image_set.classes[name][image]
        other = _VALUES[_cell(annotations[image], name)]
        more = f" ({len(wrong) - 1} more such cells follow)" if len(wrong) > 1 else ""
        fail(
            root / voc_sets.FOLDER / f"{name}_{image_set.split}.txt",
            f"row {entry.row}: image {image!r}, class {name!r}: got {_VALUES[entry.cell]}, but "
            f"Annotations/{image}.xml means {other}{more}; {advice}",
        )


if __name__ == "__main__":
    run(main)
