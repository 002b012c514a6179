"""Figures as a reader wants them, each with its value and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
from markupsafe import Markup

UNDEFINED = "\N{EN DASH}"
NAMED = 3
"""Names that a sentence gives."""


@dataclass(frozen=True)
class Figure:
    """A number of a report file.

    value : as in the file; NaN where it is undefined.
    text : as a reader wants it.
    file, row, column
        Where the value is: the path of a CSV, the first cell of its row or "line 2" where that does
        not tell the row, and its column; or of a JSON, an empty row and the keys joined by full
        stops. All empty for one that was counted.
    """

    value: float
    text: str
    file: str = ""
    row: str = ""
    column: str = ""

    def __html__(self) -> Markup:
        """The text with its value and origin, for a template that escapes what it is given."""
        if math.isnan(self.value):
            return Markup('<span class="none">{}</span>').format(self.text)
        if not self.file:
            return Markup('<data value="{}">{}</data>').format(plain(self.value), self.text)
        return Markup(
            '<data value="{}" data-file="{}" data-row="{}" data-column="{}" title="{}">{}</data>'
        ).format(
            *(plain(self.value), self.file, self.row, self.column),
            *(f"{self.column} in {self.file}", self.text),
        )


def plain(value: float) -> str:
    """The shortest text that reads back as ``value``."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def percent(share: float) -> str:
    """``0.978`` as "98 %"; near 0 and 1, where a whole per cent says too little, as "99.7 %"; never
    "0 %" or "100 %" of what is not all."""
    if math.isnan(share):
        return UNDEFINED
    if 0.015 <= share < 0.985 or share in (0, 1):
        return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
    if 0 < share < 0.0005:
        return "< 0.1\N{NO-BREAK SPACE}%"
    if 0.9995 <= share < 1:
        return "> 99.9\N{NO-BREAK SPACE}%"
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def tenths(share: float) -> str:
    """``0.8766`` as "87.7 %", where an interval may be narrower than a whole per cent."""
    return UNDEFINED if math.isnan(share) else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def promise(share: float) -> str:
    """A probability of being right, never rounded up: ``0.8999`` as "89 %", ``0.9978`` as
    "99.7 %"."""
    if math.isnan(share):
        return UNDEFINED
    if share < 0.99 or share == 1:
        return f"{math.floor(100 * share + 1e-9)}\N{NO-BREAK SPACE}%"
    return f"{math.floor(1000 * share + 1e-9) / 10:.1f}\N{NO-BREAK SPACE}%"


def count(number: float) -> str:
    """``12000`` as "12,000"."""
    return UNDEFINED if math.isnan(number) else f"{number:,.0f}"


def score(value: float) -> str:
    """An AUC, a Brier score or the like to three places."""
    return UNDEFINED if math.isnan(value) else f"{value:.3f}"


STYLES = {"percent": percent, "tenths": tenths, "promise": promise, "count": count, "score": score}


def counted(value: float, style: str = "count") -> Figure:
    """A figure that no file holds."""
    return Figure(float(value), STYLES[style](float(value)))


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its 95 % interval."""

    value: Figure
    low: Figure
    high: Figure

    @property
    def start(self) -> Figure:
        """The lower end without its unit, which the upper end has, too."""
        return replace(self.low, text=self.low.text.removesuffix("\N{NO-BREAK SPACE}%"))

    @property
    def defined(self) -> bool:
        """Whether there is an estimate and an interval."""
        return not any(math.isnan(one.value) for one in (self.value, self.low, self.high))


@dataclass(frozen=True)
class Source:
    """A report file as a table, whose figures keep their origin.

    file : its path; table : the content, a row for each ``key``, its first column.
    """

    file: str
    table: pd.DataFrame

    @cached_property
    def places(self) -> dict[str, int]:
        """The row of each first cell."""
        return {str(name): place for place, name in enumerate(self.table.iloc[:, 0])}

    def text(self, row: str, column: str) -> str:
        """A cell that is a word; empty where the file has no such column or row."""
        if column not in self.table or row not in self.places:
            return ""
        return str(self.table[column].iloc[self.places[row]])

    def figure(self, row: str, column: str, style: str = "count") -> Figure:
        """A cell that is a number; undefined where the file has no such column or row."""
        value = math.nan
        if column in self.table and row in self.places:
            value = float(self.table[column].iloc[self.places[row]])
        return Figure(value, STYLES[style](value), self.file, row, column)

    def interval(self, row: str, column: str, style: str = "percent") -> Interval:
        """The figures of ``column`` and of the same with _low and _high."""
        return Interval(*(self.figure(row, column + end, style) for end in ("", "_low", "_high")))

    def at(self, place: int, column: str, style: str = "count") -> Figure:
        """A number of the row at a ``place`` from 0 up, where the first cell does not tell it."""
        value = float(self.table[column].iloc[place])
        return Figure(value, STYLES[style](value), self.file, f"line {place + 2}", column)

    def interval_at(self, place: int, column: str, style: str = "percent") -> Interval:
        """As `interval`, of the row at a ``place``."""
        return Interval(*(self.at(place, column + end, style) for end in ("", "_low", "_high")))


def about(number: float) -> str:
    """An expected number of cells in words."""
    if number < 0.5:
        return "fewer than one" if number else "none"
    return f"about {count(round(number))}"


def few(number: float) -> str:
    """An expected number of cells in a table."""
    return "< 1" if 0 < number < 0.5 else count(number)


def plural(number: int, one: str, many: str = "") -> str:
    """``2`` and "cell" as "2 cells"."""
    return f"{count(number)} {one if number == 1 else many or f'{one}s'}"


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """Some names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
