"""FiftyOneImageClassificationDataset: several classifications per image, ATTRIBUTE=VALUE.

https://docs.voxel51.com/user_guide/dataset_creation/datasets.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, fail
from pipeline.writers.cells import IMPUTED, UNKNOWN, VERIFIED, Outgoing, Returned, confidence

NAME = "labels.json"


def write(table: Outgoing, folder: Path) -> str:
    """labels.json; pictures stay where they are, and are named by their paths."""
    classes = [_label(n, value) for n, own in table.values.items() for value in [*own, UNKNOWN]]
    if twice := [one for one in classes if classes.count(one) > 1]:
        raise PipelineError(f"two labels {twice[0]!r}; rename the attribute or the category")
    labels = {
        str(table.folder / image): [_classification(table, cell) for cell in cells]
        for image, cells in table.by_image
    }
    text = json.dumps({"classes": classes, "labels": labels}, ensure_ascii=False, indent=1)
    (folder / NAME).write_text(f"{text}\n", encoding="utf-8")
    (folder / "data").mkdir()  # which FiftyOne asks for, even where it has to look elsewhere
    return (
        "fiftyone.Dataset.from_dir('{out}', "
        "dataset_type=fiftyone.types.FiftyOneImageClassificationDataset); export with "
        "include_confidence=True, include_attributes=True, abs_paths=True"
    )


def read(path: Path, table: Outgoing) -> Iterator[Returned]:
    """The classifications of each image; one whose state is `VERIFIED` is a judgement.

    Raises
    ------
    PipelineError
        If it is none, or exported without attributes.
    """
    try:
        labels: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["labels"]
        items = labels.items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fail(path, f"not a labels.json of FiftyOne ({error!r})")
    for key, given in items:
        for one in given or []:
            try:
                own = one["attributes"]
                image, name, state = own["image"], own["attribute"], own.get("state")
                value = str(one["label"]).removeprefix(_label(name, ""))
            except (KeyError, TypeError, AttributeError):
                fail(
                    path,
                    f"{key}: a label without image and attribute; export with "
                    "include_attributes=True, and edit labels rather than add any",
                )
            unknown = value == UNKNOWN
            yield Returned(image, name, "" if unknown else value, judged=state == VERIFIED)


def _label(attribute: str, value: str) -> str:
    return f"{attribute}={value}"


def _classification(table: Outgoing, cell: dict[str, Any]) -> dict[str, Any]:
    own = {"image": cell["image"], "attribute": cell["attribute"], "state": cell["state"]}
    made: dict[str, Any] = {
        "label": _label(cell["attribute"], cell["value"] or UNKNOWN),
        "attributes": own,
    }
    if cell["state"] == IMPUTED:
        made["confidence"] = confidence(cell, table.values[cell["attribute"]])
    return made
