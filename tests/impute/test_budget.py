"""How many cells to look at: the exact bound, curves by hand, and how often the bound fails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from pipeline.data.categories import Attribute
from pipeline.impute.budget import (
    ATTRIBUTE,
    COLUMNS,
    TABLE,
    Doubts,
    curve,
    doubts,
    ranks,
    table,
    upper_bound,
)
from pipeline.impute.fill import Filled, fill_table

NAN = float("nan")


def cells(rank: list[int], known_rank: list[int], wrong: list[int], **parts: list[int]) -> Doubts:
    n, m = len(known_rank), len(rank)
    return Doubts(
        np.array(rank),
        np.array(parts.get("attribute", [0] * m)),
        np.array(known_rank),
        np.array(parts.get("known_attribute", [0] * n)),
        np.array(parts.get("known_row", list(range(n)))),
        np.array(wrong, dtype=bool),
        np.array(parts.get("importance", [1] * n), dtype=float),
    )


def test_ranks_are_by_correctness_then_confidence_and_equal_for_equals() -> None:
    found = ranks(np.array([0.9, 0.8, 0.9, 0.9]), np.array([0.95, 0.99, 0.92, 0.95]))
    assert found.tolist() == [0, 2, 1, 0]


@pytest.mark.parametrize(("known", "unknown"), [(20, 30), (100, 10), (7, 200)])
def test_the_bound_is_the_last_number_that_is_not_too_unlikely(known: int, unknown: int) -> None:
    counts = np.arange(min(known, 6) + 1)
    for count, share in zip(counts, upper_bound(counts, known, unknown), strict=True):
        most = round(share * unknown)
        total = known + unknown
        assert hypergeom.cdf(count, total, count + most, known) > 0.05
        if most < unknown:
            assert hypergeom.cdf(count, total, count + most + 1, known) <= 0.05
    assert upper_bound(np.array([3]), 10, 0).tolist() == [0]


def test_a_curve_by_hand() -> None:
    # Unknown cells of rank 0, 1, 2, 2; known ones of the same ranks, the most doubtful one wrong.
    found = curve(cells([2, 0, 1, 2], [0] * 20 + [1] * 20 + [2] * 20, [0] * 59 + [1]), 0.05)
    assert found.looked_at.tolist() == [0, 2, 3, 4]
    assert found.of == 4
    assert found.wrong_left == pytest.approx([1 / 60, 0, 0, 0])
    one, none = upper_bound(np.array([1, 0]), 60, 4)
    assert found.wrong_left_high == pytest.approx([one, min(none, 0.5), min(none, 0.25), 0])
    # No share but 0 of four cells is below 5 %.
    assert found.enough == (2 if none <= 0.05 else 4)


def test_without_known_cells_nothing_can_be_told() -> None:
    assert curve(cells([1, 2], [], []), 0.05).enough is None
    both = cells([1, 2], [1] * 30, [0] * 30, attribute=[0, 1])
    assert curve(both, 0.05).enough is None
    assert curve(both.of([0]), 0.5).enough == 0
    assert len(curve(both.of([1]), 0.5).looked_at) == 0


def test_attributes_count_as_often_as_they_are_filled() -> None:
    """Of the first, which three of four cells are of, 1 in 10 known ones is wrong."""
    parts = {"attribute": [0] * 30 + [1] * 10, "known_attribute": [0] * 100 + [1] * 100}
    found = curve(cells([0] * 40, [0] * 200, ([1] + [0] * 9) * 10 + [0] * 100, **parts), 0.5)
    assert found.wrong_left[0] == pytest.approx(0.75 * 0.1)


def test_wrong_cells_of_the_same_image_tell_less() -> None:
    wrong = ([1] * 4 + [0] * 36) * 5
    parts = {"attribute": [0, 1, 2, 3] * 50, "known_attribute": [0, 1, 2, 3] * 50}
    apart = curve(cells([0] * 200, [0] * 200, wrong, **parts), 0.5)
    rows = np.repeat(np.arange(50), 4).tolist()
    together = curve(cells([0] * 200, [0] * 200, wrong, known_row=rows, **parts), 0.5)
    assert together.wrong_left.tolist() == apart.wrong_left.tolist()
    assert together.wrong_left_high[0] > apart.wrong_left_high[0] + 0.02


def test_the_bound_fails_as_seldom_as_it_says() -> None:
    rng = np.random.default_rng(0)
    failed = looked = 0
    for _ in range(200):
        doubt = rng.integers(0, 40, 260)
        wrong = rng.random(260) < 0.3 * (doubt / 40) ** 2
        own = cells(doubt[160:].tolist(), doubt[:160].tolist(), wrong[:160].tolist())
        enough = curve(own, 0.06).enough
        assert enough is not None
        left = np.argsort(-own.rank, kind="stable")[enough:]
        failed += wrong[160:][left].sum() / 100 > 0.06
        looked += enough
    # Binomial(200, .05): more than 20 has a chance of 1 in 600.
    assert failed <= 20
    assert looked / 200 < 80, "looking at all of them would never fail"


def two_attributes(seed: int) -> tuple[Filled, np.ndarray, np.ndarray, list[Attribute]]:
    """A filled table of 300 images, its labels with holes, folds and attributes."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (300, 2))
    labels = (rng.random((300, 2)) < 1 / (1 + np.exp(-logits))).astype(float)
    labels[rng.random((300, 2)) < 0.4] = NAN
    fold = np.arange(300) % 5 - 1
    filled = fill_table(logits, labels, fold, np.ones(2, bool), "platt", ["prevalence"] * 2)
    attributes = [Attribute("a", (), 0), Attribute("b", (), 1)]
    return filled, labels, fold, attributes


