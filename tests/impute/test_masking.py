"""Hiding labels around known cells so that they look like unknown ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.impute.masking import like_unknown

NAN = float("nan")


def split(labels: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(labels[:, target])
    return np.flatnonzero(known), np.flatnonzero(~known)


def others_known(labels: np.ndarray, target: int) -> np.ndarray:
    return (~np.isnan(np.delete(labels, target, axis=1))).sum(axis=1)


def test_whole_rows_unknown_hide_every_other_label() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (40, 5)).astype(float)
    labels[25:] = NAN
    out = like_unknown(labels, 2, *split(labels, 2), (0,))
    assert np.isnan(np.delete(out, 2, axis=1)).all()
    assert (out[:25, 2] == labels[:25, 2]).all()


def test_nothing_is_hidden_where_donors_know_as_much() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (40, 5)).astype(float)
    labels[25:, 2] = NAN
    out = like_unknown(labels, 2, *split(labels, 2), (0,))
    assert out.dtype == np.float32
    assert np.array_equal(out, labels, equal_nan=True)


def test_donors_own_columns_are_kept_first() -> None:
    labels = np.ones((30, 5))
    labels[20:] = [NAN, NAN, 1, NAN, 0]
    out = like_unknown(labels, 0, *split(labels, 0), (0,))
    expected = np.tile([1, NAN, 1, NAN, 1], (20, 1))
    assert np.array_equal(out[:20], expected, equal_nan=True)


def test_no_donor_no_row_or_no_other_column_hides_nothing() -> None:
    labels = np.random.default_rng(1).choice([0.0, 1.0, NAN], (20, 3))
    none = np.array([], dtype=int)
    for rows, donors in ((np.arange(9), none), (none, np.arange(9))):
        assert np.array_equal(like_unknown(labels, 0, rows, donors, (0,)), labels, equal_nan=True)
    single = labels[:, :1]
    assert np.array_equal(like_unknown(single, 0, *split(single, 0), (0,)), single, equal_nan=True)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(0.05, 0.9))
def test_invariants(seed: int, attributes: int, unknown: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (50, attributes)).astype(float)
    labels[rng.random(labels.shape) < unknown] = NAN
    labels[rng.random(50) < 0.2] = NAN
    before = labels.copy()
    target = int(rng.integers(attributes))
    rows, donors = split(labels, target)
    out = like_unknown(labels, target, rows, donors, (seed,))
    assert np.array_equal(labels, before, equal_nan=True), "the input is left alone"
    assert np.array_equal(out[:, target], labels[:, target], equal_nan=True)
    assert np.array_equal(out[donors], labels[donors], equal_nan=True)
    shown = ~np.isnan(out)
    assert (out[shown] == labels[shown]).all(), "nothing is made up"
    if len(rows) and len(donors):
        have, left = others_known(labels, target), others_known(out, target)
        # Paired by rank: the k-th poorest row keeps no more than the donor of its rank has.
        ranks = (np.arange(len(rows)) * len(donors)) // len(rows)
        expected = np.minimum(np.sort(have[rows]), np.sort(have[donors])[ranks])
        assert np.sort(left[rows]).tolist() == np.sort(expected).tolist()


def test_the_number_of_known_others_is_distributed_as_around_unknown_cells() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, (4000, 6)).astype(float)
    donors = np.arange(4000) < 1000
    labels[donors, 0] = NAN
    labels[np.flatnonzero(donors)[:, None], np.arange(1, 6)] = np.where(
        rng.random((1000, 5)) < 0.6, NAN, 1
    )
    out = like_unknown(labels, 0, *split(labels, 0), (0,))
    count = others_known(out, 0)
    wanted = np.bincount(count[donors], minlength=6) / 1000
    assert np.abs(np.bincount(count[~donors], minlength=6) / 3000 - wanted).max() < 0.001
    # The same columns, too, not only as many.
    hidden = np.isnan(out[:, 1:])
    np.testing.assert_allclose(hidden[~donors].mean(axis=0), hidden[donors].mean(axis=0), atol=0.01)


def test_ties_are_broken_by_the_seed_alone() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, (40, 6)).astype(float)
    labels[:20][rng.random((20, 6)) < 0.6] = NAN
    one, two, other = (
        like_unknown(labels, 0, *split(labels, 0), seed) for seed in ((1,), (1,), (2,))
    )
    assert np.array_equal(one, two, equal_nan=True)
    assert not np.array_equal(one, other, equal_nan=True)
