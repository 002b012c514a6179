"""Image-level labels of Open Images: known cells as verified by people, filled ones as a machine's.

https://storage.googleapis.com/openimages/web/factsfigures_v7.html: ImageID, Source, LabelName,
Confidence, which is 0 or 1 of a verified label and between of a machine's. An unknown cell has no
line, and no line is no 0.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import fail
from pipeline.writers.cells import IMPUTED, KNOWN, Outgoing, Returned, binary, files, write_rows

HEADER = ("ImageID", "Source", "LabelName", "Confidence")
MACHINE, PERSON = "machine", "verification"
SUBSETS = {"train": "train", "val": "validation", "test": "test"}
ANNOTATIONS = "annotations"


def write(table: Outgoing, folder: Path) -> str:
    """annotations/: class descriptions, image ids, and labels by subset and by who says so."""
    out = folder / ANNOTATIONS
    names = {label: label for label, _, _ in _labels(table)}
    write_rows(out / "class-descriptions.csv", names.items())
    ids = [(image, SUBSETS[split]) for image, split in table.split.items()]
    write_rows(out / "image_ids_and_rotation.csv", [("ImageID", "Subset"), *ids])
    for split, subset in SUBSETS.items():
        for state, source, who in ((KNOWN, PERSON, "human"), (IMPUTED, MACHINE, "machine")):
            rows: list[tuple[object, ...]] = [HEADER]
            for image, cells in table.by_image:
                if table.split[image] != split:
                    continue
                for cell in cells:
                    if cell["state"] == state:
                        label, p = _line(table, cell)
                        rows.append((image, source, label, p))
            write_rows(out / f"{subset}-annotations-{who}-imagelabels.csv", rows)
    return "a label without a line is unknown"


def read(path: Path, table: Outgoing) -> Iterator[Returned]:
    """The lines that people verified; a machine's are no judgement. That a cell is not of one of
    several categories does not say of which it is.

    Raises
    ------
    PipelineError
        If a file has other columns, labels or confidences.
    """
    places = {label: (name, value) for label, name, value in _labels(table)}
    sent = {
        (cell["image"], cell["attribute"]): cell["value"]
        for cell in table.rows
        if cell["state"] == KNOWN
    }
    for file in files(path, "*imagelabels.csv"):
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if not {*HEADER} <= {*(reader.fieldnames or ())}:
                fail(file, f"expected the columns {', '.join(HEADER)}")
            for line in reader:
                if line["Source"] == MACHINE:
                    continue
                where = f"row {reader.line_num}"
                if line["LabelName"] not in places:
                    fail(file, f"{where}: no label {line['LabelName']!r} went out")
                name, value = places[line["LabelName"]]
                try:
                    present = {0.0: False, 1.0: True}[float(line["Confidence"])]
                except (KeyError, ValueError, TypeError):
                    fail(file, f"{where}: got {line['Confidence']!r}, expected 1 or 0")
                if value and not present:
                    continue
                own = value or str(int(present))
                known = sent.get((line["ImageID"], name))
                yield Returned(line["ImageID"], name, own, judged=known != own)


def _labels(table: Outgoing) -> Iterator[tuple[str, str, str]]:
    """Label, attribute, and its category; empty of a binary one."""
    for name, values in table.values.items():
        if binary(values):
            yield name, name, ""
        else:
            yield from ((f"{name}={value}", name, value) for value in values)


def _line(table: Outgoing, cell: dict[str, str]) -> tuple[str, object]:
    if not binary(table.values[cell["attribute"]]):
        label = f"{cell['attribute']}={cell['value']}"
        return label, 1 if cell["state"] == KNOWN else cell["probability"]
    return cell["attribute"], cell["value"] if cell["state"] == KNOWN else cell["probability"]
