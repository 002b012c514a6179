"""What a run found beside the filled cells: bounded errors, shares, suspects, the budget of looks,
what people found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.report.figures import Source, counted

SUSPECTS = 12
"""Of the suspect labels in the page."""
MOST_GROUPS = 60
"""Rows of shares by group in the page."""
POINTS = 60
"""Of a curve that is drawn."""


@dataclass(frozen=True)
class Findings:
    """Tables below ``reports/``, by their names there; some may have no rows."""

    promises: Source
    prevalence: Source
    suspects: Source
    label_noise: Source
    budget: Source
    audit_by_people: Source


def promises(source: Source) -> dict[str, Any]:
    """Of how many cells the errors are bounded, in all and by attribute and filled value."""
    rows = [
        {
            "attribute": row["attribute"],
            "value": row["filled_value"],
            "unknown": source.at(place, "unknown"),
            "kept": source.at(place, "kept"),
            "reason": row["reason"] if row["promised"] == "no" else "",
        }
        for place, row in enumerate(source.table.to_dict("records"))
        if row["unknown"]
    ]
    return {
        "rows": rows,
        "kept": counted(sum(row["kept"].value for row in rows)),
        "unknown": counted(sum(row["unknown"].value for row in rows)),
    }


def shares(prevalence: Source) -> dict[str, list[dict[str, Any]]]:
    """Shares of each attribute or value: of the whole table, and by group."""
    found: dict[str, list[dict[str, Any]]] = {"all": [], "groups": []}
    frame = prevalence.table
    if frame.empty:
        return found
    for place, row in enumerate(frame.to_dict("records")):
        kind = "groups" if row["by"] else "all"
        if len(found["groups"]) == MOST_GROUPS and kind == "groups":
            continue
        found[kind].append(
            {
                "group": f"{row['by']}: {row['group']}" if row["by"] else "",
                "attribute": row["attribute"],
                "value": "" if str(row["value"]) == "1" else row["value"],
                "images": prevalence.at(place, "images"),
                "share": prevalence.interval_at(place, "share", "tenths"),
                "known_share": prevalence.interval_at(place, "known_share", "tenths"),
                "counted": prevalence.at(place, "counted_share", "tenths"),
                "reason": row["reason"],
            }
        )
    return found


def suspects(findings: Findings, pictures: Mapping[str, str]) -> dict[str, Any]:
    """Known labels that are probably wrong: the first ones, and how many each attribute has."""
    frame, noise = findings.suspects.table, findings.label_noise
    return {
        "listed": counted(len(frame)),
        "called": counted(int((frame["called"] == "yes").sum()) if len(frame) else 0),
        "rows": [
            {
                "picture": pictures.get(row["image"], ""),
                "image": row["image"],
                "attribute": row["attribute"],
                "label": row["label"],
                "suggested": row["suggested"],
                "wrong": findings.suspects.at(place, "wrong_probability", "percent"),
                "called": row["called"] == "yes",
            }
            for place, row in enumerate(frame.head(SUSPECTS).to_dict("records"))
        ],
        "attributes": [
            {
                "name": name,
                "known": noise.at(place, "known"),
                "wrong": noise.interval_at(place, "wrong", "count"),
                "listed": noise.at(place, "listed"),
                "called": noise.at(place, "called"),
            }
            for place, name in enumerate(noise.table.get("attribute", []))
            if not np.isnan(noise.at(place, "wrong").value) and noise.at(place, "listed").value
        ],
    }


def looks(budget: Source) -> dict[str, Any]:
    """How many looks it takes until few of the other filled cells are wrong, in all and by
    attribute; and the curve of the whole table as points from 0 to 1."""
    frame = budget.table
    if frame.empty:
        return {"all": None, "attributes": [], "curve": {}}
    chosen = [
        {
            "attribute": row["attribute"],
            "scope": row["scope"],
            "looked_at": budget.at(place, "looked_at"),
            "of": budget.at(place, "of"),
            "before": _before(budget, row),
            "left": budget.at(place, "wrong_left", "tenths"),
            "most": budget.at(place, "wrong_left_high", "tenths"),
        }
        for place, row in enumerate(frame.to_dict("records"))
        if row["chosen"] == 1
    ]
    whole = frame[frame["scope"] == "table"]
    return {
        "all": next((one for one in chosen if one["scope"] == "table"), None),
        "attributes": [one for one in chosen if one["scope"] != "table" and one["of"].value],
        "curve": _curve(whole),
    }


def _before(budget: Source, row: Mapping[Any, Any]) -> Any:
    """The share of wrong ones that is expected where nobody looks."""
    frame = budget.table
    own = (frame["scope"] == row["scope"]) & (frame["attribute"] == row["attribute"])
    first = frame.loc[own, "looked_at"].astype(float).idxmin()
    return budget.at(int(first), "wrong_left", "tenths")


def _curve(frame: pd.DataFrame) -> dict[str, Any]:
    """SVG points of the expected share of wrong cells and of its bound by the cells looked at;
    empty for a curve of fewer than two points."""
    frame = frame.dropna(subset=["wrong_left", "wrong_left_high"])
    most = float(frame["of"].max()) if len(frame) else 0
    top = float(frame["wrong_left_high"].max()) if len(frame) else 0
    if len(frame) < 2 or not most or not top:
        return {}
    kept = np.unique(np.linspace(0, len(frame) - 1, POINTS).round().astype(int))
    frame = frame.iloc[kept]
    x = 100 * frame["looked_at"] / most

    def points(column: str) -> str:
        y = 40 * (1 - frame[column] / top)
        return " ".join(f"{a:.2f},{b:.2f}" for a, b in zip(x, y, strict=True))

    return {
        "left": points("wrong_left"),
        "most": points("wrong_left_high"),
        "top": counted(top, "percent"),
        "of": counted(most),
    }


def people(audit: Source) -> list[dict[str, Any]]:
    """What people found in cells that they looked at, all attributes together, by queue."""
    frame = audit.table
    if frame.empty:
        return []
    return [
        {
            "queue": row["queue"],
            "looked_at": audit.at(place, "looked_at"),
            "wrong": audit.at(place, "wrong"),
            "promised": audit.at(place, "promised", "percent"),
            "found": audit.interval_at(place, "found"),
            "holds": row["holds"] == "yes",
        }
        for place, row in enumerate(frame.to_dict("records"))
        if row["attribute"] == ""
    ]


def suspect_images(findings: Findings) -> Sequence[str]:
    """Images of the suspects that the page shows."""
    return [str(name) for name in findings.suspects.table.get("image", [])[:SUSPECTS]]
