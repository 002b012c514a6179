"""The stack: weights that stay above 0, are learned where labels tell, and see no own fold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipeline.impute import stacking
from pipeline.impute.stacking import BOUND, Stack, alone, cross_stack, fit_stack, worth_it

NAN = float("nan")


def table(
    n: int = 400, attributes: int = 3, seed: int = 0, slopes: tuple[float, ...] = (1.0, 0.0)
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates [M, n, A] of which each tells with its slope, and the labels."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, (len(slopes), n, attributes))
    y = rng.random((n, attributes)) < expit(np.tensordot(np.array(slopes), z, axes=1))
    return z, y.astype(float)


def test_weights_of_a_large_table_are_learned_from_some_of_its_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    z, y = table(6000, 2, slopes=(1.0, 0.3))
    y[:, 1] = np.random.default_rng(1).random(6000) < expit(z[0, :, 1] - 4)
    every = np.ones(y.shape, dtype=bool)
    whole = fit_stack(z, y, every)
    monkeypatch.setattr(stacking, "MOST_CELLS", 6000)
    assert (fit_stack(z, y, every).weights == whole.weights).all()
    monkeypatch.setattr(stacking, "MOST_CELLS", 3000)
    part = fit_stack(z, y, every)
    assert (part.weights != whole.weights).any()
    # Half of the rare ones' cells are positive, but the offset is that of the table.
    assert part.weights == pytest.approx(whole.weights, abs=0.15)
    assert part.offsets == pytest.approx(whole.offsets, abs=0.2)


def named(candidates: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip("abcdef", candidates, strict=False))


def test_weights_are_given_by_name() -> None:
    z, y = table(300, 2, slopes=(0.8, 0.0))
    found = cross_stack(named(z), y, np.arange(300) % 3)
    whole = fit_stack(z, y, np.ones(y.shape, dtype=bool))
    assert list(found.weights) == list(found.shared) == ["a", "b"]
    for column, name in enumerate("ab"):
        assert (found.weights[name] == whole.weights[:, column]).all()
        assert found.shared[name] == pytest.approx(whole.shared[column], abs=1e-4)
    single = alone("a", z[0])
    assert (single.logits == z[0]).all()
    assert (single.weights["a"].tolist(), single.shared) == ([1, 1], {"a": 1})


def test_logits_by_hand() -> None:
    stack = Stack(np.array([[0.5, 2.0]]), np.array([-1.0]), np.zeros(3))
    out = stack(np.array([[[1.0], [100.0]], [[3.0], [0.0]]]))
    assert out.tolist() == [[0.5 + 6 - 1], [BOUND / 2 - 1]]


def test_weights_are_recovered_and_a_useless_candidate_gets_nothing() -> None:
    z, y = table(4000, 1, slopes=(0.8, 0.0, 0.4, -0.5))
    stack = fit_stack(z, y, np.ones(y.shape, dtype=bool))
    np.testing.assert_allclose(stack.weights, [[0.8, 0.0, 0.4, 0.0]], atol=0.07)
    assert stack.weights[0, 3] == 0
    assert stack.offsets[0] == pytest.approx(0, abs=0.1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(5, 80))
def test_no_weight_is_negative(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 4, (3, n, 2))
    y = rng.integers(0, 2, (n, 2)).astype(float)
    stack = fit_stack(z, y, rng.random((n, 2)) < 0.7)
    assert (stack.weights >= 0).all()
    assert (stack.shared[:-1] >= 0).all()
    assert np.isfinite(stack(z)).all()


def test_a_rare_attribute_takes_the_shared_weights_a_common_one_its_own() -> None:
    common, y_common = table(3000, 4, slopes=(1.0, 0.0), seed=1)
    odd, y_odd = table(3000, 1, slopes=(0.0, 1.0), seed=2)
    z = np.concatenate([common, odd], axis=2)
    y = np.concatenate([y_common, y_odd], axis=1)
    own = []
    for labels_of_odd in (0, 2, 40, 3000):
        scored = np.ones(y.shape, dtype=bool)
        scored[labels_of_odd:, -1] = False
        stack = fit_stack(z, y, scored)
        own.append(stack.weights[-1])
        np.testing.assert_allclose(stack.weights[:-1], [[1, 0]] * 4, atol=0.15)
        if labels_of_odd == 0:
            assert (own[0] == stack.shared[:-1]).all()
    np.testing.assert_allclose(own[1], own[0], atol=0.25)
    np.testing.assert_allclose(own[-1], [0, 1], atol=0.15)
    assert (np.diff([weights[1] for weights in own]) > 0).all()


def test_without_a_label_all_candidates_count_alike() -> None:
    stack = fit_stack(np.ones((4, 5, 2)), np.full((5, 2), NAN), np.zeros((5, 2), dtype=bool))
    assert stack.weights.tolist() == [[0.25] * 4] * 2
    assert stack.offsets.tolist() == [0, 0]


def test_the_offset_follows_the_prevalence() -> None:
    z, y = np.zeros((1, 400, 1)), (np.arange(400) < 100).astype(float)[:, None]
    stack = fit_stack(z, y, np.ones(y.shape, dtype=bool))
    assert expit(stack.offsets[0]) == pytest.approx(0.25, abs=0.002)


def test_weights_of_a_fold_do_not_see_its_labels() -> None:
    z, y = table(120, 3, seed=3)
    y[np.random.default_rng(3).random(y.shape) < 0.3] = NAN
    fold = np.arange(120) % 4 - 1
    before = cross_stack(named(z), y, fold).logits
    whole = fit_stack(z, y, ~np.isnan(y) & (fold >= 0)[:, None])
    for k in range(-1, 3):
        after = cross_stack(named(z), np.where((fold == k)[:, None], 1 - y, y), fold).logits
        own = (fold == k)[:, None] & ~np.isnan(y)
        if k < 0:
            assert (before == after).all(), "labels outside training shape nothing"
        else:
            assert (before[own] == after[own]).all()
            others = ~own & ~np.isnan(y) & (fold >= 0)[:, None]
            assert (before[others] != after[others]).all()
    rest = np.isnan(y) | (fold < 0)[:, None]
    assert (before[rest] == whole(z)[rest]).all()
    assert (before[~rest] != whole(z)[~rest]).all()


def test_known_cells_are_scored_by_the_stack_of_the_other_folds() -> None:
    z, y = table(90, 2, seed=4)
    fold = np.arange(90) % 3
    out = cross_stack(named(z), y, fold).logits
    for k in range(3):
        inside = fold == k
        part = fit_stack(z[:, ~inside], y[~inside], np.ones((60, 2), dtype=bool))
        np.testing.assert_allclose(out[inside], part(z)[inside], atol=1e-9)


def test_the_stack_is_kept_where_it_beats_the_simple_candidate_by_a_standard_error() -> None:
    z, y = table(400, 1, slopes=(1.0, 1.0), seed=5)
    fold = np.arange(400) % 4
    assert worth_it(z.sum(axis=0), z[0], y, fold)
    assert not worth_it(z[0], z.sum(axis=0), y, fold)
    assert not worth_it(z[0], z[0], y, fold)
    # Only known training cells count: without them there is no reason to keep it.
    assert not worth_it(z.sum(axis=0), z[0], y, np.full(400, -1))
    assert not worth_it(z.sum(axis=0), z[0], np.full(y.shape, NAN), fold)
