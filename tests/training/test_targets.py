"""What the final classifier learns from, and when imputing is given up."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.training.targets import (
    IMPUTE,
    MASK,
    NEGATIVE,
    VARIANTS,
    compared,
    keep,
    of_learnable,
    targets,
)

NAN = float("nan")
KNOWN = np.array([[1, NAN, 0], [NAN, NAN, NAN]])
PROBABILITY = np.array([[0.9, 0.8, 0.3], [0.25, 0.6, 0.7]])
FILLED = np.array([[1, 1, 0], [0, NAN, 1]])
WEIGHT = np.array([[1, 0.5, 1], [0.25, 0.75, 0]])


@pytest.mark.parametrize(
    ("variant", "soft", "values", "weights"),
    [
        (IMPUTE, True, [[1, 0.8, 0], [0.25, NAN, NAN]], [[1, 0.5, 1], [0.25, 1, 1]]),
        (IMPUTE, False, [[1, 1, 0], [0, NAN, NAN]], [[1, 0.5, 1], [0.25, 1, 1]]),
        (MASK, True, KNOWN, np.ones((2, 3))),
        (NEGATIVE, True, [[1, 0, 0], [0, 0, 0]], np.ones((2, 3))),
    ],
)
def test_targets_by_hand(variant: str, soft: bool, values: object, weights: object) -> None:
    probability = np.where(np.isnan(FILLED), NAN, PROBABILITY)
    out = targets(variant, KNOWN, probability, FILLED, WEIGHT, soft)
    assert out.values.dtype == out.weights.dtype == np.float32
    np.testing.assert_allclose(out.values, values)
    shown = ~np.isnan(out.values)
    np.testing.assert_allclose(out.weights[shown], np.asarray(weights)[shown])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("soft", [True, False])
def test_known_cells_are_learned_as_they_are(variant: str, soft: bool) -> None:
    before = KNOWN.copy()
    out = targets(variant, KNOWN, 1 - PROBABILITY, FILLED, WEIGHT / 2, soft)
    known = ~np.isnan(KNOWN)
    assert (out.values[known] == KNOWN[known]).all()
    assert (out.weights[known] == 1).all()
    assert np.array_equal(KNOWN, before, equal_nan=True)


def test_unknown_variant() -> None:
    with pytest.raises(ValueError, match="unknown variant 'guess'"):
        targets("guess", KNOWN, PROBABILITY, FILLED, WEIGHT, True)


def test_imputing_is_kept_only_where_it_helps() -> None:
    mask = np.random.default_rng(0).random(50)
    noise = np.random.default_rng(1).normal(0, 0.1, 50)
    noise -= noise.mean()
    for harm, kept in ((0.01, MASK), (-0.01, IMPUTE)):
        losses = {IMPUTE: mask + noise + harm, MASK: mask, NEGATIVE: mask - 9}
        assert keep(IMPUTE, losses) == kept
        for asked in (MASK, NEGATIVE):
            assert keep(asked, losses) == asked
    assert keep(IMPUTE, dict.fromkeys(VARIANTS, mask)) == MASK, "a tie brings nothing"


def test_without_validation_cells_nothing_shows_that_imputing_helps() -> None:
    nothing = dict.fromkeys(VARIANTS, np.zeros(0))
    assert keep(IMPUTE, nothing) == MASK
    assert [keep(asked, nothing) for asked in (MASK, NEGATIVE)] == [MASK, NEGATIVE]


def test_models_are_compared_on_learnable_attributes() -> None:
    known = np.array([[1, 0, NAN], [0, NAN, 1]])
    np.testing.assert_array_equal(
        of_learnable(known, np.array([True, False, True])), [[1, NAN, NAN], [0, NAN, 1]]
    )
    np.testing.assert_array_equal(of_learnable(known, np.zeros(3, dtype=bool)), known)
    assert compared(np.zeros(3, dtype=bool)) == "all attributes, none learnable"


def test_taking_unknown_cells_for_zero_leaves_categorical_ones_out() -> None:
    known = np.array([[1, np.nan, np.nan, np.nan], [np.nan, 0, 1, 0]])
    zeros = np.zeros(known.shape)
    found = targets("negative", known, zeros, zeros, zeros, True, [(1, 4)])
    np.testing.assert_array_equal(found.values, [[1, np.nan, np.nan, np.nan], [0, 0, 1, 0]])
