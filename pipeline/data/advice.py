"""What to do about a column's cells, by all that it holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

MAYBE_MISSING = frozenset(
    {"-", "--", "---", ".", "..", "...", "unknown", "unk", "missing", "n.a.", "n.a", "nd"}
    | {"tbd", "undefined", "unspecified", "none given", "not available", "no data", "nil"}
    | {"empty", "blank"}
)
"""Texts, in lower case, that may mean unknown or be a value: only a person can tell."""
FEW = 20
"""Values up to which a column looks like one of categories."""
RARE = 0.02
"""Share of the cells up to which odd ones look like slips."""
NAMED = 4


def on_odd_cells(texts: Mapping[str, int], cells: int, minus_one: Collection[str]) -> str:
    """What to do about a binary column whose ``texts`` (with counts) are no labels.

    Parameters
    ----------
    cells : how many the column has, good ones included.
    minus_one : texts that stand for -1.
    """
    known = [text for text in texts if text in minus_one]
    if len(known) == len(texts):
        return "set data.minus_one in params.yaml to negative or unknown, as which -1 is meant"
    if all(text.lower() in MAYBE_MISSING for text in texts):
        return "empty the cells that mean unknown"
    leave = "leave the column out with exclude in params.yaml"
    if all(_number(text) is not None for text in texts):
        numbers = [_number(text) or 0 for text in texts]
        if all(0 < number < 1 for number in numbers):
            return f"these look like probabilities: cut them into 1 and 0, or {leave}"
        if len(texts) > FEW:
            return f"these look like numbers of any size: write 1 and 0, or {leave}"
    elif separator := _separator(texts):
        reader = (
            f"`python -m pipeline.readers tags` makes a column of each (separator {separator!r})"
        )
        if separator != " ":
            return f"several tags in one cell: {reader}, or {leave}"
        if len(texts) > FEW:
            return f"if these are several tags in one cell, {reader}; else {leave}"
        return f"one of several values goes into categorical.columns; of several tags {reader}"
    if len(texts) <= 2 and sum(texts.values()) > RARE * cells:
        both = "1 for one and 0 for the other" if len(texts) == 2 else "1 where it marks a picture"
        return f"write {both}; or one of several values goes into categorical.columns; or {leave}"
    if len(texts) > max(FEW, cells // 2):
        return f"these are {len(texts)} different texts: {leave}"
    if sum(texts.values()) <= RARE * cells:
        return f"correct it, or {leave}"
    kind = "a column of one of several values goes into categorical.columns"
    return f"{kind}; else correct it, or {leave}"


def on_values(texts: Mapping[str, int]) -> list[str]:
    """Lines on the values (with counts) of a categorical column that may not be what they seem."""
    told = []
    maybe = {text: count for text, count in texts.items() if text.lower() in MAYBE_MISSING}
    if maybe:
        told.append(f"{_counted(maybe)} count as values; empty the cells where they mean unknown")
    alike: dict[str, dict[str, int]] = {}
    for text, count in texts.items():
        number = _number(text)
        key = "".join(text.split()).casefold() if number is None else repr(number)
        alike.setdefault(key, {})[text] = count
    told += [
        f"{_counted(group)} are different values; write them alike if they mean the same"
        for group in alike.values()
        if len(group) > 1
    ]
    return told


def _counted(texts: Mapping[str, int]) -> str:
    most = sorted(texts.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(most) - NAMED} more" if len(most) > NAMED else ""
    return ", ".join(f"{text[:60]!r} ({count})" for text, count in most[:NAMED]) + more


def _number(text: str) -> float | None:
    if not re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", text.lower()):
        return None
    return float(text.replace(",", "."))


def _separator(texts: Collection[str]) -> str:
    """What separates tags in one cell; empty where the texts are no tags.

    With | ; or , one such cell is enough; words are tags where most of them are in several texts.
    """
    for separator in ("|", ";", ","):
        if any(separator in text.strip(separator) for text in texts):
            return separator
    words = Counter(word for text in texts for word in {*text.split()})
    if len(words) >= len(texts) + 3 or not any(" " in text for text in texts):
        return ""
    shared = sum(count > 1 for count in words.values())
    return " " if 2 * shared > len(words) else ""
