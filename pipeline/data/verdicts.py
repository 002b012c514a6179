"""The verdicts on an attribute: whether anything known of an image tells of it."""

from __future__ import annotations

from collections.abc import Sequence

LEARNABLE, NOT_LEARNABLE, TOO_FEW = "yes", "no", "too few labels"
"""Told from chance; tested, and not told from chance; not tested."""
IN_WORDS = {
    LEARNABLE: "learnable",
    NOT_LEARNABLE: "not learnable",
    TOO_FEW: "too few labels to tell",
}


def together(verdicts: Sequence[str]) -> str:
    """The verdict on an attribute of those on its columns, one for each value of a categorical one:
    learnable if a value is, and untested only where no value was tested."""
    return next(one for one in (LEARNABLE, NOT_LEARNABLE, TOO_FEW) if one in verdicts)
