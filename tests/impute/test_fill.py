"""Scores into filled cells: probability, value, expected correctness, weight and evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from pipeline.data.categories import Attribute
from pipeline.impute import budget, calibration
from pipeline.impute.fill import (
    EVIDENCE,
    LABELS,
    ONE_CLASS,
    PICTURE,
    PRIOR,
    UNPROMISED,
    Filled,
    UnkeptColumnsError,
    fill_table,
    supported,
)
from pipeline.impute.learnable import LEAST
from pipeline.metrics import risk_control, thresholds
from pipeline.metrics.thresholds import Rule


def drawn(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence, that of known cells, and which of them are right, with ties among them."""
    rng = np.random.default_rng(seed)
    return rng.random(40).round(1), rng.random(n).round(1), rng.random(n) < 0.7


def reference(sure: float, known: np.ndarray, right: np.ndarray) -> float:
    """By the words: at least as sure, or any larger such group, whichever is highest.

    Where nobody is as sure, the surest are the smallest group.
    """
    least = (known >= sure).sum()
    groups = [known >= level for level in known if (known >= level).sum() >= least]
    shares = [(right[group].sum() + 1) / (group.sum() + 2) for group in groups]
    return min(sure, max(shares, default=0.5))


def test_by_hand() -> None:
    known = np.array([0.9, 0.8, 0.7, 0.6])
    right = np.array([True, True, False, True])
    # Smoothed shares from the surest down: 2/3, 3/4, 3/5, 4/6.
    out = supported(np.array([0.99, 0.9, 0.8, 0.75, 0.7, 0.6, 0.55]), known, right)
    assert out == pytest.approx([3 / 4, 3 / 4, 3 / 4, 3 / 4, 4 / 6, 0.6, 0.55])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 30))
def test_never_above_the_probability_nor_above_what_so_few_labels_allow(seed: int, n: int) -> None:
    sure, known, right = drawn(seed, n)
    out = supported(sure, known, right)
    assert (out <= sure).all()
    assert (out <= (n + 1) / (n + 2)).all()
    assert (out >= np.minimum(sure, 1 / (n + 2))).all()
    order = np.argsort(sure, kind="stable")
    assert (np.diff(out[order]) >= -1e-12).all(), "surer cells are known no less"


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_all_right_or_all_wrong(seed: int, n: int) -> None:
    sure, known, _ = drawn(seed, n)
    best = supported(sure, known, np.ones(n, dtype=bool))
    assert best == pytest.approx(np.minimum(sure, (n + 1) / (n + 2)))
    worst = supported(sure, known, np.zeros(n, dtype=bool))
    assert (worst <= 1 / 3).all()


def test_without_labels_nothing_is_expected_beyond_a_coin() -> None:
    none = np.zeros(0)
    assert supported(np.array([0.99, 0.4]), none, none.astype(bool)).tolist() == [0.5, 0.4]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 30), st.booleans())
def test_it_is_as_described(seed: int, n: int, ties: bool) -> None:
    sure, known, right = drawn(seed, n)
    if not ties:
        rng = np.random.default_rng(seed)
        sure, known = rng.random(40), rng.random(n)
    expected = [reference(one, known, right) for one in sure]
    assert supported(sure, known, right) == pytest.approx(expected)


def test_ties_are_in_or_out_together() -> None:
    known = np.array([0.9, 0.8, 0.8, 0.8, 0.7])
    right = np.array([False, True, True, False, False])
    # Smoothed shares: 1/3 of one, 3/6 of four, 3/7 of five; none of two or three.
    out = supported(np.array([0.95, 0.9, 0.8, 0.75, 0.7]), known, right)
    assert out == pytest.approx([3 / 6, 3 / 6, 3 / 6, 3 / 6, 3 / 7])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_the_order_of_the_labels_does_not_matter(seed: int, n: int) -> None:
    sure, known, right = drawn(seed, n)
    order = np.random.default_rng(seed).permutation(n)
    one, two = (
        supported(sure, known, right),
        supported(sure, known[order], right[order]),
    )
    assert one == pytest.approx(two)


