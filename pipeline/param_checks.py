"""What a value in params.yaml may be: each check gives it in its final type, or says why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_EXPONENT = re.compile(r"\d+(\.\d*)?[eE][-+]?\d+")
"""1e-05, as DVC writes it: a number in YAML 1.2, a text to PyYAML, which follows YAML 1.1."""

Check = Callable[[Any], Any]
"""Returns the value in its final type, or raises ValueError saying what is expected."""


def whole(low: int, high: int) -> Check:
    """A whole number from ``low`` to ``high``."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def number(low: float, high: float, *, open_low: bool = False, open_high: bool = False) -> Check:
    """A number from ``low`` to ``high``, these included unless told otherwise."""

    def check(value: Any) -> float:
        expected = (
            f"a number {'above' if open_low else 'from'} {low:g} "
            f"{'and below' if open_high else 'to'} {high:g}"
        )
        if isinstance(value, str) and _EXPONENT.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(expected)
        if not low <= value <= high or (open_low and value == low) or (open_high and value == high):
            raise ValueError(expected)
        return float(value)

    return check


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty")
    return value


def choice(*choices: str) -> Check:
    """One of ``choices``."""

    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return check


def image_size(value: Any) -> tuple[int, int]:
    """(height, width) in pixels."""
    side = whole(32, 2048)
    try:
        height, width = value
        return side(height), side(width)
    except (TypeError, ValueError):
        raise ValueError("[height, width] in pixels, each from 32 to 2048") from None


def attributes(value: Any) -> tuple[str, ...] | None:
    """Names of columns, or None for all."""
    if value is None:
        return None
    if isinstance(value, list) and value and all(isinstance(v, str) and v for v in value):
        return tuple(value)
    raise ValueError("null (every column but the first) or a list of column names")


def columns(value: Any) -> tuple[str, ...]:
    """Names of columns, none for null."""
    if value is None:
        return ()
    try:
        return attributes(value) or ()
    except ValueError:
        raise ValueError("null (none) or a list of column names") from None


def clip_norm(value: Any) -> float | None:
    """A number above 0, or None."""
    try:
        return None if value is None else float(number(0, 1e6, open_low=True)(value))
    except ValueError as error:
        raise ValueError(f"null or {error}") from None


def threshold(value: Any) -> str | float:
    """A rule of `pipeline.metrics.scores.thresholds`, or a probability."""
    rules = ("prevalence", "balanced", "f1", "accuracy")
    if isinstance(value, str) and value in rules:
        return value
    try:
        return float(number(0, 1, open_low=True, open_high=True)(value))
    except ValueError:
        raise ValueError(f"one of {', '.join(rules)} or a number above 0 and below 1") from None


def prior(value: Any) -> dict[str, float] | None:
    """Shares of positives by attribute, or None."""
    if value is None:
        return None
    share = number(0, 1, open_low=True, open_high=True)
    expected = "null or a mapping of attributes to shares of positives above 0 and below 1"
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(expected)
    try:
        return {name: float(share(number)) for name, number in value.items()}
    except ValueError:
        raise ValueError(expected) from None


def grid(value: Any) -> int | None:
    """Positions in height and width, or None."""
    try:
        return None if value is None else int(whole(1, 64)(value))
    except ValueError as error:
        raise ValueError(f"null or {error}") from None


def fold(value: Any) -> int | None:
    """The number of a fold, or None."""
    try:
        return None if value is None else int(whole(0, 1_000)(value))
    except ValueError as error:
        raise ValueError(f"null or {error}") from None


def address(value: Any) -> str | None:
    """A text, or None."""
    try:
        return None if value is None else str(text(value))
    except ValueError as error:
        raise ValueError(f"null or {error}") from None


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value