def test_the_table_of_a_filled_table() -> None:
    filled, labels, fold, attributes = two_attributes(seed=2)
    kept = np.ones((300, 2), dtype=bool)
    found, row = doubts(filled, labels, fold, kept, attributes)
    assert len(row) == len(found.rank) == np.isnan(labels).sum()
    assert np.isnan(labels[row, found.attribute]).all()
    order = np.argsort(-found.rank, kind="stable")
    doubtful_first = filled.correctness[row, found.attribute][order]
    assert (np.diff(doubtful_first) >= -1e-9).all()
    out = table(found, ["a", "b"], [0, 1], [], 0.1)
    assert tuple(out.columns) == COLUMNS
    assert out["scope"].unique().tolist() == [TABLE, ATTRIBUTE]
    for _, part in out.groupby(["scope", "attribute"]):
        assert (part["chosen"] == 1).sum() == 1
        chosen = part[part["chosen"] == 1].iloc[0]
        assert chosen["wrong_left_high"] <= 0.1
        assert (part.loc[part["looked_at"] < chosen["looked_at"], "wrong_left_high"] > 0.1).all()
        assert (np.diff(part["looked_at"]) > 0).all()
        assert (np.diff(part["wrong_left_high"]) <= 0).all()
        assert (part["wrong_left"] <= part["wrong_left_high"] + 1e-12).all()
    # Cells left empty are neither looked at nor wrong.
    kept[:, 1] = False
    alone, _ = doubts(filled, labels, fold, kept, attributes)
    assert set(alone.attribute) == {0}
    assert set(alone.known_attribute) == {0}
    assert set(table(alone, ["a", "b"], [0], [], 0.1)["attribute"]) == {"", "a"}


def test_guessed_attributes_are_no_part_of_the_table_s_bound() -> None:
    filled, labels, fold, attributes = two_attributes(seed=0)
    found, _ = doubts(filled, labels, fold, np.ones((300, 2), dtype=bool), attributes)
    out = table(found, ["a", "b"], [0, 1], [1], 0.1).set_index("scope")
    of_a = out.loc[ATTRIBUTE].query("attribute == 'a'")
    for name in ("looked_at", "of", "wrong_left", "wrong_left_high", "chosen"):
        assert out.loc[TABLE, name].tolist() == of_a[name].tolist()
    assert set(table(found, ["a", "b"], [0, 1], [0, 1], 0.1)["scope"]) == {ATTRIBUTE}
