"""Verdicts on the columns of an attribute, together."""

from __future__ import annotations

import pytest

from pipeline.data.verdicts import IN_WORDS, LEARNABLE, NOT_LEARNABLE, TOO_FEW, together


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([LEARNABLE], LEARNABLE),
        ([TOO_FEW, NOT_LEARNABLE, LEARNABLE], LEARNABLE),
        ([TOO_FEW, NOT_LEARNABLE], NOT_LEARNABLE),
        ([TOO_FEW, TOO_FEW], TOO_FEW),
    ],
)
def test_the_best_of_the_columns_counts(columns: list[str], expected: str) -> None:
    assert together(columns) == expected
    assert expected in IN_WORDS