NAN = float("nan")


def table(
    seed: int, n: int = 200, attributes: int = 2, unknown: float = 0.3
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores, labels with holes, folds with -1 among them, and the truth."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, (n, attributes))
    truth = (rng.random(scores.shape) < expit(1.5 * scores - 0.5)).astype(float)
    labels = np.where(rng.random(scores.shape) < unknown, NAN, truth)
    return scores, labels, rng.permutation(n) % 5 - 1, truth


def fill(
    scores: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    rule: Rule = "prevalence",
    learnable: bool = True,
    priors: list[float | None] | None = None,
    reads_labels: bool = True,
) -> Filled:
    every = np.full(labels.shape[1], learnable)
    return fill_table(
        scores, labels, fold, every, "platt", [rule] * len(every), priors, reads_labels
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 0.97), st.booleans(), st.sampled_from(["f1", 0.3]))
def test_invariants(seed: int, unknown: float, learnable: bool, rule: str | float) -> None:
    scores, labels, fold, _ = table(seed, n=100, unknown=unknown)
    filled = fill(scores, labels, fold, rule, learnable)
    known = ~np.isnan(labels)
    audited = known & (fold >= 0)[:, None]
    assert np.isin(filled.values, (0, 1)).all()
    assert (filled.values[known] == labels[known]).all(), "known cells never change"
    assert ((filled.probability > 0) & (filled.probability < 1)).all()
    assert (filled.correctness[known] == 1).all() and (filled.weight[known] == 1).all()
    assert (filled.evidence[known] == "").all()
    assert np.isin(filled.evidence[~known], EVIDENCE).all()
    assert (np.isnan(filled.held_out) == ~audited).all()
    assert (np.isnan(filled.decided) == ~audited).all()
    assert (np.isnan(filled.held_out_correctness) == ~audited).all()
    assert (filled.importance == 1).all(), "nobody knows of another prevalence"
    assert np.isin(filled.decided[audited], (0, 1)).all()
    assert (filled.probability[audited] == filled.held_out[audited]).all()
    cut = filled.probability >= filled.threshold
    # Without a training label the share is a half, and 0 is filled in.
    cut &= audited.any(axis=0)
    assert (filled.values[~known] == cut[~known]).all()
    sure = np.where(filled.values == 1, filled.probability, 1 - filled.probability)
    assert (filled.correctness[~known] <= sure[~known] + (1e-12 if learnable else 0.01)).all()
    assert ((filled.weight >= 0) & (filled.weight <= 1)).all()


def test_a_weight_is_nothing_at_a_coin_and_grows_with_the_square() -> None:
    scores, labels, fold, _ = table(0)
    filled = fill(scores, labels, fold)
    unknown = np.isnan(labels)
    expected = np.maximum(2 * filled.correctness[unknown] - 1, 0) ** 2
    assert filled.weight[unknown] == pytest.approx(expected)
    assert filled.weight[unknown].max() > 0.5


def test_values_and_expected_correctness_agree_with_the_truth() -> None:
    scores, labels, fold, truth = table(1, n=2000)
    filled = fill(scores, labels, fold)
    unknown = np.isnan(labels)
    right = (filled.values == truth)[unknown]
    assert right.mean() > 0.78
    assert filled.correctness[unknown].mean() == pytest.approx(right.mean(), abs=0.03)
    assert filled.probability[unknown].mean() == pytest.approx(truth[unknown].mean(), abs=0.03)


def test_evidence_says_whether_another_label_of_the_row_is_known() -> None:
    scores, labels, fold, _ = table(2, attributes=3)
    labels[:30] = NAN
    filled = fill(scores, labels, fold)
    unknown = np.isnan(labels)
    alone = unknown & unknown.all(axis=1)[:, None]
    assert set(filled.evidence[alone]) == {PICTURE}
    assert set(filled.evidence[unknown & ~alone]) == {LABELS}
    single = fill(scores[:, :1], labels[:, :1], fold)
    assert set(single.evidence[unknown[:, 0], 0]) == {PICTURE}
    unread = fill(scores, labels, fold, reads_labels=False)
    assert set(unread.evidence[unknown]) == {PICTURE}, "known, but no model reads them"


