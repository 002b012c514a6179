"""The cells that go out to another tool, and what comes back as answers."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.data import image_files, images
from pipeline.data.answers import CANT_TELL, Answer
from pipeline.data.filled_table import FilledTable
from pipeline.data.labels import CELLS
from pipeline.errors import PipelineError, fail

KNOWN, IMPUTED, UNKNOWN = "known", "imputed", "unknown"
"""States of a cell: with a given label, filled in, left empty."""
STATES = (KNOWN, IMPUTED, UNKNOWN)
VERIFIED = "verified"
"""State of a cell that a person has looked at in the other tool."""
COLUMNS = ("image", "attribute", "value", "state", "probability", "evidence")
SENT = "cells.csv"
"""Beside what goes out: the cells as they went, to tell later what a person changed."""


@dataclass(frozen=True, eq=False)
class Outgoing:
    """A filled table on its way to another tool.

    cells : one row per image and attribute with `COLUMNS`; value is empty and probability NaN where
        the cell is unknown. probability is that of 1, of a categorical attribute that of the value;
        NaN of known cells. evidence is what a filled value rests on.
    values : what the cells of each attribute may be.
    split : train, val or test of each image.
    folder : of the images, an absolute path.
    """

    cells: pd.DataFrame
    values: Mapping[str, Sequence[str]]
    split: Mapping[str, str]
    folder: Path

    @property
    def by_image(self) -> Iterable[tuple[str, list[dict[str, Any]]]]:
        """Each image with its cells, attribute by attribute."""
        width = len(self.values)
        for start in range(0, len(self.rows), width):
            yield self.rows[start]["image"], self.rows[start : start + width]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The cells as dictionaries."""
        return [{str(k): v for k, v in row.items()} for row in self.cells.to_dict("records")]


@dataclass(frozen=True)
class Returned:
    """A cell as it came back.

    value : empty for unknown. judged : whether a person says so; else it counts where it is not
        what went out.
    """

    image: str
    attribute: str
    value: str
    judged: bool = False


def outgoing(table: FilledTable, folder: Path) -> Outgoing:
    """All cells of ``table``, whose images are in ``folder``."""
    filled = table.all_filled
    frame = pd.DataFrame(
        {
            "image": [image for image in table.given.images for _ in table.values],
            "attribute": list(table.values) * len(table.given.images),
            "value": filled[list(table.values)].to_numpy().ravel(),
        }
    )
    known = (table.known[list(table.values)] != "").to_numpy().ravel()
    frame["state"] = [
        KNOWN if given else IMPUTED if value else UNKNOWN
        for given, value in zip(known, frame["value"], strict=True)
    ]
    own = table.provenance[["image", "attribute", "probability", "evidence"]]
    frame = frame.merge(own, on=["image", "attribute"], how="left", validate="one_to_one")
    frame["probability"] = frame["probability"].where(frame["state"] == IMPUTED)
    frame["evidence"] = frame["evidence"].where(frame["state"] == IMPUTED, "")
    split = dict(zip(table.given.images, table.given.split or [], strict=True))
    return Outgoing(frame[list(COLUMNS)], table.values, split, folder.absolute())


def confidence(cell: Mapping[str, object], values: Sequence[str]) -> float | None:
    """Probability of the value that was filled in; None of other cells."""
    p = float(str(cell["probability"]))
    if p != p:
        return None
    return round(1 - p, 6) if binary(values) and cell["value"] == "0" else p


def binary(values: Sequence[str]) -> bool:
    """Whether these are the values of a binary attribute."""
    return list(values) == ["1", "0"]


def answers(
    sent: pd.DataFrame, back: Iterable[Returned], values: Mapping[str, Sequence[str]], queue: str
) -> list[Answer]:
    """What people said: of each cell that came back judged, or other than it went.

    Parameters
    ----------
    sent : the cells as they went out, with image, attribute and value.
    values : what the cells of each attribute may be.
    queue : name of the tool, for the corrections.

    Raises
    ------
    PipelineError
        If a cell did not go out, or came back twice with two values.
    """
    went = {
        (image, name): value
        for image, name, value in sent[["image", "attribute", "value"]].itertuples(index=False)
    }
    found: dict[tuple[str, str], Answer] = {}
    for one in back:
        cell = one.image, one.attribute
        if cell not in went:
            raise PipelineError(
                f"image {one.image[:60]!r}, attribute {one.attribute[:60]!r}: no cell that went out"
            )
        value = spelled(one.value, values.get(one.attribute, ()))
        if not one.judged and value == went[cell]:
            continue
        given = Answer(*cell, value or CANT_TELL, further={"queue": queue})
        if found.setdefault(cell, given) != given:
            raise PipelineError(
                f"image {one.image!r}, attribute {one.attribute!r}: came back as "
                f"{found[cell].value!r} and as {given.value!r}; keep the right one"
            )
    return list(found.values())


def spelled(value: str, values: Sequence[str]) -> str:
    """A value as the table writes it: tools make 1.0 or true of 1."""
    number = CELLS.get(value.strip().lower()) if binary(values) else None
    if number is None:
        return value
    return "" if number != number else f"{number:.0f}"


def read_sent(folder: Path) -> pd.DataFrame:
    """The cells that went out into ``folder``, as text.

    Raises
    ------
    PipelineError
        If they are not there.
    """
    path = folder / SENT
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"{path}: can't be read; give the folder that the table went out into"
        ) from error
    if tuple(frame.columns) != COLUMNS:
        fail(path, f"expected the columns {', '.join(COLUMNS)}; was it edited?")
    return frame


def copy_image(outgoing: Outgoing, image: str, target: Path) -> None:
    """Put a copy of a picture at ``target``; a link would let the other tool change the picture.

    Raises
    ------
    PipelineError
        If it is not there any more.
    """
    try:
        source = image_files.resolve(outgoing.folder, image)
    except images.ImageError as error:
        raise PipelineError(f"{outgoing.folder / image}: {error}; run `dvc repro`") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def write_rows(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Rows as CSV with ``\\n`` line ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def files(path: Path, pattern: str) -> list[Path]:
    """``path`` itself, or the files in the folder ``path`` whose names fit.

    Raises
    ------
    PipelineError
        If there is none.
    """
    found = sorted(path.rglob(pattern)) if path.is_dir() else [path] if path.exists() else []
    if not found:
        raise PipelineError(f"{path}: no such file, or no {pattern} in that folder")
    return found
