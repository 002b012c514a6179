"""Hugging Face's ImageFolder: metadata.jsonl with a nullable column per attribute, its
probability and its source.

https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, fail
from pipeline.writers.cells import (
    UNKNOWN,
    VERIFIED,
    Outgoing,
    Returned,
    binary,
    copy_image,
    files,
)

NAME = "metadata.jsonl"
IMAGES = "images"
CARD = f"""---
configs:
- config_name: default
  data_files:
  - split: full
    path:
    - {NAME}
    - {IMAGES}/**
---
"""


def write(table: Outgoing, folder: Path) -> str:
    """metadata.jsonl, README.md that says so to the library, and a copy of each picture.

    One file for all splits, with a column of them: the library takes the type of a column from its
    values, and refuses splits of which one has none. README.md names the files, since it would take
    a picture called test-1.jpg for one of a split.

    Raises
    ------
    PipelineError
        If two columns would have the same name, or a picture is not there any more.
    """
    columns = ["file_name", "split", *(one for name in table.values for one in _columns(name))]
    if twice := [one for one in columns if columns.count(one) > 1]:
        raise PipelineError(f"two columns {twice[0]!r}; rename an attribute")
    rows = []
    for image, cells in table.by_image:
        copy_image(table, image, folder / IMAGES / image)
        row: dict[str, Any] = {"file_name": f"{IMAGES}/{image}", "split": table.split[image]}
        for cell in cells:
            p = float(cell["probability"])
            own = _value(cell["value"], binary(table.values[cell["attribute"]]))
            source = None if cell["state"] == UNKNOWN else cell["state"]
            found = (own, None if p != p else p, source)
            row |= dict(zip(_columns(cell["attribute"]), found, strict=True))
        rows.append(json.dumps(row, ensure_ascii=False))
    (folder / NAME).write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return "datasets.load_dataset('{out}', split='full')"


def read(path: Path, table: Outgoing) -> Iterator[Returned]:
    """The columns of each line; a cell whose source is `VERIFIED` is a judgement.

    Raises
    ------
    PipelineError
        If a line is no JSON object with file_name.
    """
    for file in files(path, NAME):
        lines = file.read_text(encoding="utf-8").splitlines()
        if not lines:
            fail(file, "an empty file, expected a line per image")
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                image = row["file_name"].removeprefix(f"{IMAGES}/")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                fail(file, f"row {number}: not a JSON object with file_name ({error!r})")
            for name in table.values:
                column, _, source = _columns(name)
                if column in row:
                    value = "" if row[column] is None else str(row[column])
                    yield Returned(image, name, value, judged=row.get(source) == VERIFIED)


def _columns(name: str) -> tuple[str, str, str]:
    return name, f"{name}_probability", f"{name}_source"


def _value(text: str, is_binary: bool) -> str | int | None:
    if not text:
        return None
    return int(text) if is_binary else text