def test_held_out_cells_are_settled_without_their_fold() -> None:
    scores, labels, fold, _ = table(3, attributes=1)
    before = fill(scores, labels, fold, "f1")
    for k in range(4):
        inside = (fold == k) & ~np.isnan(labels[:, 0])
        flipped = np.where((fold == k)[:, None], 1 - labels, labels)
        after = fill(scores, flipped, fold, "f1")
        assert (after.held_out[inside] == before.held_out[inside]).all()
        others = (fold != k) & (fold >= 0) & ~np.isnan(labels[:, 0])
        assert (after.held_out[others] != before.held_out[others]).all()


@pytest.mark.parametrize("rule", ["f1", "balanced", "accuracy", "prevalence", 0.3])
def test_decisions_follow_thresholds_chosen_without_the_folds_labels(rule: str | float) -> None:
    scores, labels, fold, _ = table(4, attributes=1)
    filled = fill(scores, labels, fold, rule)
    unknown = np.isnan(labels[:, 0])
    cells = ~unknown & (fold >= 0)
    p, y, k = filled.held_out[cells, 0], labels[cells, 0], fold[cells]
    by_count = rule == "prevalence"
    for number in range(4):
        inside = k == number
        if by_count:
            cut = thresholds.expected(p[inside])
        else:
            cut = thresholds.choose(rule, p[~inside], y[~inside])
        assert (filled.decided[cells, 0][inside] == (p[inside] >= cut)).all()
    if by_count:
        assert filled.threshold[0] == thresholds.expected(filled.probability[unknown, 0])
        positives = filled.values[unknown, 0].sum()
        assert positives == pytest.approx(filled.probability[unknown, 0].sum(), abs=0.5 + 1e-9)
    else:
        assert filled.threshold[0] == thresholds.choose(rule, p, y)


def test_correctness_is_backed_for_each_value_by_itself_and_without_the_fold() -> None:
    scores, labels, fold, _ = table(4, attributes=1)
    filled = fill(scores - 3, labels, fold, "f1")
    unknown = np.isnan(labels[:, 0])
    cells = ~unknown & (fold >= 0)
    p, y, k = filled.held_out[cells, 0], labels[cells, 0], fold[cells]
    decided = filled.decided[cells, 0]
    sure, right = np.where(decided == 1, p, 1 - p), decided == y
    for value in (0, 1):
        own = decided == value
        assert 5 < own.sum() < len(own)
        new = unknown & (filled.values[:, 0] == value)
        chance = filled.probability[new, 0] if value else 1 - filled.probability[new, 0]
        expected = supported(chance, sure[own], right[own])
        assert filled.correctness[new, 0] == pytest.approx(expected)
        assert supported(chance, sure, right) != pytest.approx(expected), "or it would not show"
        for number in range(4):
            inside, rest = own & (k == number), own & (k != number)
            expected = supported(sure[inside], sure[rest], right[rest])
            assert filled.held_out_correctness[cells, 0][inside] == pytest.approx(expected)


def test_the_sure_negatives_of_a_rare_attribute_prove_nothing_of_its_positives() -> None:
    rng = np.random.default_rng(0)
    scores = np.r_[np.full(300, -4.0), np.full(30, 4.0)][:, None] + rng.normal(0, 0.1, (330, 1))
    labels = (scores > 0).astype(float)
    # A third of the positives that the scores are so sure of are none.
    labels[300:, 0] = np.arange(30) % 3 > 0
    labels[::10] = NAN
    filled = fill(scores, labels, rng.permutation(330) % 5, 0.5)
    unknown = np.isnan(labels[:, 0])
    with_prior = filled.values[:, 0] == 1
    assert filled.correctness[unknown & ~with_prior, 0].min() > 0.97
    assert filled.correctness[unknown & with_prior, 0].max() < 0.8


