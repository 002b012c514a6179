"""What the page says of each attribute: what was known, what was filled, how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.data.categories import Attribute
from pipeline.data.labels import LabelTable
from pipeline.data.verdicts import IN_WORDS, LEARNABLE, TOO_FEW
from pipeline.impute.learnable import LEAST
from pipeline.report import cells
from pipeline.report.cells import Trust
from pipeline.report.figures import Figure, Interval, Source, counted, plural

NAMED = 3
"""Images to look at first that a reason names."""
EMPTY = "Its unknown cells stay empty."


@dataclass(frozen=True)
class Sources:
    """The files that the page draws on: ``reports/`` attributes, categories, test, baselines, truth
    (of the demo); and the clean stage's counts."""

    counts: Source
    attributes: Source
    categories: Source
    test: Source
    baselines: Source
    truth: Source


@dataclass(frozen=True)
class Summary:
    """One attribute.

    anchor : its place in the page.
    categorical : whether it has one of several values.
    counts : known cells as (value, how many): of 1 and 0, or of the values by frequency.
    unknown : cells without a label.
    verdict : of `pipeline.data.verdicts`.
    reason : why, in sentences; empty where it is learnable.
    sought : images that are likeliest to be of the class that too few labels are of.
    accuracy : expected of its filled cells.
    majority : share of the most frequent value among its known cells.
    true : accuracy against the labels that a demo holds back; undefined for any other data.
    withheld : why its cells can't be filled, if there is a reason but doubt.
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
    sought: tuple[str, ...]
    accuracy: Interval
    majority: Figure
    true: Interval
    known_auc: Interval
    missing_at_random: bool
    withheld: str = ""

    @property
    def known(self) -> int:
        """Cells with a label."""
        return sum(number for _, number in self.counts)

    @property
    def verdict_in_words(self) -> str:
        """The verdict as the page has it."""
        return IN_WORDS[self.verdict]

    @property
    def learnable(self) -> bool:
        """Whether its filled cells are more than a guess."""
        return self.verdict == LEARNABLE


def summaries(
    table: LabelTable,
    filled: pd.DataFrame,
    review: pd.DataFrame,
    sources: Sources,
    withheld: Mapping[str, str] | None = None,
) -> list[Summary]:
    """A `Summary` of each attribute of the clean ``table``, in its order.

    Parameters
    ----------
    filled : `cells.COLUMNS` of every cell that was unknown; review : the review list.
    withheld : attribute -> why its cells, or some of them, can't be filled.
    """
    by_name = {str(name): own for name, own in filled.groupby("attribute", sort=False)}
    listed = {str(name): own["image"].tolist() for name, own in review.groupby("attribute")}
    found = []
    for place, one in enumerate(table.layout):
        own = by_name.get(one.name, filled.iloc[:0])
        counts = _counts(table, one)
        known = sum(number for _, number in counts)
        source = sources.categories if one.values else sources.attributes
        verdict = source.text(one.name, "learnable")
        sought = tuple(listed.get(one.name, ())) if verdict == TOO_FEW else ()
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
                reason=_reason(one, verdict, sources, sought, bool(own["value"].ne("").any())),
                withheld=(withheld or {}).get(one.name, ""),
                sought=sought,
                accuracy=source.interval(one.name, "expected_accuracy"),
                majority=counted(most / known if known else math.nan, "percent"),
                true=sources.truth.interval(one.name, "accuracy"),
                known_auc=sources.attributes.interval(one.name, "auc", "score"),
                missing_at_random=all(
                    sources.attributes.text(column, "missing_at_random") != "no"
                    for column in one.columns
                ),
            )
        )
    return found


def degrees(attributes: Sequence[Summary]) -> dict[str, int]:
    """Cells of all attributes by trust: safe, likely and doubtful ones of learnable attributes;
    guess, those of the others; empty, those that were not filled."""
    told = [one.trust for one in attributes if one.learnable]
    return {
        "safe": sum(one.safe for one in told),
        "likely": sum(one.likely for one in told),
        "doubtful": sum(one.doubtful for one in told),
        "guess": sum(one.trust.filled for one in attributes if not one.learnable),
        "empty": sum(one.trust.empty for one in attributes),
    }


def _counts(table: LabelTable, one: Attribute) -> tuple[tuple[str, int], ...]:
    own = table.cells[one.name]
    if not one.values:
        return ("1", int((own == 1).sum())), ("0", int((own == 0).sum()))
    frequency = pd.Series(own[own != ""]).value_counts(sort=False)
    ordered = sorted(frequency.items(), key=lambda item: (-item[1], str(item[0])))
    return tuple((str(value), int(number)) for value, number in ordered)


def _reason(
    one: Attribute, verdict: str, sources: Sources, sought: Sequence[str], filled: bool
) -> str:
    if verdict == LEARNABLE:
        return ""
    promised = "Nothing is promised of its filled cells." if filled else EMPTY
    look = f" Look first at {', '.join(sought[:NAMED])}." if sought else ""
    if verdict == TOO_FEW and one.values:
        return (
            f"None of its values has {LEAST} known labels among the training images, which a test "
            f"of whether anything tells it needs. {promised}{look}"
        )
    if verdict == TOO_FEW:
        counts = {
            what: sources.attributes.figure(one.name, what).value
            for what in ("positive", "negative")
        }
        rarer = min(counts, key=lambda what: counts[what])
        return (
            f"{plural(int(counts[rarer]), f'known {rarer}')} among the training images, {LEAST} "
            f"needed to test whether anything tells it. {promised}{look}"
        )
    if one.values:
        taken = "Filled cells are the most frequent value." if filled else EMPTY
        return f"None of its values can be told from chance by pictures or other labels. {taken}"
    taken = "Filled cells are a guess at how frequent it is." if filled else EMPTY
    return (
        "Neither the pictures nor the other labels tell it significantly better than chance. "
        f"{taken}"
    )
