"""What a run says at its end: which cells to trust, what is a guess, where all is, what next."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from pipeline.data.verdicts import TOO_FEW
from pipeline.report.attributes import NAMED, Summary, degrees
from pipeline.report.figures import plural

MOST = 8
"""Attributes that are named; the report has all."""
REVIEW = "python -m pipeline.review"
PREDICT = "python -m pipeline.predict FOLDER --out predictions.csv"
WIDTH = 79
"""Of a terminal that has no room to spare."""


def lines(
    attributes: Sequence[Summary],
    table: str,
    report: str,
    asked: int,
    warnings: Sequence[str] = (),
) -> list[str]:
    """Short lines for a terminal.

    Parameters
    ----------
    table, report : paths of the filled table and of the page.
    asked : cells that the review list asks people to look at.
    warnings : of the classifier, a sentence each.
    """
    number = degrees(attributes)
    safe, likely, doubtful = number["safe"], number["likely"], number["doubtful"]
    unknown = sum(number.values())
    width = len(str(max(safe, likely, doubtful)))
    said = [f"{unknown - number['empty']} of {plural(unknown, 'unknown cell')} filled"]
    if safe + likely + doubtful:
        said += [
            f"  {safe:>{width}} safe: each at least 99 % likely to be right",
            f"  {likely:>{width}} likely: 90 to 99 %",
            f"  {doubtful:>{width}} doubtful: below 90 %",
        ]
    reasons = [reason for one in attributes if (reason := _unfilled(one))]
    for line in (line for reason in reasons[:MOST] for line in reason):
        said += textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")
    if len(reasons) > MOST:
        said.append(f"  {len(reasons) - MOST} more such attributes: see the report")
    for warning in warnings:
        said += textwrap.wrap(f"warning: {warning}", WIDTH, subsequent_indent="  ")
    said += [f"table:  {table}", f"report: {report}"]
    said.append(f"next:   {REVIEW if asked else PREDICT}")
    if asked:
        said.append("        then dvc repro: answers are learned from")
    return said


def _unfilled(one: Summary) -> list[str]:
    """Why an attribute has cells that are guesses or were left empty; nothing where it has none."""
    cells = plural(one.unknown, "cell")
    if not one.unknown or (one.learnable and not one.trust.empty):
        return []
    if one.learnable:
        return [
            f"{one.name}: {one.trust.empty} of {cells} left empty: {one.withheld or 'too doubtful'}"
        ]
    what = "left empty" if one.trust.empty == one.unknown else "guessed"
    why = [f"{one.name}: {cells} {what}: {one.verdict_in_words}"]
    if one.verdict == TOO_FEW and one.sought:
        why.append(f"  look first at {', '.join(one.sought[:NAMED])}")
    return why
