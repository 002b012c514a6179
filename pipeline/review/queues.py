"""Which cells to look at, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.data.filled_table import FilledTable
from pipeline.impute.fill import PRIOR
from pipeline.impute.review import AUDIT, DOUBTFUL, TOO_FEW
from pipeline.report.cells import LIKELY


@dataclass(frozen=True, eq=False)
class Lists:
    """What a run says is worth a look.

    table : the run's; review, suspects : its lists of filled cells and of known labels that may be
        wrong, in order.
    """

    table: FilledTable
    review: pd.DataFrame
    suspects: pd.DataFrame


@dataclass(frozen=True)
class Choice:
    """What a queue is narrowed to; empty for all."""

    attribute: str = ""
    value: str = ""
    image: str = ""


ALL = Choice()


@dataclass(frozen=True)
class Queue:
    """Cells to look at.

    title, about : for people.
    cells : first ones first, with image, attribute, value (filled in, or the label), probability,
        expected_correctness, evidence, reason and listed_probability, with which the cell came to
        be in the queue; NaN where that is nobody's chance.
    """

    title: str
    about: str
    cells: Callable[[Lists], pd.DataFrame]


def _listed(queue: str) -> Callable[[Lists], pd.DataFrame]:
    def listed(lists: Lists) -> pd.DataFrame:
        own = lists.review[lists.review["queue"] == queue]
        own = own[["image", "attribute", "reason", "listed_probability"]]
        return own.merge(lists.table.provenance, on=["image", "attribute"])

    return listed


def _doubtful(lists: Lists) -> pd.DataFrame:
    """Those that the list of a run asks for, then all others that it calls doubtful; guesses at
    attributes that nothing tells of are only asked for one attribute at a time."""
    listed = _listed(DOUBTFUL)(lists)
    cells = lists.table.provenance
    other = cells[(cells["expected_correctness"] < LIKELY) & (cells["evidence"] != PRIOR)]
    names = ["image", "attribute"]
    taken = pd.MultiIndex.from_frame(lists.review[names])
    other = other[~pd.MultiIndex.from_frame(other[names]).isin(taken)]
    other = other.sort_values("expected_correctness", kind="stable")
    other = other.assign(reason=f"below {100 * LIKELY:.0f} %", listed_probability=1.0)
    return pd.concat([listed, other], ignore_index=True)


def _suspects(lists: Lists) -> pd.DataFrame:
    listed = lists.suspects
    return listed.assign(
        value=listed["label"],
        probability=np.nan,
        expected_correctness=1 - listed["wrong_probability"],
        evidence="",
    )


def _all(lists: Lists) -> pd.DataFrame:
    cells = lists.table.provenance.sort_values("expected_correctness", kind="stable")
    return cells.assign(reason="most doubtful first")


def _by_image(lists: Lists) -> pd.DataFrame:
    cells = lists.table.provenance
    doubt = (1 - cells["expected_correctness"]).groupby(cells["image"]).transform("sum")
    ordered = cells.assign(_doubt=-doubt.round(9)).sort_values(
        ["_doubt", "image", "expected_correctness"], kind="stable"
    )
    return ordered.drop(columns="_doubt").assign(reason="all filled cells of an image")


QUEUES = {
    DOUBTFUL: Queue("Doubtful cells", "filled cells where a look is worth most", _doubtful),
    TOO_FEW: Queue(
        "Too few labels", "likely ones of a class with too few labels to learn", _listed(TOO_FEW)
    ),
    "suspects": Queue("Suspect labels", "known labels that are probably wrong", _suspects),
    AUDIT: Queue(
        "Random sample", "cells drawn by chance: are they as right as promised?", _listed(AUDIT)
    ),
    "attribute": Queue("One attribute", "all its filled cells, most doubtful first", _all),
    "image": Queue("By image", "each image with all its filled cells", _by_image),
}
"""By the name that a line of corrections keeps."""


def cells(lists: Lists, name: str, choice: Choice = ALL) -> pd.DataFrame:
    """The cells of queue ``name`` that ``choice`` leaves, numbered from 0."""
    found = QUEUES[name].cells(lists)
    if "listed_probability" not in found:
        found = found.assign(listed_probability=np.nan)
    for column, wanted in vars(choice).items():
        if wanted:
            found = found[found[column] == wanted]
    return found.reset_index(drop=True)
