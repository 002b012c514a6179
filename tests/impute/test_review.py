"""The list for review: what is most worth a look comes first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.impute.review import (
    AMBIGUOUS,
    COLUMNS,
    CONTRADICTED,
    LISTED,
    MOST_SOUGHT,
    SOUGHT,
    UNLEARNABLE,
    rank,
)

ONES = np.ones(300, dtype=bool)


def cells(correctness: list[float], names: str | None = None) -> pd.DataFrame:
    n = len(correctness)
    return pd.DataFrame(
        {
            "image": list(names or "abcdefghij"[:n]),
            "attribute": ["hat"] * n,
            "value": [1] * n,
            "probability": [0.6] * n,
            "expected_correctness": correctness,
            "evidence": ["picture"] * n,
            "row": range(n),
        }
    )


def test_order_and_reasons_by_hand() -> None:
    # Worth: .1, .4 * 1.2 = .48, .3 * 1.9 = .57, .5, .05 * 1.3.
    listed = rank(
        cells([0.9, 0.6, 0.7, 0.5, 0.95]),
        np.array([0.0, 0.2, 0.9, 0.0, 0.3]),
        np.array([True, True, True, False, True]),
        ONES[:5],
    )
    assert list(listed.columns) == list(COLUMNS)
    assert listed["image"].tolist() == ["c", "b", "a", "e", "d"]
    assert listed["reason"].tolist() == [
        *(CONTRADICTED, AMBIGUOUS, AMBIGUOUS, CONTRADICTED, UNLEARNABLE)
    ]


def test_unlearnable_cells_come_last_however_doubtful() -> None:
    listed = rank(cells([0.5, 0.999]), np.array([1.0, 0.0]), np.array([False, True]), ONES[:2])
    assert listed["image"].tolist() == ["b", "a"]


def test_images_outside_training_come_after_those_inside_but_before_unlearnable_ones() -> None:
    learnable, training = np.array([True, True, False, False]), np.array([False, True, False, True])
    listed = rank(cells([0.5, 0.999, 0.5, 0.6]), np.zeros(4), learnable, training)
    assert listed["image"].tolist() == ["b", "a", "d", "c"]
    assert listed["reason"].tolist() == [AMBIGUOUS, AMBIGUOUS, UNLEARNABLE, UNLEARNABLE]


def test_equal_worth_is_ordered_by_image_and_not_by_row() -> None:
    listed = rank(cells([0.7] * 4, "dacb"), np.zeros(4), ONES[:4], ONES[:4])
    assert listed["image"].tolist() == list("abcd")


def test_what_a_verdict_lacks_comes_first_the_likeliest_before_all() -> None:
    frame = cells([0.6, 0.5, 0.5, 0.5, 0.5])
    frame["attribute"] = ["hat", *["shoes"] * 4]
    learnable, training = np.arange(5) == 0, np.arange(5) != 4
    sought = np.array([np.nan, -3, 2, -1, 9])
    listed = rank(frame, np.zeros(5), learnable, training, sought)
    assert listed["image"].tolist() == ["c", "d", "b", "a", "e"], "a test image teaches nothing"
    assert listed["reason"].tolist() == [SOUGHT, SOUGHT, SOUGHT, AMBIGUOUS, UNLEARNABLE]


def test_an_attribute_that_lacks_labels_does_not_fill_the_list() -> None:
    n = MOST_SOUGHT + 5
    frame = pd.concat([cells([0.5])] * n + [cells([0.9])], ignore_index=True)
    frame["attribute"] = ["shoes"] * n + ["hat"]
    sought = np.r_[np.arange(n), np.nan]
    listed = rank(frame, np.zeros(n + 1), np.isnan(sought), ONES[: n + 1], sought)
    assert listed["reason"].tolist() == [*[SOUGHT] * MOST_SOUGHT, AMBIGUOUS, *[UNLEARNABLE] * 5]


def test_at_most_so_many() -> None:
    frame = cells([0.7] * 10)
    assert len(rank(frame, np.zeros(10), ONES[:10], ONES[:10], most=3)) == 3
    many = pd.concat([frame] * 30, ignore_index=True)
    assert len(rank(many, np.zeros(300), ONES, ONES)) == LISTED
    nothing = frame.head(0)
    assert len(rank(nothing, np.zeros(0), ONES[:0], ONES[:0])) == 0
