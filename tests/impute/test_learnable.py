"""Whether an attribute can be told from chance: errors at the stated rate, power for a signal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pipeline.data.verdicts import LEARNABLE, NOT_LEARNABLE, TOO_FEW
from pipeline.impute import learnable
from pipeline.impute.learnable import DEPENDENCE, ERROR_RATE, LEAST, assess
from pipeline.metrics.ranking import auc
from pipeline.metrics.scores import auc_interval

NAN = float("nan")


def table(
    n: int, attributes: int, seed: int, signal: float = 0.0, share: float = 0.4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, attributes)) < share).astype(float)
    return signal * labels + rng.normal(size=labels.shape), labels, np.arange(n) % 4


def test_a_clear_signal_is_found_next_to_noise() -> None:
    scores, labels, fold = table(200, 4, 0)
    scores[:, 2] += 1.5 * labels[:, 2]
    found = assess(scores, labels, fold)
    assert [one.learnable for one in found] == [False, False, True, False]
    assert found[2].auc == pytest.approx(auc(labels[:, 2], scores[:, 2]), abs=0.02)
    assert 0.5 < found[2].low < found[2].auc
    assert found[2].p_value == pytest.approx(1 / (learnable.PERMUTATIONS + 1))


def test_many_labels_are_not_permuted_and_their_p_values_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = [table(400, 3, seed, signal=0.1) for seed in range(4)]
    drawn = [one.p_value for own in tables for one in assess(*own)]
    monkeypatch.setattr(learnable, "MOST_PERMUTED", 399)
    normal = [one.p_value for own in tables for one in assess(*own)]
    assert normal != drawn
    assert normal == pytest.approx(drawn, abs=0.03)


def test_power() -> None:
    found = sum(
        one.learnable
        for seed in range(15)
        for one in assess(*table(120, 3, seed, signal=1.2), seed=(seed,))
    )
    assert found >= 43


def test_scores_that_point_the_wrong_way_are_not_learnable() -> None:
    scores, labels, fold = table(200, 2, 0, signal=-2.0)
    found = assess(scores, labels, fold)
    assert not any(one.learnable for one in found)
    assert {one.verdict for one in found} == {NOT_LEARNABLE}
    assert min(one.p_value for one in found) > 0.99


def test_false_alarms_stay_at_the_stated_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learnable, "PERMUTATIONS", 1000)
    tables = 200
    wrong = sum(
        any(v.learnable for v in assess(*table(80, 4, seed), seed=(seed,)))
        for seed in range(tables)
    )
    # Binomial(200, .05): 18 is its 99th percentile.
    assert ERROR_RATE == 0.05
    assert wrong <= 18


def test_p_values_of_independent_noise_are_conservative(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made for scores that depend on each other: by a spread wider by sqrt(2)."""
    monkeypatch.setattr(learnable, "PERMUTATIONS", 500)
    p = np.array(
        [v.p_value for seed in range(60) for v in assess(*table(60, 4, seed), seed=(seed,))]
    )
    assert DEPENDENCE == 2
    for level in (0.1, 0.3, 0.5, 0.8):
        expected = norm.sf(np.sqrt(DEPENDENCE) * norm.isf(level))
        assert (p <= level).mean() == pytest.approx(expected, abs=3 * np.sqrt(expected * 0.9 / 240))


