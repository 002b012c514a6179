"""What each section of the page says, as values for its template."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.data.verdicts import NOT_LEARNABLE, TOO_FEW
from pipeline.impute.review import AUDIT
from pipeline.metrics import baselines
from pipeline.metrics.intervals import wilson_interval
from pipeline.report import cells
from pipeline.report.attributes import Sources, Summary, degrees
from pipeline.report.cells import LIKELY, SURE
from pipeline.report.figures import (
    Figure,
    Interval,
    Source,
    about,
    count,
    counted,
    listed,
    percent,
    plural,
)
from pipeline.report.findings import Findings

Pictures = Mapping[str, Mapping[str, str]]
"""Group of the page (`REVIEW`, `SUSPECT`, or an attribute's anchor) -> image -> address of its
thumbnail, as `thumbnails.within` makes them."""
REVIEW, SUSPECT = "review", "suspects"


@dataclass(frozen=True)
class Made:
    """How the page came about: params as (key, value), files as (path, what, MD5), versions."""

    params: Sequence[tuple[str, str]]
    files: Sequence[tuple[str, str, str]]
    machine: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Content:
    """All that the page tells.

    images : how many are in the table; splits : how many of them in each split.
    dropped, duplicates : of the clean stage; corrections : how many lines there are.
    attributes : a summary each; filled, held_out, review : frames of provenance.csv,
        held_out.csv and review.csv.
    findings : further tables; max_wrong : share of wrong cells that ``promises`` allows.
    metrics : of reports/metrics.json.
    """

    images: int
    splits: Mapping[str, int]
    dropped: pd.DataFrame
    duplicates: pd.DataFrame
    corrections: int
    attributes: Sequence[Summary]
    filled: pd.DataFrame
    held_out: pd.DataFrame
    review: pd.DataFrame
    findings: Findings
    max_wrong: float
    sources: Sources
    metrics: Mapping[str, Any]
    made: Made


def metric(metrics: Mapping[str, Any], dotted: str, style: str = "percent") -> Figure:
    """A figure of reports/metrics.json; undefined where the file leaves it out."""
    found: Any = metrics
    for key in dotted.split("."):
        found = found.get(key, math.nan) if isinstance(found, Mapping) else math.nan
    shown = counted(float(found), style)
    return Figure(shown.value, shown.text, "reports/metrics.json", "", dotted)


def asked(review: pd.DataFrame) -> int:
    """Cells of the review list that people should look at, but for those drawn by chance."""
    return int((review["queue"] != AUDIT).sum())


def answer(content: Content) -> dict[str, Any]:
    """What the page begins with: which cells can be used."""
    attributes = content.attributes
    guessed = [one for one in attributes if not one.learnable and one.trust.filled]
    told = [one.name for one in attributes if one.learnable]
    cell = content.filled[content.filled["attribute"].isin(told) & (content.filled["value"] != "")]
    right = cell["expected_correctness"].astype(float)
    number = degrees(attributes)
    filled = sum(number.values()) - number["empty"]
    wrong = {
        "safe": (1 - right[right >= SURE]).sum(),
        "likely": (1 - right[(right >= LIKELY) & (right < SURE)]).sum(),
        "doubtful": (1 - right[right < LIKELY]).sum(),
        "guess": sum(one.trust.wrong for one in guessed),
    }
    ranges = {
        "safe": "at least 99 %",
        "likely": "90 to 99 %",
        "doubtful": "less than 90 %",
    }
    return {
        "filled": filled,
        "filled_text": plural(filled, "unknown cell"),
        "empty": number["empty"],
        "images_text": plural(content.images, "image"),
        "usable": count(number["safe"] + number["likely"]),
        # The sum of what the tiles say, so that a reader who adds them up is not puzzled.
        "usable_wrong": about(
            round(wrong["safe"]) + round(wrong["likely"]) or wrong["safe"] + wrong["likely"]
        ),
        "guessed": count(number["guess"]),
        "guesses": listed([one.name for one in guessed]),
        "parts": list(number.items()),
        "all": max(sum(number.values()), 1),
        "tiles": [
            {
                **{"name": name, "number": count(n), "wrong": about(wrong.get(name, 0))},
                "none": "" if n else ranges[name],
            }
            for name, n in number.items()
            if n or (name in ranges and filled)
        ],
        "doubtful": number["doubtful"],
        "asked": asked(content.review),
        "asked_text": plural(asked(content.review), "cell"),
        "too_few": [one for one in attributes if one.verdict == TOO_FEW],
        "not_learnable": listed([one.name for one in guessed if one.verdict == NOT_LEARNABLE]),
        "not_random": listed([one.name for one in attributes if not one.missing_at_random]),
        "accuracy": metric(content.metrics, "expected.accuracy"),
        "kept": _kept(content.held_out[content.held_out["attribute"].isin(told)]),
        "pretrained": bool(content.metrics["backbone"]["pretrained"]),
    }


def _kept(held_out: pd.DataFrame) -> list[dict[str, Any]]:
    ranges = {"safe": "99 % or more", "likely": "90 to 99 %", "doubtful": "below 90 %"}
    return [
        {
            "trust": one.trust,
            "range": ranges[one.trust],
            "cells": counted(one.cells),
            "promised": counted(one.promised, "percent"),
            "right": Interval(
                counted(one.right / one.cells, "percent"),
                *(counted(end, "percent") for end in wilson_interval(one.right, one.cells)),
            ),
        }
        for one in cells.kept(held_out)
    ]


def came_in(content: Content) -> dict[str, Any]:
    """The rows and labels that were read."""
    copies = content.duplicates
    conflicts = copies.loc[copies["conflicting"].astype(str) != "", "group"].nunique()
    unknown = sum(one.unknown for one in content.attributes)
    table_cells = max(content.images * len(content.attributes), 1)
    splits = ", ".join(f"{count(n)} {name}" for name, n in content.splits.items())
    disagree = f"their labels disagree in {plural(conflicts, 'group')}" if conflicts else ""
    return {
        "facts": [
            ("Images", metric(content.metrics, "table.images", "count"), splits),
            ("Attributes", metric(content.metrics, "table.attributes", "count"), ""),
            ("Unknown cells", counted(unknown), f"{percent(unknown / table_cells)} of all"),
            ("Images left out", counted(len(content.dropped)), ""),
            ("Byte-identical images", counted(len(copies)), disagree),
            ("Corrections by hand", counted(content.corrections), ""),
        ],
        "dropped": [
            {
                "reason": str(reason).replace("_", " "),
                "number": counted(len(own)),
                "examples": listed(own["image"].tolist()),
            }
            for reason, own in content.dropped.groupby("reason", sort=True)
        ],
        "counts": {
            one.name: (
                content.sources.counts.figure(one.name, "positive"),
                content.sources.counts.figure(one.name, "negative"),
                counted(one.unknown / max(content.images, 1), "percent"),
            )
            for one in content.attributes
        },
        "images": max(content.images, 1),
    }


def gallery(
    one: Summary, filled: pd.DataFrame, pictures: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The cells of an attribute whose pictures are shown.

    Parameters
    ----------
    filled : its rows of provenance.csv; pictures : image -> address of its thumbnail.
    """
    names = ("image", "value", "expected_correctness")
    return [
        {
            "image": image,
            "picture": pictures[image],
            "value": value,
            "right": counted(right, "promise"),
            "trust": trust_of(right, one),
        }
        for image, value, right in _columns(cells.pictured(filled, one.sought), *names)
        if image in pictures
    ]


def trust_of(right: float, one: Summary) -> str:
    """The degree of trust in a cell of an attribute, by its expected correctness: safe, likely,
    doubtful, or guess where the attribute is not known to be learnable."""
    if not one.learnable:
        return "guess"
    return "safe" if right >= SURE else "likely" if right >= LIKELY else "doubtful"


def look_next(content: Content, pictures: Mapping[str, str]) -> dict[str, Any]:
    """The first cells of the review list."""
    names = ("image", "attribute", "guess", "expected_correctness", "reason")
    return {
        "listed": count(len(content.review)),
        "rows": [
            {
                "picture": pictures.get(image, ""),
                "image": image,
                "attribute": attribute,
                "value": guess,
                "right": counted(right, "promise"),
                "reason": reason,
            }
            for image, attribute, guess, right, reason in _columns(
                cells.reviewed(content.review), *names
            )
        ],
    }


def classifier(content: Content) -> dict[str, Any]:
    """Scores of the final classifier on test images, learnable attributes first."""
    learnable = sum(one.learnable for one in content.attributes)
    ordered = sorted(content.attributes, key=lambda one: not one.learnable)
    return {
        "imputed": bool(content.metrics.get("missing", {}).get("imputing_kept")),
        "learnable": count(learnable),
        "attributes": count(len(content.attributes)),
        "rows": [_tested(one, content.sources) for one in ordered],
        "baselines": _baselines(content.sources.baselines),
    }


def _baselines(source: Source) -> list[dict[str, Any]]:
    """The classifier beside each baseline."""
    return [
        {
            "baseline": baselines.IN_WORDS[row["baseline"]],
            "score": baselines.SCORES[row["score"]],
            "classifier": source.at(place, "classifier", "score"),
            "of_baseline": source.at(place, "of_baseline", "score"),
            "worse": row["worse"] == "yes",
            "advice": baselines.ADVICE[row["baseline"], row["score"]],
            "attributes": row["worse_attributes"],
        }
        for place, row in enumerate(source.table.to_dict("records"))
    ]


def _tested(one: Summary, sources: Sources) -> dict[str, Any]:
    source: Source = sources.categories if one.categorical else sources.test
    accuracy = "accuracy" if one.categorical else "binary_accuracy"
    majority = "majority_test_accuracy" if one.categorical else "majority_accuracy"
    return {
        "attribute": one,
        "known": source.figure(one.name, "known"),
        "auc": sources.test.interval(one.name, "auc", "score"),
        "accuracy": Interval(
            source.figure(one.name, accuracy, "percent"),
            source.figure(one.name, "accuracy_low", "percent"),
            source.figure(one.name, "accuracy_high", "percent"),
        ),
        "majority": source.figure(one.name, majority, "percent"),
        "f1": source.figure(one.name, "f1_macro" if one.categorical else "f1", "score"),
    }


def all_cells(content: Content) -> dict[str, Any]:
    """The rows of the table of filled cells."""
    of = {one.name: one for one in content.attributes}
    filled = int((content.filled["value"] != "").sum())
    guessed = [one.name for one in content.attributes if not one.learnable]
    shown = cells.rows_shown(content.filled, guessed)
    names = ("image", "attribute", "value", "expected_correctness", "probability", "evidence")
    return {
        "all": count(filled),
        "complete": len(shown) == filled,
        "rows": [
            {
                "image": image,
                "attribute": attribute,
                "value": value,
                "right": counted(right, "promise"),
                "probability": counted(probability, "score"),
                "evidence": evidence,
                "trust": trust_of(right, of[attribute]),
            }
            for image, attribute, value, right, probability, evidence in _columns(shown, *names)
        ],
    }


def _columns(frame: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*(frame[name] for name in names), strict=True))