def test_labels_outside_training_decide_nothing() -> None:
    scores, labels, fold, _ = table(5)
    flipped = np.where((fold < 0)[:, None], 1 - labels, labels)
    for learnable in (True, False):
        one = fill(scores, labels, fold, "f1", learnable)
        two = fill(scores, flipped, fold, "f1", learnable)
        unknown = np.isnan(labels)
        for name in ("probability", "values", "correctness", "weight"):
            assert (getattr(one, name)[unknown] == getattr(two, name)[unknown]).all()


@pytest.mark.parametrize(("positives", "promise"), [(LEAST - 1, UNPROMISED), (LEAST, 0.93)])
def test_too_few_labels_promise_nothing(positives: int, promise: float) -> None:
    labels = np.r_[(np.arange(84) < positives).astype(float), np.full(16, NAN)][:, None]
    fold = np.arange(100) % 4
    filled = fill(np.zeros((100, 1)), labels, fold, learnable=False)
    np.testing.assert_allclose(filled.correctness[84:], promise, atol=0.001)
    np.testing.assert_array_equal(filled.values[84:], 0)
    assert filled.held_out_correctness[0, 0] == filled.correctness[-1, 0]
    known = fill(np.zeros((100, 1)), labels, fold, learnable=False, priors=[0.2])
    np.testing.assert_allclose(known.correctness[84:], 0.8)


def test_unlearnable_takes_the_prevalence_and_adds_nothing_to_training() -> None:
    scores, labels, fold, _ = table(6)
    filled = fill(scores, labels, fold, learnable=False)
    assert not filled.learnable.any()
    for a in range(2):
        unknown = np.isnan(labels[:, a])
        train = ~unknown & (fold >= 0)
        positive = labels[train, a].sum()
        share = (positive + 1) / (train.sum() + 2)
        assert set(filled.evidence[unknown, a]) == {PRIOR}
        found = filled.probability[unknown, a]
        assert found.mean() == pytest.approx(share)
        assert found == pytest.approx(share, abs=0.01)
        # The order that the scores give is kept: it may be right, and costs nothing.
        assert (np.argsort(found) == np.argsort(scores[unknown, a])).all()
        assert (filled.values[unknown, a] == (share >= 0.5)).all()
        assert ((found >= 0.5) == (share >= 0.5)).all()
        assert (filled.weight[unknown, a] == 0).all()
        assert filled.correctness[unknown, a] == pytest.approx(max(share, 1 - share))
        assert filled.held_out_correctness[train, a] == pytest.approx(max(share, 1 - share))
        # The value is what ships, the probability that of the other folds.
        assert (filled.decided[train, a] == (share >= 0.5)).all()
        for k in range(4):
            inside, rest = train & (fold == k), train & (fold != k)
            without = (labels[rest, a].sum() + 1) / (rest.sum() + 2)
            assert filled.held_out[inside, a] == pytest.approx(without)


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_is_filled_in_and_flagged(only: int) -> None:
    labels = np.where(np.arange(40) % 4 == 0, NAN, float(only))[:, None]
    filled = fill(np.zeros((40, 1)), labels, np.arange(40) % 4)
    unknown = np.isnan(labels)
    assert (filled.values == only).all()
    assert set(filled.evidence[unknown]) == {ONE_CLASS}
    assert not filled.learnable[0]
    assert filled.probability[unknown] == pytest.approx(31 / 32 if only else 1 / 32)
    assert (filled.weight[unknown] == 0).all()


def test_both_classes_known_outside_training_alone_are_one_class() -> None:
    labels = np.array([1.0, 1, 1, 0, NAN])[:, None]
    filled = fill(np.zeros((5, 1)), labels, np.array([0, 1, 0, -1, 1]))
    assert filled.evidence[:, 0].tolist() == ["", "", "", "", ONE_CLASS]