def test_out_of_fold_scores_of_coins_stay_at_the_stated_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scores of a model, which depend on each other; taken as independent twice as many pass."""
    monkeypatch.setattr(learnable, "PERMUTATIONS", 1000)
    tables, wrong, fold = 300, 0, np.arange(80) % 4
    for seed in range(tables):
        rng = np.random.default_rng([5, seed])
        x, y = rng.normal(size=(80, 30)), (np.arange(80) // 4 % 2).astype(float)
        y = rng.permutation(y)
        scores = np.empty((80, 1))
        for k in range(4):
            rest, centre = fold != k, y[fold != k].mean()
            dual = np.linalg.solve(x[rest] @ x[rest].T + 30 * np.eye(60), y[rest] - centre)
            scores[~rest, 0] = x[~rest] @ (x[rest].T @ dual)
        wrong += assess(scores, y[:, None], fold, seed=(seed,))[0].learnable
    # Binomial(300, .05): 24 is its 99th percentile.
    assert wrong <= 24


def test_the_interval_counts_half_the_labels() -> None:
    scores, labels, fold = table(150, 1, 2, signal=0.8)
    (one,) = assess(scores, labels, fold)
    positive = int(labels.sum())
    sizes = positive // DEPENDENCE, (150 - positive) // DEPENDENCE
    low, _ = auc_interval(one.auc, *sizes, level=1 - 2 * ERROR_RATE)
    assert one.low == low < auc_interval(one.auc, positive, 150 - positive, 0.9)[0]


@pytest.mark.parametrize(("positives", "enough"), [(LEAST - 1, False), (LEAST, True)])
def test_a_handful_of_labels_prove_nothing(positives: int, enough: bool) -> None:
    labels = (np.arange(60) < positives).astype(float)[:, None]
    for y in (labels, 1 - labels):
        (one,) = assess(5 * y, y, np.arange(60) % 3)
        assert one.auc == 1
        assert one.verdict == (LEARNABLE if enough else TOO_FEW)
        assert one.learnable == enough
        assert np.isnan(one.p_value) != enough


def test_one_class_or_nothing_is_not_learnable() -> None:
    labels = np.stack([np.ones(30), np.full(30, NAN)], axis=1)
    found = assess(np.zeros((30, 2)), labels, np.arange(30) % 3)
    assert [one.learnable for one in found] == [False, False]
    assert [one.verdict for one in found] == [TOO_FEW, TOO_FEW]
    assert all(np.isnan([one.auc, one.low, one.p_value]).all() for one in found)


def test_scores_that_only_tell_the_folds_apart_prove_nothing() -> None:
    """A fold with more positives, and a model of it with higher scores: no image is ranked."""
    rng = np.random.default_rng(0)
    fold = np.arange(200) % 2
    labels = (rng.random((200, 1)) < np.where(fold, 0.8, 0.2)[:, None]).astype(float)
    scores = 3.0 * fold[:, None] + rng.normal(size=(200, 1))
    (one,) = assess(scores, labels, fold)
    assert auc(labels[:, 0], scores[:, 0]) > 0.75
    assert one.auc < 0.65
    assert not one.learnable


def test_only_pairs_of_the_same_fold_are_compared() -> None:
    fold = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    labels = np.array([1, 0, 0, 1, 1, 0, 1, 1.0])[:, None]
    scores = np.array([5, 4, 6, -1, -3, -2, 90, 91.0])[:, None]
    (one,) = assess(scores, labels, fold)
    # Won are 5 over 4 and -1 over -2, of two pairs each; fold 2 has no pair.
    assert one.auc == pytest.approx(2 / 4)
    moved = assess(scores + 50.0 * fold[:, None], labels, fold)
    assert moved[0].auc == one.auc


def test_labels_outside_training_are_not_asked() -> None:
    scores, labels, fold = table(120, 2, 3, signal=0.5)
    fold = np.where(np.arange(120) < 40, -1, fold)
    flipped = np.where((fold < 0)[:, None], 1 - labels, labels)
    assert assess(scores, labels, fold) == assess(scores, flipped, fold)
    assert assess(scores, labels, fold) == assess(
        np.where((fold < 0)[:, None], 9.0, scores), labels, fold
    )


def test_many_clear_attributes_ease_the_level_for_a_weaker_one() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((160, 10)) < 0.5).astype(float)
    fold, noise = np.arange(160) % 4, rng.normal(size=(160, 10))
    weak = noise.copy()
    weak[:, 0] += 0.36 * labels[:, 0]
    strong = weak.copy()
    strong[:, 1:] += 3 * labels[:, 1:]
    alone, together = assess(weak, labels, fold)[0], assess(strong, labels, fold)[0]
    assert alone.p_value == together.p_value
    assert ERROR_RATE / 10 < alone.p_value < ERROR_RATE
    assert (alone.learnable, together.learnable) == (False, True)


def test_p_values_of_a_wide_table_are_finer_than_the_draws_and_near_to_what_more_draws_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(rng.integers(0, 2, (400, 1)), 60, axis=1).astype(float)
    scores = rng.normal(size=(400, 60)) + np.linspace(0.2, 0.8, 60) * labels
    fold = np.arange(400) % 5
    few = np.array([one.p_value for one in assess(scores, labels, fold)])
    monkeypatch.setattr(learnable, "PERMUTATIONS", 40_000)
    many = np.array([one.p_value for one in assess(scores, labels, fold)])
    assert few.min() < 1 / 4001
    assert few.min() >= 1 / 6000
    compared = many > 1e-4
    assert np.abs(np.log(few[compared] / many[compared])).max() < 0.7
