from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.figures import (
    UNDEFINED,
    Source,
    about,
    count,
    counted,
    few,
    listed,
    percent,
    plural,
    promise,
    score,
    tenths,
)

SHARES = st.floats(0, 1)


def number(text: str) -> float:
    return float(text.replace("\N{NO-BREAK SPACE}%", "")) / 100


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.978, "98"), (0.9968, "99.7"), (1, "100"), (0, "0"), (0.99999, "> 99.9"), (0.004, "0.4")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == f"{text}\N{NO-BREAK SPACE}%"


@given(SHARES)
def test_nothing_but_all_is_called_all(share: float) -> None:
    assert (percent(share) == percent(1)) == (share == 1)
    assert (percent(share) == percent(0)) == (share == 0)
    if "<" not in percent(share) and ">" not in percent(share):
        assert number(percent(share)) == pytest.approx(share, abs=0.00501)


@given(SHARES)
def test_a_promise_is_never_rounded_up(share: float) -> None:
    assert number(promise(share)) <= share + 1e-8
    assert number(promise(share)) > share - 0.011


@pytest.mark.parametrize("edge", [0.9, 0.99])
def test_a_promise_stays_on_its_side_of_the_degrees_of_trust(edge: float) -> None:
    assert number(promise(edge)) >= edge
    assert number(promise(edge - 1e-6)) < edge


def test_other_texts() -> None:
    assert count(12_000) == "12,000"
    assert score(0.51234) == "0.512"
    assert tenths(0.8766) == "87.7\N{NO-BREAK SPACE}%"
    assert tenths(math.nan) == UNDEFINED
    assert {percent(math.nan), promise(math.nan), count(math.nan), score(math.nan)} == {UNDEFINED}
    assert [about(n) for n in (0, 0.2, 3.4, 1200)] == [
        *("none", "fewer than one", "about 3", "about 1,200")
    ]
    assert [few(n) for n in (0, 0.2, 0.6, 7)] == ["0", "< 1", "1", "7"]
    assert (plural(1, "cell"), plural(2, "cell"), plural(0, "cell")) == (
        *("1 cell", "2 cells", "0 cells"),
    )
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcde")) == "a, b, c and 2 more"


def test_a_figure_keeps_its_value_and_its_place() -> None:
    source = Source("a.csv", pd.DataFrame({"attribute": ['a"<b>', "b"], "auc": [0.9876543, 1]}))
    html = str(source.figure('a"<b>', "auc", "score").__html__())
    assert html == (
        '<data value="0.9876543" data-file="a.csv" data-row="a&#34;&lt;b&gt;" data-column="auc" '
        'title="auc in a.csv">0.988</data>'
    )
    assert str(counted(1234).__html__()) == '<data value="1234">1,234</data>'


def test_what_a_file_lacks_is_undefined() -> None:
    source = Source("a.csv", pd.DataFrame({"attribute": ["a"], "auc": [math.nan]}))
    for figure in (source.figure("a", "auc"), source.figure("b", "auc"), source.figure("a", "f1")):
        assert math.isnan(figure.value)
        assert "<data" not in str(figure.__html__())
    assert not source.interval("a", "auc").defined
    assert source.text("a", "learnable") == ""


def test_the_unit_stands_once_in_an_interval() -> None:
    source = Source(
        "a.csv", pd.DataFrame({"attribute": ["a"], "x": [0.9], "x_low": [0.85], "x_high": [1.0]})
    )
    found = source.interval("a", "x")
    assert (found.start.text, found.high.text) == ("85", percent(1))
    assert found.start.value == found.low.value
    assert source.interval("a", "x", "score").start.text == "0.850"
