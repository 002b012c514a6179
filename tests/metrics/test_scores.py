"""Scores of attributes and tables with unknown cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from pipeline.metrics.scores import (
    METRICS,
    MULTILABEL_METRICS,
    attribute_scores,
    calibration_bins,
    expected_calibration_error,
    log_loss,
    mcc,
    multilabel_scores,
)

NAN = float("nan")
Y = np.array([1, 1, 1, 0, 0, 0, 0, NAN])
P = np.array([0.9, 0.8, 0.3, 0.6, 0.2, 0.2, 0.1, 0.99])


@st.composite
def tables(draw):
    """Labels with holes and probabilities of a coarse grid, so that ties are common."""
    shape = draw(st.tuples(st.integers(1, 25), st.integers(1, 4)))
    labels = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0, NAN])))
    steps = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 20)))
    return labels, steps / 20


def fully_known(seed, n=400, attributes=5):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, attributes)) < np.linspace(0.1, 0.8, attributes)).astype(float)
    noisy = np.clip(0.3 * labels + 0.7 * rng.random(labels.shape), 0, 1)
    return labels, noisy.round(2)


def test_attribute_scores_by_hand():
    scores = attribute_scores(Y, P, 0.5)
    # Of the 3 x 4 pairs the positives at 0.9 and 0.8 win all, the one at 0.3 loses to 0.6 only.
    expected = {
        **{"known": 7, "positive": 3, "negative": 4, "unknown": 1},
        **{"tp": 2, "fp": 1, "tn": 3, "fn": 1},
        **{"precision": 2 / 3, "recall": 2 / 3, "specificity": 3 / 4},
        **{"balanced_accuracy": 17 / 24, "g_mean": math.sqrt(0.5), "f1": 2 / 3},
        **{"binary_accuracy": 5 / 7, "accuracy_low": 0.358934, "accuracy_high": 0.917782},
        # The two roots in [0, 1] of the quartic that the score equation is.
        **{"auc": 11 / 12, "auc_low": 0.456676, "auc_high": 0.992091},
        "average_precision": (1 + 1 + 3 / 4) / 3,
        "brier": (0.01 + 0.04 + 0.49 + 0.36 + 0.04 + 0.04 + 0.01) / 7,
        "ece": (0.1 + 0.2 + 0.7 + 0.6 + 2 * 0.2 + 0.1) / 7,
        "threshold": 0.5,
    }
    metrics = [column for name, one in METRICS.items() for column in one.columns(name)]
    assert list(scores) == [*list(expected)[:8], *metrics, "threshold"]
    assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert all(isinstance(scores[key], int) for key in list(expected)[:8])


def test_threshold_itself_is_positive():
    scores = attribute_scores(np.array([1.0, 0.0]), np.array([0.5, 0.4]), 0.5)
    assert (scores["tp"], scores["tn"]) == (1, 1)


def test_values_decided_elsewhere_are_counted_instead_of_the_threshold():
    values = np.array([0, 1, 1, 1, 0, 0, 1, 1])
    cut = attribute_scores(Y, P, 0.5)
    given = attribute_scores(Y, P, 0.5, values)
    assert [given[key] for key in ("tp", "fp", "tn", "fn")] == [2, 2, 2, 1]
    assert given["binary_accuracy"] == pytest.approx(4 / 7)
    for key in ("auc", "average_precision", "brier", "ece", "threshold", "known"):
        assert given[key] == cut[key]
    assert attribute_scores(Y, P, 0.5, (P >= 0.5).astype(float)) == cut


def test_scores_without_a_known_cell_are_nan():
    scores = attribute_scores(np.array([NAN, NAN]), np.array([0.2, 0.9]), 0.5)
    counts = {"known", "positive", "negative", "tp", "fp", "tn", "fn"}
    assert {key: scores[key] for key in counts} == dict.fromkeys(counts, 0)
    assert (scores["unknown"], scores["threshold"]) == (2, 0.5)
    rest = set(scores) - counts - {"unknown", "threshold"}
    assert rest and all(math.isnan(scores[key]) for key in rest)


@pytest.mark.parametrize(
    ("label", "probability", "undefined"),
    [
        (1, 0.9, {"specificity"}),
        (1, 0.1, {"specificity", "precision"}),
        (0, 0.9, {"recall"}),
        (0, 0.1, {"recall", "precision", "f1"}),
    ],
)
def test_scores_of_one_class_are_undefined_only_where_they_must_be(label, probability, undefined):
    scores = attribute_scores(np.full(3, label), np.full(3, probability), 0.5)
    always = {"balanced_accuracy", "g_mean", "auc", "auc_low", "auc_high", "average_precision"}
    defined = {"binary_accuracy", "accuracy_low", "accuracy_high", "brier", "ece", "f1", "tp"}
    looked_at = always | defined | {"recall", "specificity", "precision"}
    assert {key for key in looked_at if math.isnan(scores[key])} == always | undefined


@pytest.mark.parametrize("seed", range(3))
def test_attribute_scores_agree_with_scikit_learn(seed):
    labels, probability = fully_known(seed)
    for y, p in zip(labels.T, probability.T, strict=True):
        decided = p >= 0.4
        ours = attribute_scores(y, p, 0.4)
        theirs = {
            "precision": sk.precision_score(y, decided),
            "recall": sk.recall_score(y, decided),
            "specificity": sk.recall_score(y, decided, pos_label=0),
            "balanced_accuracy": sk.balanced_accuracy_score(y, decided),
            "f1": sk.f1_score(y, decided),
            "binary_accuracy": sk.accuracy_score(y, decided),
            "auc": sk.roc_auc_score(y, p),
            "average_precision": sk.average_precision_score(y, p),
            "brier": sk.brier_score_loss(y, p),
        }
        assert {key: ours[key] for key in theirs} == pytest.approx(theirs)
        matrix = [[ours["tn"], ours["fp"]], [ours["fn"], ours["tp"]]]
        assert sk.confusion_matrix(y, decided).tolist() == matrix


def test_multilabel_scores_by_hand():
    labels = np.array([[1, 0, NAN], [0, NAN, NAN], [1, 1, NAN], [NAN, NAN, NAN], [0, 0, 1]])
    probability = np.array(
        [[0.9, 0.6, 0.5], [0.2, 0.9, 0.9], [0.4, 0.7, 0.1], [0.9, 0.9, 0.9], [0.1, 0.2, 0.8]]
    )
    scores = multilabel_scores(labels, probability, np.array([0.5, 0.5, 0.9]))
    # Wrong are cells (0, 1), (2, 0) and (4, 2) of 8; the fourth image has no known cell.
    expected = {
        "binary_accuracy": 5 / 8,
        "auc_macro": 1.0,
        # Positives at .9 .4 .7 .8, negatives at .6 .2 .1 .2: one pair of sixteen is lost.
        "auc_micro": 15 / 16,
        "map": 1.0,
        "f1_macro": (2 / 3 + 2 / 3 + 0) / 3,
        "f1_micro": 4 / 7,
        "f1_samples": (2 / 3 + 1 + 2 / 3 + 0) / 4,
        "accuracy_macro": (3 / 4 + 2 / 3 + 0) / 3,
        # Of the three images with a positive: .9 / |(.9, .6)|, 1.1 / (|(1, 1)| |(.4, .7)|) and
        # .8 / |(.1, .2, .8)|.
        "cosine_similarity": (0.832050 + 0.964764 + 0.963087) / 3,
        "hamming_loss": 3 / 8,
        "jaccard": (1 / 2 + 1 + 1 / 2 + 0) / 4,
        "subset_accuracy": 1 / 4,
        "n_images": 4,
        "n_cells": 8,
        "n_scored_attributes": 2,
    }
    assert list(scores) == list(expected)
    assert scores == pytest.approx(expected, rel=1e-5)


def test_a_perfect_match_has_a_cosine_of_one_and_no_more():
    scores = multilabel_scores(np.ones((1, 3)), np.full((1, 3), 0.65), np.full(3, 0.5))
    assert scores["cosine_similarity"] == 1.0


def test_of_a_categorical_attribute_the_most_probable_value_is_decided():
    labels = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [NAN, NAN, NAN, 1]])
    probability = np.array([[0.4, 0.35, 0.2, 0.9], [0.1, 0.2, 0.6, 0.2], [0.9, 0.1, 0, 0.7]])
    plain = multilabel_scores(labels, probability, np.full(4, 0.5))
    scores = multilabel_scores(labels, probability, np.full(4, 0.5), softmax=[(0, 3)])
    assert plain["hamming_loss"] == pytest.approx((1 + 2) / 9)
    assert scores["hamming_loss"] == pytest.approx(2 / 9)
    assert scores["subset_accuracy"] == pytest.approx(2 / 3)


def test_multilabel_scores_of_no_known_cell_are_counts_only():
    scores = multilabel_scores(np.full((3, 2), NAN), np.full((3, 2), 0.4), np.full(2, 0.5))
    assert scores == {"n_images": 0, "n_cells": 0, "n_scored_attributes": 0}


@pytest.mark.parametrize("seed", range(3))
def test_multilabel_scores_agree_with_scikit_learn(seed):
    labels, probability = fully_known(seed)
    thresholds = np.linspace(0.3, 0.6, labels.shape[1])
    decided = (probability >= thresholds).astype(int)
    ours = multilabel_scores(labels, probability, thresholds)
    theirs = {
        "auc_macro": sk.roc_auc_score(labels, probability, average="macro"),
        "auc_micro": sk.roc_auc_score(labels, probability, average="micro"),
        "map": sk.average_precision_score(labels, probability, average="macro"),
        "f1_macro": sk.f1_score(labels, decided, average="macro"),
        "f1_samples": sk.f1_score(labels, decided, average="samples", zero_division=1),
        "f1_micro": sk.f1_score(labels, decided, average="micro"),
        "hamming_loss": sk.hamming_loss(labels, decided),
        "jaccard": sk.jaccard_score(labels, decided, average="samples", zero_division=1),
        "subset_accuracy": sk.accuracy_score(labels, decided),
    }
    assert {key: ours[key] for key in theirs} == pytest.approx(theirs)


@given(tables(), st.data())
def test_masking_a_cell_leaves_the_other_attributes_alone(table, data):
    labels, probability = table
    row = data.draw(st.integers(0, labels.shape[0] - 1))
    column = data.draw(st.integers(0, labels.shape[1] - 1))
    masked = labels.copy()
    masked[row, column] = NAN
    for a in range(labels.shape[1]):
        before = attribute_scores(labels[:, a], probability[:, a], 0.5)
        after = attribute_scores(masked[:, a], probability[:, a], 0.5)
        lost = int(a == column and not np.isnan(labels[row, column]))
        assert after["known"] == before["known"] - lost
        if not lost:
            np.testing.assert_equal(after, before)


@given(tables(), st.integers(0, 2**32 - 1))
def test_what_an_unknown_cell_is_given_does_not_matter(table, seed):
    labels, probability = table
    other = probability.copy()
    hidden = np.isnan(labels)
    other[hidden] = np.random.default_rng(seed).choice([0.0, 0.5, 1.0, NAN, 7.0], hidden.sum())
    thresholds = np.full(labels.shape[1], 0.5)
    assert multilabel_scores(labels, other, thresholds) == multilabel_scores(
        labels, probability, thresholds
    )
    np.testing.assert_equal(
        attribute_scores(labels[:, 0], other[:, 0], 0.5),
        attribute_scores(labels[:, 0], probability[:, 0], 0.5),
    )


@given(tables())
def test_multilabel_scores_are_finite_and_within_bounds(table):
    labels, probability = table
    scores = multilabel_scores(labels, probability, np.full(labels.shape[1], 0.5))
    counts = {key: scores.pop(key) for key in ("n_images", "n_cells", "n_scored_attributes")}
    assert all(isinstance(value, int) for value in counts.values())
    assert all(0 <= value <= 1 for value in scores.values())
    assert counts["n_cells"] == np.isfinite(labels).sum()
    assert ("auc_macro" in scores) == (counts["n_scored_attributes"] > 0)


def test_expected_calibration_error_by_hand():
    # Bins 0.1-0.2 (gap 0.15 - 0.5), 0.8-0.9 (0.85 - 1) and, with 1.0 in it, 0.9-1.0 (1.0 - 0).
    y = np.array([0, 1, 1, 0, NAN])
    p = np.array([0.12, 0.18, 0.85, 1.0, 0.4])
    assert expected_calibration_error(y, p) == pytest.approx((0.7 + 0.15 + 1.0) / 4)
    assert expected_calibration_error(y, p, bins=1) == pytest.approx(abs(2.15 - 2) / 4)
    assert math.isnan(expected_calibration_error(np.array([NAN]), np.array([0.4])))


def test_calibration_bins_lose_no_cell():
    labels, probability = fully_known(4)
    table = calibration_bins(labels[:, 1], probability[:, 1])
    assert table["cells"].sum() == len(labels)
    assert table["positive"].sum() == labels[:, 1].sum()
    weighted = (table["cells"] * table["probability"]).sum()
    assert weighted == pytest.approx(probability[:, 1].sum())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attribute_scores(Y, P + 1, 0.5), "expected 0 to 1"),
        (lambda: multilabel_scores(Y[None], P[None], np.array([0.5])), r"\[N, A\]"),
    ],
)
def test_impossible_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@settings(max_examples=25)
@given(st.permutations(range(8)))
def test_the_order_of_the_cells_does_not_matter(order):
    shuffled = attribute_scores(Y[order], P[order], 0.5)
    assert shuffled == pytest.approx(attribute_scores(Y, P, 0.5))


def test_log_loss_by_hand() -> None:
    loss = log_loss(np.array([0.8, 0.8, 0.0]), np.array([1, 0, 0]))
    assert loss == pytest.approx([0.223144, 1.609438, 0.0], abs=1e-6)
    assert np.isfinite(log_loss(np.array([0.0]), np.array([1]))).all()


def test_mcc_is_scikit_learns_from_counts_of_any_shape() -> None:
    rng = np.random.default_rng(2)
    truth, decided = rng.random((2, 5, 40)) < 0.4
    cells = ((truth & decided), (~truth & decided), (~truth & ~decided), (truth & ~decided))
    found = mcc(*(one.sum(axis=1) for one in cells))
    expected = [sk.matthews_corrcoef(y, d) for y, d in zip(truth, decided, strict=True)]
    assert found == pytest.approx(expected)
    assert mcc(3, 0, 0, 2) == 0, "an empty margin"
    many = np.array([4e9, 1e9, 4e9, 1e9], dtype=np.float32)
    assert mcc(*many) == pytest.approx(0.6), "products beyond single precision"


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_in_the_scores_with_its_interval(name: str) -> None:
    rng = np.random.default_rng(3)
    y, p = (rng.random(60) < 0.4).astype(float), rng.random(60)
    found = attribute_scores(y, p, 0.5)
    columns = METRICS[name].columns(name)
    assert set(columns) <= set(found)
    for end in columns[1:]:
        assert (found[end] < found[name]) == end.endswith("_low")
    y[:] = np.nan
    assert all(np.isnan(attribute_scores(y, p, 0.5)[column]) for column in columns)


def test_a_ranking_of_its_own_serves_the_metrics_that_need_one() -> None:
    rng = np.random.default_rng(4)
    y, p = (rng.random(60) < 0.4).astype(float), rng.random(60)
    y[::7], ranking = np.nan, y + rng.normal(size=60)
    plain, ranked = attribute_scores(y, p, 0.5), attribute_scores(y, p, 0.5, ranking=ranking)
    of_ranking = attribute_scores(y, (1 + np.tanh(ranking)) / 2, 0.5)
    for name, metric in METRICS.items():
        source = of_ranking if metric.needs == "ranking" else plain
        for column in metric.columns(name):
            assert ranked[column] == source[column]


@pytest.mark.parametrize("name", MULTILABEL_METRICS)
def test_every_metric_of_the_table_is_at_its_best_for_perfect_probabilities(name: str) -> None:
    y = (np.random.default_rng(5).random((30, 4)) < 0.5).astype(float)
    found = multilabel_scores(y, y, np.full(4, 0.5))
    assert found[name] == pytest.approx(0 if name == "hamming_loss" else 1)
    assert name not in multilabel_scores(np.full((3, 1), np.nan), np.ones((3, 1)), np.ones(1))