def test_no_training_label_at_all() -> None:
    labels = np.array([1.0, 0.0, NAN, NAN])[:, None]
    filled = fill(np.array([[1.0], [-1], [2], [-2]]), labels, np.array([-1, -1, 0, 1]))
    assert filled.evidence[:, 0].tolist() == ["", "", PRIOR, PRIOR]
    assert filled.probability[2:, 0].tolist() == [0.5, 0.5]
    assert filled.values[2:, 0].tolist() == [0, 0], "absence is the safer guess"
    assert filled.correctness[2:, 0].tolist() == [0.5, 0.5]
    assert np.isnan(filled.held_out).all()
    with_prior = fill(np.zeros((4, 1)), labels, np.array([-1, -1, 0, 1]), priors=[0.5])
    assert with_prior.values[2:, 0].tolist() == [1, 1]


@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_a_prior_of_the_user_is_the_mean_of_the_unknown_cells(share: float) -> None:
    scores, labels, fold, _ = table(7)
    plain, with_prior = fill(scores, labels, fold), fill(scores, labels, fold, priors=[share, None])
    unknown = np.isnan(labels)
    assert with_prior.probability[unknown[:, 0], 0].mean() == pytest.approx(share, abs=1e-6)
    counted = unknown[:, 0] & (fold >= 0)
    expected = with_prior.probability[counted, 0].mean()
    assert with_prior.values[counted, 0].mean() == pytest.approx(expected, abs=0.02)
    # The other attribute is as before; all cells of this one move by the same amount.
    assert (with_prior.probability[:, 1] == plain.probability[:, 1]).all()
    assert (with_prior.values[:, 1] == plain.values[:, 1]).all()
    assert (with_prior.importance[:, 1] == 1).all()
    steps = logit(with_prior.probability[:, 0]) - logit(plain.probability[:, 0])
    np.testing.assert_allclose(steps, steps[0], atol=1e-6)
    audited = ~unknown[:, 0] & (fold >= 0)
    assert (with_prior.held_out[audited, 0] == with_prior.probability[audited, 0]).all()
    # Known cells stand for filled ones: their weighted share of positives is the prior.
    y, importance = labels[audited, 0], with_prior.importance[audited, 0]
    assert importance.mean() == pytest.approx(1)
    assert (importance * y).mean() == pytest.approx(share)
    assert len(np.unique(importance)) == 2
    assert (with_prior.importance[~audited, 0] == 1).all()
    number = fill(scores, labels, fold, 0.25, priors=[share, None])
    assert number.threshold.tolist() == [0.25, 0.25]


# Fails: the threshold is chosen on held-out probabilities shifted like those of unknown cells, but
# on labels that count alike (not by `importance`), so that the two shifts cancel and the prior
# changes no value at all.
@pytest.mark.parametrize("rule", ["accuracy", "f1"])
def test_a_prior_of_the_user_moves_the_values_of_a_rule_that_looks_at_labels(rule: str) -> None:
    scores, labels, fold, truth = table(7, n=1000, attributes=1)
    # Half of the negatives are known at once, so positives are frequent among unknown cells.
    labels[(truth == 0) & (np.random.default_rng(0).random(truth.shape) < 0.7)] = 0
    unknown = np.isnan(labels[:, 0])
    share = float(truth[unknown, 0].mean())
    plain = fill(scores, labels, fold, rule).values[unknown, 0]
    with_prior = fill(scores, labels, fold, rule, priors=[share]).values[unknown, 0]
    assert with_prior.sum() > 1.05 * plain.sum()


@pytest.mark.parametrize(("share", "value"), [(0.9, 1), (0.2, 0)])
def test_a_prior_of_the_user_stands_in_for_the_prevalence(share: float, value: int) -> None:
    scores, labels, fold, _ = table(8)
    filled = fill(scores, labels, fold, learnable=False, priors=[share, None])
    unknown = np.isnan(labels[:, 0])
    assert filled.probability[unknown, 0].mean() == pytest.approx(share)
    assert filled.probability[unknown, 0] == pytest.approx(share, abs=0.01)
    assert (filled.values[unknown, 0] == value).all()
    assert filled.correctness[unknown, 0] == pytest.approx(max(share, 1 - share))
    assert (
        filled.probability[unknown, 0] != filled.probability[np.isnan(labels[:, 1]), 1][0]
    ).all()


