"""The first inputs of every target; `make fuzz MINUTES=30` goes on."""

from __future__ import annotations

import random
import time

import pytest

from tests.fuzz.targets import MAKERS, Target, targets

FIRST, SECONDS = 20, 8


def some(once: Target, name: str, seeds: range, seconds: float = 1e9) -> None:
    end = time.monotonic() + seconds
    for seed in seeds:
        if time.monotonic() > end:
            break
        assert once(random.Random(f"{name} {seed}")) in ("refused", "read", "same"), seed


@pytest.mark.parametrize("name", MAKERS)
def test_the_first_damaged_inputs_are_refused_in_one_line_or_read(name: str) -> None:
    with targets([name]) as chosen:
        some(chosen[name], name, range(FIRST))


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_damaged_input_is_refused_in_one_line_or_read(name: str) -> None:
    with targets([name]) as chosen:
        some(chosen[name], name, range(FIRST, 10**9), SECONDS)
