"""What the page says of each attribute: what was known, what was filled, how far to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.data.categories import Attribute
from pipeline.data.labels import LabelTable
from pipeline.impute.learnable import LEAST, lacking
from pipeline.report import cells
from pipeline.report.cells import Trust
from pipeline.report.figures import Figure, Interval, Source, counted

LEARNABLE, NOT_LEARNABLE, TOO_FEW = "learnable", "not learnable", "too few labels"
"""The verdicts, in the words of the page."""


@dataclass(frozen=True)
class Sources:
    """The files that the page draws on: ``reports/`` attributes, categories, test, truth (of the
    demo) and, by name, those that are not always there; and the clean stage's counts."""

    counts: Source
    attributes: Source
    categories: Source
    test: Source
    truth: Source


@dataclass(frozen=True)
class Summary:
    """One attribute.

    anchor : its place in the page.
    categorical : whether it has one of several values.
    counts : known cells as (value, how many): of 1 and 0, or of the values by frequency.
    unknown : cells without a label.
    verdict : `LEARNABLE`, `NOT_LEARNABLE` or `TOO_FEW`.
    reason : why, a sentence; empty for `LEARNABLE`.
    accuracy : expected of its filled cells.
    majority : share of the most frequent value among its known cells.
    true : accuracy against the labels that a demo holds back; undefined for any other data.
    known_auc : how well known cells are ranked by scores that have not seen them.
    """

    name: str
    anchor: str
    categorical: bool
    counts: tuple[tuple[str, int], ...]
    unknown: int
    trust: Trust
    verdict: str
    reason: str
    accuracy: Interval
    majority: Figure
    true: Interval
    known_auc: Interval
    missing_at_random: bool

    @property
    def known(self) -> int:
        """Cells with a label."""
        return sum(number for _, number in self.counts)

    @property
    def learnable(self) -> bool:
        """Whether its filled cells are more than a guess."""
        return self.verdict == LEARNABLE


def summaries(table: LabelTable, filled: pd.DataFrame, sources: Sources) -> list[Summary]:
    """A `Summary` of each attribute of the clean ``table``, in its order; ``filled`` has the
    columns of `cells.COLUMNS`."""
    by_name = {str(name): own for name, own in filled.groupby("attribute", sort=False)}
    training = np.array(table.split) == "train"
    found = []
    for place, one in enumerate(table.layout):
        own = by_name.get(one.name, filled.iloc[:0])
        counts = _counts(table, one)
        known = sum(number for _, number in counts)
        verdict, reason = _verdict(table, one, training, sources)
        source = sources.categories if one.values else sources.attributes
        most = max((number for _, number in counts), default=0)
        found.append(
            Summary(
                name=one.name,
                anchor=f"attribute-{place + 1}",
                categorical=bool(one.values),
                counts=counts,
                unknown=len(table.images) - known,
                trust=cells.trust(own),
                verdict=verdict,
                reason=reason,
                accuracy=source.interval(one.name, "expected_accuracy"),
                majority=counted(most / known if known else math.nan, "percent"),
                true=sources.truth.interval(one.name, "accuracy"),
                known_auc=sources.attributes.interval(one.name, "auc", "score"),
                missing_at_random=sources.attributes.text(one.name, "missing_at_random") != "no",
            )
        )
    return found


def _counts(table: LabelTable, one: Attribute) -> tuple[tuple[str, int], ...]:
    own = table.cells[one.name]
    if not one.values:
        return ("1", int((own == 1).sum())), ("0", int((own == 0).sum()))
    frequency = pd.Series(own[own != ""]).value_counts(sort=False)
    ordered = sorted(frequency.items(), key=lambda item: (-item[1], str(item[0])))
    return tuple((str(value), int(number)) for value, number in ordered)


def _verdict(
    table: LabelTable, one: Attribute, training: np.ndarray, sources: Sources
) -> tuple[str, str]:
    if one.values:
        if sources.categories.text(one.name, "learnable") == "yes":
            return LEARNABLE, ""
        return NOT_LEARNABLE, (
            "None of its values can be told from chance by the pictures or the other labels: the "
            "filled cells are the most frequent value."
        )
    if sources.attributes.text(one.name, "learnable") == "yes":
        return LEARNABLE, ""
    if few := lacking(table.values[training, one.start]):
        value, number = few
        what = "positives" if value else "negatives"
        return TOO_FEW, (
            f"{number} known {what} among the training images, {LEAST} needed to test whether it "
            "can be learned. Its filled cells follow the few labels that there are."
        )
    return NOT_LEARNABLE, (
        "Neither the pictures nor the other labels tell it significantly better than chance: the "
        "filled cells are a guess at how frequent it is."
    )