def test_a_prior_without_unknown_cells_changes_nothing() -> None:
    scores, _, fold, truth = table(9)
    filled = fill(scores, truth, fold, priors=[0.9, 0.1])
    assert (filled.values == truth).all()
    assert np.isfinite(filled.threshold).all()


@pytest.mark.parametrize("learnable", [True, False])
def test_a_threshold_given_as_a_number_is_obeyed(learnable: bool) -> None:
    scores, labels, fold, _ = table(1)
    filled = fill(scores, labels, fold, 0.97, learnable)
    assert filled.threshold.tolist() == [0.97, 0.97]
    unknown = np.isnan(labels)
    assert (filled.values[unknown] == (filled.probability[unknown] >= 0.97)).all()
    if not learnable:
        assert (filled.values[unknown] == 0).all()


def test_unknown_cells_take_the_calibrator_of_all_training_labels() -> None:
    scores, labels, fold, _ = table(10)
    filled = fill(scores, labels, fold)
    for a in range(2):
        cells = ~np.isnan(labels[:, a]) & (fold >= 0)
        fitted = calibration.fit("platt", scores[cells, a], labels[cells, a])
        rest = ~cells
        assert filled.probability[rest, a] == pytest.approx(fitted(scores[rest, a]))


def test_a_promise_is_kept_by_held_out_cells_and_audited_without_the_fold() -> None:
    scores, labels, fold, truth = table(3, n=1500)
    filled = fill(scores, labels, fold, rule={"recall": 0.9})
    for a in range(labels.shape[1]):
        cells = ~np.isnan(filled.held_out[:, a])
        y = labels[cells, a]
        taken = filled.held_out[cells, a] >= filled.threshold[a]
        assert risk_control.lower_bound((taken & (y == 1)).sum(), (y == 1).sum()) >= 0.9
        assert filled.decided[cells, a][y == 1].mean() == pytest.approx(
            taken[y == 1].mean(), abs=0.02
        )
        hidden = np.isnan(labels[:, a]) & (truth[:, a] == 1)
        assert filled.values[hidden, a].mean() > 0.88
    # Another fold's thresholds count its cells as if they were all: as bold as the whole's.
    precise = fill(scores, labels, fold, rule={"precision": 0.9})
    assert np.nanmean(precise.decided) < np.nanmean(filled.decided)


def test_rules_of_columns_are_their_own() -> None:
    scores, labels, fold, _ = table(4, n=600)
    every = np.ones(2, dtype=bool)
    mixed = fill_table(scores, labels, fold, every, "platt", [{"recall": 0.8}, "f1"])
    for a, rule in enumerate([{"recall": 0.8}, "f1"]):
        alone = fill(scores, labels, fold, rule=rule)
        assert mixed.threshold[a] == alone.threshold[a]
        assert (mixed.values[:, a] == alone.values[:, a]).all()


def test_promises_of_few_labels_and_of_chance_are_refused_by_column() -> None:
    scores, labels, fold, _ = table(5, n=600)
    labels[:, 0] = np.where((labels[:, 0] == 1) & (np.arange(600) > 50), NAN, labels[:, 0])
    promise = {"recall": 0.95}
    with pytest.raises(UnkeptColumnsError) as caught:
        fill_table(scores, labels, fold, np.array([True, False]), "platt", [promise, promise])
    assert "59 needed at the least" in str(caught.value.columns[0])
    assert "can't be told from chance" in str(caught.value.columns[1])
    full = np.where(np.isnan(labels), 0, labels)
    unneeded = fill_table(scores, full, fold, np.zeros(2, dtype=bool), "platt", [promise, promise])
    assert (unneeded.values == full).all(), "nothing is to be filled, and nothing promised"


def test_a_known_share_of_positives_leaves_the_recall_of_known_ones() -> None:
    scores, labels, fold, _ = table(6, n=900)
    promise: Rule = {"recall": 0.9}
    own, moved = (fill(scores, labels, fold, promise, priors=[p, None]) for p in (None, 0.05))
    cells = ~np.isnan(own.held_out[:, 0]) & (labels[:, 0] == 1)
    for filled in (own, moved):
        kept = filled.held_out[cells, 0] >= filled.threshold[0]
        assert risk_control.lower_bound(kept.sum(), cells.sum()) >= 0.9
    assert (own.values == moved.values).all(), "the order of probabilities is the same"


