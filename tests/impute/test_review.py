"""The list for review: its order, its end, its reasons, and the part that is drawn by chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.data.verdicts import LEARNABLE, NOT_LEARNABLE, TOO_FEW
from pipeline.impute import review
from pipeline.impute.review import COLUMNS, draw_probability, drawn_with, listed, reasons

NAN = float("nan")


def cells(correctness: list[float]) -> pd.DataFrame:
    n = len(correctness)
    return pd.DataFrame(
        {
            "image": [f"{i:03d}.jpg" for i in range(n)],
            "attribute": ["hat"] * n,
            "value": ["1"] * n,
            "probability": [0.6] * n,
            "expected_correctness": correctness,
            "evidence": ["picture"] * n,
            "reason": ["why"] * n,
            "row": range(n),
        }
    )


def make(
    correctness: list[float], doubtful: int, share: float = 0.1, **parts: list
) -> pd.DataFrame:
    rank = np.argsort(np.argsort(-np.array(correctness), kind="stable"), kind="stable")
    first = rank >= len(rank) - doubtful
    sought = np.array(parts.get("sought", [NAN] * len(rank)))
    return listed(cells(correctness), rank, first, sought, share, (0,))


def test_doubtful_cells_come_by_worth_and_the_list_ends_with_them() -> None:
    out = make([0.9, 0.6, 0.7, 0.5, 0.95], 3, share=0.0)
    assert tuple(out.columns) == COLUMNS
    assert out["image"].tolist() == ["003.jpg", "001.jpg", "002.jpg"]
    assert out["worth"].tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert set(out["correct_value"]) == {""}
    assert out["guess"].tolist() == ["1"] * 3
    assert set(out["queue"]) == {review.DOUBTFUL}
    assert set(out["listed_probability"]) == {1.0}
    assert len(make([0.9, 0.6], 0, share=0.0)) == 0
    assert len(make([], 0)) == 0


def test_a_part_is_drawn_by_chance_from_the_rest() -> None:
    rng = np.random.default_rng(0)
    correctness = (0.5 + 0.5 * rng.random(2000)).tolist()
    out = make(correctness, 360)
    audit = out[out["queue"] == review.AUDIT]
    assert len(audit) == 40 == round(0.1 * len(out))
    first = out[out["queue"] == review.DOUBTFUL]
    assert not {*audit["image"]} & {*first["image"]}
    assert out["queue"].tolist() == [review.DOUBTFUL] * 360 + [review.AUDIT] * 40
    assert audit["listed_probability"].between(0, 1, inclusive="neither").all()
    assert set(audit["reason"]) == {review.DRAWN}
    # Few, but no fewer than these, and never more than there are.
    assert len(make(correctness, 10)) == 10 + review.LEAST_AUDITED
    assert len(make([0.9] * 8, 3)) == 8


def test_likeliest_of_a_class_that_lacks_labels_come_first() -> None:
    out = make([0.9, 0.6, 0.7, 0.5, 0.95], 2, share=0.0, sought=[1.0, NAN, 3.0, NAN, NAN])
    assert out["image"].tolist() == ["002.jpg", "000.jpg", "003.jpg", "001.jpg"]
    assert out["queue"].tolist() == [review.TOO_FEW] * 2 + [review.DOUBTFUL] * 2
    assert out["reason"].tolist()[:2] == [review.SOUGHT] * 2
    many = make([0.9] * 30, 0, share=0.0, sought=[float(i) for i in range(30)])
    assert len(many) == review.MOST_SOUGHT


def test_reasons_by_hand() -> None:
    told = reasons(
        np.array([0.6, 0.6, 0.4, 0.7, 0.99, 0.6, 0.8, 0.4]),
        np.array([0.6, 0.6, 0.4, 0.7, 0.9, 0.6, 0.8, 0.4]),
        np.array([0.0, 0.0, 0.9, 0.3, 0.0, 0.1, 0.0, 0.0]),
        np.array([TOO_FEW, NOT_LEARNABLE] + [LEARNABLE] * 6),
        np.array([False] * 7 + [True]),
    )
    assert told.tolist() == [
        *(review.UNTESTED, review.UNTOLD, review.MATCHED, review.CONTRADICTED, review.CAPPED),
        *(review.EVEN, review.UNSURE, review.UNSURE),
    ]


def test_chances_add_up_and_doubt_raises_them() -> None:
    correctness = np.array([0.5, 0.9, 0.99, 1.0] * 25)
    chance = draw_probability(correctness, 10)
    assert chance.sum() == pytest.approx(10)
    assert (np.diff(chance[:4]) < 0).all()
    assert chance.min() >= 0.5 * 10 / 100
    assert draw_probability(np.ones(4), 2) == pytest.approx([0.5] * 4)
    assert draw_probability(np.ones(4), 9).tolist() == [1] * 4
    assert draw_probability(np.ones(4), 0).tolist() == [0] * 4
    certain = draw_probability(np.array([0.5] + [1.0] * 5), 5)
    assert certain.max() == 1
    assert certain.sum() == pytest.approx(5)


def test_every_cell_is_drawn_as_often_as_its_chance_says() -> None:
    chance = draw_probability(np.array([0.5, 0.7, 0.9, 0.99, 1.0]), 2)
    counts = np.zeros(5)
    firsts = np.zeros(5)
    rng = np.random.default_rng(0)
    for _ in range(4000):
        drawn = drawn_with(chance, rng)
        assert len(drawn) == len(set(drawn)) == 2
        counts[drawn] += 1
        firsts[drawn[0]] += 1
    assert np.abs(counts / 4000 - chance).max() < 4 * 0.5 / np.sqrt(4000)
    # The first of them is a draw of the same chances, halved.
    assert np.abs(firsts / 4000 - chance / 2).max() < 4 * 0.5 / np.sqrt(4000)
