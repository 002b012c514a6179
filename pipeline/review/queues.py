"""Which cells to look at, and in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.data.filled_table import FilledTable
from pipeline.impute.learnable import LEAST, lacking

RANDOM = 100
"""Cells of the random sample: its share of right cells is then known to within a tenth."""


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


def _doubtful(lists: Lists) -> pd.DataFrame:
    return _reviewed(lists, "doubtful")


def _random(lists: Lists) -> pd.DataFrame:
    if "queue" in lists.review:
        return _reviewed(lists, "audit")
    # A hash of the cell: the sample stays the same when answered cells leave the table.
    cells = lists.table.provenance
    names = cells["image"] + "\0" + cells["attribute"]
    order = np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names])
    return cells.iloc[order[:RANDOM]].assign(reason="drawn by chance")


def _reviewed(lists: Lists, queue: str) -> pd.DataFrame:
    listed = lists.review
    if "queue" in listed:
        listed = listed[listed["queue"] == queue]
    own = [c for c in ("image", "attribute", "reason", "listed_probability") if c in listed]
    return listed[own].merge(lists.table.provenance, on=["image", "attribute"])


def _few(lists: Lists) -> pd.DataFrame:
    table = lists.table
    training = np.array(table.given.split) == "train"
    found = [table.provenance.head(0).assign(reason="")]
    for one in table.given.layout:
        few = None if one.values else lacking(table.given.values[training, one.start])
        if few is not None:
            value, count = few
            own = table.provenance[table.provenance["attribute"] == one.name]
            likely = own.sort_values("probability", ascending=not value, kind="stable")
            reason = f"{count} known cells are {value}, {LEAST} needed; likeliest first"
            found.append(likely.assign(reason=reason))
    return pd.concat(found[1:] or found)


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
    "doubtful": Queue("Doubtful cells", "filled cells where a look is worth most", _doubtful),
    "few": Queue(
        "Too few labels", "the likeliest ones of a class with too few labels to learn from", _few
    ),
    "suspects": Queue("Suspect labels", "known labels that are probably wrong", _suspects),
    "audit": Queue(
        "Random sample", "filled cells drawn by chance: are they as right as promised?", _random
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