def looked_at_in_order(seed: int, n: int = 3000) -> tuple[np.ndarray, ...]:
    """Scores [n] that say little, truth, labels of which half are unknown, and folds."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1.2, 1.3, (n, 1))
    truth = (rng.random((n, 1)) < expit(z)).astype(float)
    labels = np.where(rng.random((n, 1)) < 0.5, NAN, truth)
    return z, truth, labels, rng.integers(0, 5, n)


@pytest.mark.parametrize("prior", [None, 0.25])
def test_what_people_find_in_doubtful_cells_leaves_the_others_as_they_were(
    prior: float | None,
) -> None:
    z, truth, labels, fold = looked_at_in_order(0)
    table = (fold, np.array([True]), "platt", ["prevalence"], [prior])
    before = fill_table(z, labels, *table)
    assert before.threshold[0] < 0.45
    unknown = np.isnan(labels[:, 0])
    doubt = np.where(unknown, 1 - before.correctness[:, 0], -1)
    looked = np.zeros(labels.shape, dtype=bool)
    looked[np.argsort(-doubt)[:150]] = True
    known = np.where(looked, truth, labels)
    left = np.isnan(known)

    after = fill_table(z, known, *table, looked_at=looked)
    unaware = fill_table(z, known, *table)

    # Of most that were looked at the other value is true; as many others would change theirs.
    found = (before.values != truth)[looked].mean()
    assert found > 0.5
    changed = {name: (one.values != before.values)[left].sum() for name, one in
               (("after", after), ("unaware", unaware))}  # fmt: skip
    assert changed["after"] <= 8
    assert changed["unaware"] > 60


def test_looks_leave_as_few_wrong_cells_as_the_budget_says() -> None:
    """Once the table is filled again, too, as people do next."""
    hat, failed, wrong = Attribute("hat", (), 0), 0, []
    for seed in range(40):
        z, truth, labels, fold = looked_at_in_order(seed)
        table = (fold, np.array([True]), "platt", ["prevalence"])
        filled = fill_table(z, labels, *table)
        every = np.ones(labels.shape, dtype=bool)
        doubts, row = budget.doubts(filled, labels, fold, every, [hat])
        enough = budget.curve(doubts, 0.1).enough
        assert enough
        looked = np.zeros(labels.shape, dtype=bool)
        looked[row[np.argsort(-doubts.rank, kind="stable")[:enough]]] = True
        again = fill_table(z, np.where(looked, truth, labels), *table, looked_at=looked)
        wrong.append((again.values != truth)[np.isnan(labels)].mean())
        failed += wrong[-1] > 0.1
    # Binomial(40, .05): more than 6 has a chance of 1 in 260.
    assert failed <= 6
    assert 0.05 < np.mean(wrong) < 0.1


def test_the_audit_decides_by_cells_like_the_unknown_ones() -> None:
    z, truth, labels, fold = looked_at_in_order(1)
    table = (fold, np.array([True]), "platt", ["prevalence"])
    looked = np.isnan(labels) & (np.abs(expit(z) - 0.3) < 0.05)
    known = np.where(looked, truth, labels)
    filled = fill_table(z, known, *table, looked_at=looked)
    for k in range(5):
        own = (fold == k) & ~np.isnan(known[:, 0])
        like_unknown = own & ~looked[:, 0]
        cut = thresholds.expected(filled.held_out[like_unknown, 0])
        assert (filled.decided[own, 0] == (filled.held_out[own, 0] >= cut)).all()
    # With nothing else known in a fold, the cells that people looked at decide.
    none = np.where(
        looked & (fold == 0)[:, None], truth, np.where((fold == 0)[:, None], NAN, known)
    )
    filled = fill_table(z, none, *table, looked_at=looked)
    assert np.isin(filled.decided[(fold == 0) & looked[:, 0], 0], [0, 1]).all()
