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
    cells : rows of `FilledTable.provenance`, with a column ``reason``, first ones first.
    """

    title: str
    about: str
    cells: Callable[[FilledTable, pd.DataFrame], pd.DataFrame]


def _doubtful(table: FilledTable, review: pd.DataFrame) -> pd.DataFrame:
    listed = review[["image", "attribute", "reason"]]
    return listed.merge(table.provenance, on=["image", "attribute"], how="inner")


def _few(table: FilledTable, review: pd.DataFrame) -> pd.DataFrame:
    training = np.array(table.given.split) == "train"
    found = []
    for one in table.given.layout:
        few = None if one.values else lacking(table.given.values[training, one.start])
        if few is None:
            continue
        value, count = few
        own = table.provenance[table.provenance["attribute"] == one.name]
        likely = own.sort_values("probability", ascending=not value, kind="stable")
        reason = f"{count} known cells are {value:.0f}, {LEAST} needed; likeliest first"
        found.append(likely.assign(reason=reason))
    return pd.concat(found) if found else table.provenance.head(0).assign(reason="")


def _random(table: FilledTable, review: pd.DataFrame) -> pd.DataFrame:
    # A hash of the cell: the sample stays the same when answered cells leave the table.
    names = table.provenance["image"] + "\0" + table.provenance["attribute"]
    order = np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names])
    return table.provenance.iloc[order[:RANDOM]].assign(reason="drawn at random")


def _all(table: FilledTable, review: pd.DataFrame) -> pd.DataFrame:
    cells = table.provenance.sort_values("expected_correctness", kind="stable")
    return cells.assign(reason="most doubtful first")


def _by_image(table: FilledTable, review: pd.DataFrame) -> pd.DataFrame:
    cells = table.provenance
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
    "random": Queue(
        "Random sample", "filled cells drawn at random: how right is the table?", _random
    ),
    "attribute": Queue("One attribute", "all its filled cells, most doubtful first", _all),
    "image": Queue("By image", "each image with all its filled cells", _by_image),
}


def cells(
    table: FilledTable, review: pd.DataFrame, name: str, choice: Choice = ALL
) -> pd.DataFrame:
    """The cells of queue ``name`` that ``choice`` leaves.

    Parameters
    ----------
    review : image, attribute, reason of the cells most worth a look, in order.
    """
    found = QUEUES[name].cells(table, review)
    for column, wanted in vars(choice).items():
        if wanted:
            found = found[found[column] == wanted]
    return found
