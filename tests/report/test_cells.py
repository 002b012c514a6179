from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.report import cells

RIGHT = st.lists(st.sampled_from([0.5, 0.6, 0.8999, 0.9, 0.95, 0.99, 0.999]), max_size=40)


def frame(right: dict[str, list[float]], empty: int = 0) -> pd.DataFrame:
    rows = [
        (f"{i:03d}.jpg", name, "1", one)
        for name, values in right.items()
        for i, one in enumerate(values)
    ]
    rows += [(f"e{i}.jpg", "a", "", 0.5) for i in range(empty)]
    return pd.DataFrame(rows, columns=["image", "attribute", "value", "expected_correctness"])


def test_trust_counts_every_cell_once() -> None:
    found = cells.trust(frame({"a": [0.5, 0.8999, 0.9, 0.98, 0.99, 1.0]}, empty=2))
    assert (found.safe, found.likely, found.doubtful, found.empty) == (2, 2, 2, 2)
    assert found.filled == 6
    assert abs(found.wrong - (0.5 + 0.1001 + 0.1 + 0.02 + 0.01)) < 1e-9


@settings(max_examples=30)
@given(RIGHT, RIGHT, st.integers(0, 50))
def test_no_attribute_crowds_out_another(a: list[float], b: list[float], most: int) -> None:
    whole = frame({"a": a, "b": b}, empty=1)
    shown = cells.rows_shown(whole, most=most)
    assert len(shown) == min(most, len(a) + len(b))
    counts = shown["attribute"].value_counts()
    fair = most // 2
    assert counts.get("a", 0) >= min(len(a), fair)
    assert counts.get("b", 0) >= min(len(b), fair)
    assert shown["expected_correctness"].is_monotonic_increasing
    for name, values in (("a", a), ("b", b)):
        own = shown.loc[shown["attribute"] == name, "expected_correctness"].tolist()
        assert own == sorted(values)[: len(own)], "the least trusted of each"


@settings(max_examples=30)
@given(RIGHT)
def test_pictured_cells_begin_with_the_least_trusted_and_end_with_the_most(
    right: list[float],
) -> None:
    shown = cells.pictured(frame({"a": right}, empty=1))
    most = cells.DOUBTFUL + cells.OTHERS
    assert len(shown) == min(len(right), most)
    assert shown["image"].is_unique
    own = shown["expected_correctness"].tolist()
    assert own[: cells.DOUBTFUL] == sorted(right)[: cells.DOUBTFUL]
    assert own == sorted(own)
    assert not right or own[-1] == max(right)


def test_whether_probabilities_are_kept() -> None:
    held_out = pd.DataFrame(
        {
            "label": [1, 0, 1, 0, 1],
            "probability": [0.995, 0.003, 0.95, 0.4, 0.4],
            "value": [1, 0, 1, 1, 0],
        }
    )
    found = {
        one.trust: (one.cells, round(one.promised, 3), one.right) for one in cells.kept(held_out)
    }
    assert found == {"safe": (2, 0.996, 2), "likely": (1, 0.95, 1), "doubtful": (2, 0.5, 0)}
    assert cells.kept(held_out.iloc[:0]) == []


def test_pictures_that_are_asked_for_come_first() -> None:
    right = [0.5 + i / 100 for i in range(40)]
    shown = cells.pictured(frame({"a": right}), ["030.jpg", "020.jpg", "away.jpg"])
    assert shown["image"].tolist()[:4] == ["030.jpg", "020.jpg", "000.jpg", "001.jpg"]
    assert shown["image"].is_unique
    assert len(shown) == cells.DOUBTFUL + cells.OTHERS


def test_guesses_stand_at_the_end() -> None:
    whole = frame({"a": [0.5, 0.9], "b": [0.6, 0.7]})
    shown = cells.rows_shown(whole, ["a"])
    assert shown["expected_correctness"].tolist() == [0.6, 0.7, 0.5, 0.9]


def test_the_review_list_is_shown_in_its_order_with_a_few_of_each_attribute() -> None:
    listed = frame({"a": [0.5] * 30, "b": [0.6] * 2, "c": [0.7] * 9})
    shown = cells.reviewed(listed)
    assert shown["attribute"].tolist() == ["a"] * 4 + ["b"] * 2 + ["c"] * 4
    assert shown.index.is_monotonic_increasing
    many = frame({name: [0.5] * 4 for name in "abcdef"})
    assert len(cells.reviewed(many)) == cells.REVIEWED
