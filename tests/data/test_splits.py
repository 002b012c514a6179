"""Splits: sizes, balance of values and of what is known, whole groups, reproducibility."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.labels import LabelTable
from pipeline.data.splits import (
    balanced_folds,
    duplicate_groups,
    iterative_split,
    out_of_fold,
    read_folds,
    write_folds,
)
from pipeline.errors import PipelineError

NAN = float("nan")
FRACTIONS = [0.7, 0.1, 0.2]


def random_values(rng: np.random.Generator, rows: int, attributes: int) -> np.ndarray:
    """[rows, attributes]: prevalence from 3 % to 97 %, up to half of the cells unknown."""
    prevalence = rng.uniform(0.03, 0.97, attributes)
    missing = rng.uniform(0.02, 0.5, attributes)
    values = (rng.random((rows, attributes)) < prevalence).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    return values


def split(values: np.ndarray, groups: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    groups = np.arange(len(values)) if groups is None else groups
    return iterative_split(values, groups, FRACTIONS, np.random.default_rng(seed))


def test_duplicate_groups() -> None:
    groups = duplicate_groups(["b", "a", "b", "c", "a"])
    assert groups.tolist() == [0, 1, 0, 2, 1]
    assert groups.dtype == np.int64
    assert duplicate_groups([]).tolist() == []


@pytest.mark.parametrize("attributes", [1, 4, 10, 40])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_values_and_knownness_are_balanced(attributes: int, seed: int) -> None:
    values = random_values(np.random.default_rng(seed), 1000, attributes)
    assigned = split(values, seed=seed)
    for state in (values == 1, values == 0, np.isnan(values)):
        for subset, share in enumerate(FRACTIONS):
            off = state[assigned == subset].sum(axis=0) - share * state.sum(axis=0)
            # Random assignment is off by 10 to 30 rows here.
            assert np.abs(off).max() <= (2 if attributes <= 4 else 6)


def test_better_balanced_than_a_random_split() -> None:
    rng = np.random.default_rng(7)
    values = random_values(rng, 1000, 20)
    states = np.hstack([values == 1, values == 0, np.isnan(values)])

    def worst(assigned: np.ndarray) -> float:
        return float(np.abs(states[assigned == 1].sum(axis=0) - 0.1 * states.sum(axis=0)).max())

    random = rng.choice(3, size=1000, p=FRACTIONS)
    assert worst(split(values)) < worst(random) / 3


@settings(max_examples=60)
@given(
    rows=st.integers(20, 400),
    attributes=st.integers(0, 6),
    test=st.floats(0.05, 0.5),
    val=st.floats(0.05, 0.4),
    seed=st.integers(0, 2**31 - 1),
)
def test_sizes_are_as_asked_to_a_row(
    rows: int, attributes: int, test: float, val: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    fractions = np.array([1 - test - val, val, test])
    values = random_values(rng, rows, attributes)
    assigned = iterative_split(values, np.arange(rows), fractions.tolist(), rng)
    off = np.bincount(assigned, minlength=3) - fractions * rows
    assert np.abs(off).max() <= 1.5


@settings(max_examples=60)
@given(sizes=st.lists(st.integers(1, 6), min_size=10, max_size=80), seed=st.integers(0, 2**31 - 1))
def test_groups_are_never_divided(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes)) * 3, sizes))  # gaps in the numbers
    assigned = split(random_values(rng, len(groups), 3), groups, seed)
    for group in np.unique(groups):
        assert len(np.unique(assigned[groups == group])) == 1
    off = np.bincount(assigned, minlength=3) - np.array(FRACTIONS) * len(groups)
    assert np.abs(off).max() <= max(sizes) + 0.5


def test_two_percent_of_the_sizes_with_duplicates() -> None:
    rng = np.random.default_rng(3)
    values = random_values(rng, 2000, 5)
    groups = np.sort(rng.integers(0, 1200, 2000))
    shares = np.bincount(split(values, groups)) / 2000
    np.testing.assert_allclose(shares, FRACTIONS, atol=0.002)


def test_a_huge_group_goes_where_there_is_room() -> None:
    groups = np.where(np.arange(100) < 60, 0, np.arange(100))
    values = np.tile([[1.0], [0.0]], (50, 1))
    assigned = split(values, groups)
    assert set(assigned[:60]) == {0}
    assert np.bincount(assigned).tolist() == [70, 10, 20]


def test_rare_positives_reach_every_subset() -> None:
    values = np.zeros((1000, 3), dtype=np.float32)
    values[:10, 1] = 1
    assert np.bincount(split(values)[:10]).tolist() == [7, 1, 2]


def test_reproducible_and_seeded() -> None:
    values = random_values(np.random.default_rng(5), 200, 4)
    first = split(values, seed=42)
    assert first.tolist() == split(values, seed=42).tolist()
    assert first.tolist() != split(values, seed=43).tolist()
    assert first.dtype == np.int64


def test_exact_assignment() -> None:
    values = np.array([[1, np.nan], [0, 1], [1, 0], [0, 0], [1, 1], [0, np.nan]] * 3)
    assert split(values).tolist() == [0, 0, 0, 0, 0, 1, 0, 2, 2, 0, 0, 0, 2, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("k", [2, 3, 5])
def test_folds_are_equal_and_keep_groups(k: int) -> None:
    rng = np.random.default_rng(k)
    values = random_values(rng, 300, 4)
    groups = np.arange(300) // 2
    folds = balanced_folds(values, groups, k, rng)
    assert folds.dtype == np.int64
    assert sorted(set(folds)) == list(range(k))
    assert np.ptp(np.bincount(folds)) <= 2
    assert (folds[::2] == folds[1::2]).all()


@pytest.mark.parametrize("k", [2, 5])
def test_folds_are_better_balanced_than_most_random_ones(k: int) -> None:
    rng = np.random.default_rng(k)
    values = random_values(rng, 200, 3)
    states = np.hstack([values == 1, values == 0, np.isnan(values)]).astype(float)
    total = np.maximum(states.sum(axis=0), 1)

    def distance(folds: np.ndarray) -> float:
        counts = np.stack([states[folds == number].sum(axis=0) for number in range(k)])
        return float((np.square(counts - total / k) / total).sum())

    ours = distance(balanced_folds(values, np.arange(200), k, rng))
    random = [distance(rng.permutation(200) % k) for _ in range(300)]
    assert ours <= np.quantile(random, 0.03)


def test_folds_are_reproducible_and_seeded() -> None:
    values = random_values(np.random.default_rng(5), 60, 4)
    one, two, other = (
        balanced_folds(values, np.arange(60), 3, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert one.tolist() == two.tolist() != other.tolist()


def test_pairs_of_labels_meet_in_folds_as_by_chance() -> None:
    """What is common in one fold may not be made rare in the others for it."""
    rng = np.random.default_rng(0)
    between = []
    for _ in range(60):
        values = rng.integers(0, 2, (30, 6)).astype(float)
        folds = balanced_folds(values, np.arange(30), 3, rng)
        signs = 2 * values - 1
        for a, b in ((0, 1), (2, 3), (4, 5)):
            product = signs[:, a] * signs[:, b]
            sums = np.array([product[folds == number].sum() for number in range(3)])
            between.append(((sums - sums.mean()) ** 2).sum() / 2 / product.var() / 10)
    # Sums of ten random cells without replacement; over-balanced pairs would give far less.
    # Divisions balanced by each label alone leave 1 on average, give or take 0.075.
    assert np.mean(between) == pytest.approx(1, abs=0.22)


def test_more_folds_than_groups() -> None:
    values, groups = np.ones((6, 1)), np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(PipelineError, match=r"impute\.folds: got 5, expected at most 3"):
        balanced_folds(values, groups, 5, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("values", "groups", "fractions"),
    [
        (np.ones((3, 2)), np.arange(2), [0.5, 0.5]),
        (np.ones(3), np.arange(3), [0.5, 0.5]),
        (np.ones((3, 2)), np.arange(3), [0.5, 0.4]),
        (np.ones((3, 2)), np.arange(3), [1.0, 0.0]),
        (np.ones((3, 2)), np.arange(3), []),
    ],
)
def test_refuses_what_does_not_fit(
    values: np.ndarray, groups: np.ndarray, fractions: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"fit|fractions"):
        iterative_split(values, groups, fractions, np.random.default_rng(0))


def test_out_of_fold_by_hand() -> None:
    logits = np.array([[NAN, 1.0, 3.0], [2.0, NAN, 5.0]])
    assert out_of_fold(logits, np.array([1, 0, -1])).tolist() == [2.0, 1.0, 4.0]


def test_folds_are_read_as_written(tmp_path: Path) -> None:
    split = ["train", "test", "train"]
    table = LabelTable.binary(["NA", "b.png", "c.png"], ["x"], np.ones((3, 1)), split)
    write_folds(table, np.array([1, -1, 0]), tmp_path)
    assert read_folds(tmp_path).tolist() == [1, -1, 0]
    assert (tmp_path / "folds.csv").read_text() == (
        "image,split,fold\nNA,train,1\nb.png,test,-1\nc.png,train,0\n"
    )
