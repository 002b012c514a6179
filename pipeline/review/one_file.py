"""The page as one file without a server, with its pictures, that hands back corrections."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pipeline.data import answers, corrections, jpegs
from pipeline.data.images import ImageError
from pipeline.impute.review import AUDIT, DOUBTFUL, TOO_FEW
from pipeline.review.pictures import Pictures
from pipeline.review.queues import QUEUES
from pipeline.review.session import Session

BYTES = 5_000_000
"""Of the file at most, so that it goes by mail."""
SIDE = 400
"""Longest side of its pictures in pixels."""
GIVEN = (DOUBTFUL, TOO_FEW, "suspects", AUDIT)
"""Queues whose cells it holds, as far as they fit; the others are of the same cells."""


def start(session: Session, pictures: Pictures, most: int) -> dict[str, Any]:
    """What the page begins with: cells without an answer of the queues, the first ones of each
    before the later ones of any, and their pictures.

    Parameters
    ----------
    most : cells at most; fewer where their pictures would take more than `BYTES`.
    """
    parts = {name: session.cells(name, most=most)["cells"] for name in GIVEN}
    turns = [
        cells[place]
        for place in range(max(map(len, parts.values())))
        for cells in parts.values()
        if place < len(cells)
    ]
    chosen: list[dict[str, Any]] = []
    shown: dict[int, str] = {}
    room = BYTES
    for cell in turns[:most]:
        picture = "" if cell["row"] in shown else _data(pictures, cell["row"])
        room -= len(picture) + len(json.dumps(cell))
        if room < 0:
            break
        chosen.append(cell)
        shown.setdefault(cell["row"], picture)
    names = {cell["queue"] for cell in chosen}
    told = session.correctness
    content = {
        "cells": chosen,
        "pictures": shown,
        "queues": [
            {"name": name, "title": queue.title, "about": queue.about, "left": 0}
            for name, queue in QUEUES.items()
            if name in names or name not in GIVEN
        ],
        "attributes": session.attributes(),
        "expected": session.expected(session.answered()),
        "filled": len(told),
        "earlier": _earlier(session),
    }
    # Answers are kept in the browser under this name: another run's file begins with none.
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"file": digest[:16], **content}


def _data(pictures: Pictures, row: int) -> str:
    try:
        return jpegs.embedded(pictures.jpeg(row, SIDE))
    except ImageError:
        return ""


def _earlier(session: Session) -> list[list[str]]:
    """The answers of the file of corrections as rows below one header."""
    header = [*corrections.COLUMNS, *corrections.KEPT]
    rows = []
    for one in answers.from_file(session.path, session.reading):
        told = {"image": one.image, "attribute": one.attribute, "value": one.value, **one.further}
        rows.append([told.get(name) or "" for name in header])
    return [header, *rows] if rows else []
