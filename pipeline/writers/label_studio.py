"""Label Studio's JSON: a task per cell that was not known, its filled value as a prediction.

Sorted by prediction score, tasks come most doubtful first. https://labelstud.io/guide/tasks
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from pipeline.errors import fail
from pipeline.writers.cells import KNOWN, Outgoing, Returned, binary, confidence

CANT_TELL = "unknown"
MODEL = "fill-image-attributes"


def write(table: Outgoing, folder: Path) -> str:
    """tasks.json and config.xml of the binary attributes, and a pair for each categorical one."""
    groups = {"": [name for name, values in table.values.items() if binary(values)]}
    for name, values in table.values.items():
        if not binary(values):
            groups[f"{len(groups)}_{re.sub(r'[^A-Za-z0-9]+', '_', name)[:40]}."] = [name]
    for prefix, names in groups.items():
        if names:
            values = table.values[names[0]]
            cells = [one for one in table.rows if one["attribute"] in names]
            tasks = [_task(table, one) for one in cells if one["state"] != KNOWN]
            text = json.dumps(tasks, ensure_ascii=False, indent=1)
            (folder / f"{prefix}tasks.json").write_text(f"{text}\n", encoding="utf-8")
            (folder / f"{prefix}config.xml").write_text(config(values), encoding="utf-8")
    return (
        "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={table.folder.parent}"
    )


def config(values: Sequence[str]) -> str:
    """The labelling interface of cells that may be one of ``values``, a key for each."""
    view = ET.Element("View")
    ET.SubElement(view, "Header", value="$attribute")
    ET.SubElement(view, "Image", name="image", value="$image")
    choices = ET.SubElement(
        view, "Choices", name="value", toName="image", choice="single", required="true"
    )
    for place, value in enumerate(values):
        key = value if binary(values) else str(place + 1) if place < 9 else ""
        ET.SubElement(choices, "Choice", {"value": value} | ({"hotkey": key} if key else {}))
    if CANT_TELL not in values:
        ET.SubElement(choices, "Choice", value=CANT_TELL, hotkey="u")
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def read(path: Path, table: Outgoing) -> Iterator[Returned]:
    """The newest annotation of each task that was not cancelled; tasks without one are skipped.

    Raises
    ------
    PipelineError
        If it is no export of these tasks.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fail(path, f"not a JSON export of Label Studio ({error})")
    if not isinstance(tasks, list):
        fail(path, "expected a list of tasks; export as JSON")
    for place, task in enumerate(tasks):
        try:
            given = [one for one in task.get("annotations", []) if not one.get("was_cancelled")]
            given = [one for one in given if one["result"]]
            if given:
                newest = max(given, key=_when)
                value = newest["result"][0]["value"]["choices"][0]
                cell = task["data"]["image_name"], task["data"]["attribute"]
                listed = value in table.values.get(cell[1], ())
                yield Returned(*cell, value if listed or value != CANT_TELL else "", judged=True)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            fail(path, f"task {place + 1}: not one of these tasks ({error!r}); export as JSON")


def _when(annotation: dict[str, Any]) -> datetime:
    found = datetime.fromisoformat(annotation["updated_at"])
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _task(table: Outgoing, cell: dict[str, Any]) -> dict[str, Any]:
    place = quote(f"{table.folder.name}/{cell['image']}")
    sure = confidence(cell, table.values[cell["attribute"]])
    task: dict[str, Any] = {
        "data": {
            "image": f"/data/local-files/?d={place}",
            "cell": f"{cell['image']} {cell['attribute']}",
            "image_name": cell["image"],
            "attribute": cell["attribute"],
            "p": sure,
            "evidence": cell["evidence"],
        }
    }
    if sure is not None:
        result = {
            "from_name": "value",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [cell["value"]]},
        }
        task["predictions"] = [{"model_version": MODEL, "score": sure, "result": [result]}]
    return task
