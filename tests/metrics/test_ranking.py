"""Areas and points of ROC and precision-recall curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from pipeline.metrics import ranking

NAN = float("nan")
CELLS = st.tuples(st.sampled_from([0.0, 1.0, NAN]), st.integers(0, 20))


def fully_known(seed, n=400):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(float)
    return y, (0.3 * y + 0.7 * rng.random(n)).round(2)


def test_auc_counts_ties_as_half():
    assert ranking.auc(np.array([1, 0, 1, 0]), np.array([2.0, 2.0, 5.0, -np.inf])) == 3.5 / 4
    assert ranking.auc(np.array([1, 0]), np.array([1.0, 1.0])) == 0.5
    assert math.isnan(ranking.auc(np.array([]), np.array([])))
    assert math.isnan(ranking.auc(np.array([1, 1, NAN]), np.array([1.0, 2.0, 3.0])))


@given(st.lists(CELLS, max_size=30))
def test_auc_is_invariant_to_monotone_maps_and_mirrored_by_a_reversal(cells):
    y, p = np.array([y for y, _ in cells]), np.array([p / 20 for _, p in cells])
    area = ranking.auc(y, p)
    for mapped in (p**3, np.log(p + 0.01), 5 * p - 100):
        np.testing.assert_equal(ranking.auc(y, mapped), area)
    np.testing.assert_allclose(ranking.auc(y, -p), 1 - area)


@pytest.mark.parametrize("seed", range(3))
def test_short_curves_agree_with_scikit_learn(seed):
    y, p = fully_known(seed)
    fpr, tpr, _ = sk.roc_curve(y, p, drop_intermediate=False)
    roc = ranking.roc_curve_points(y, p)
    assert list(roc.columns) == ["fpr", "tpr"]
    np.testing.assert_allclose(roc.to_numpy(), np.c_[fpr, tpr])
    precision, recall, _ = sk.precision_recall_curve(y, p)
    pr = ranking.pr_curve_points(y, p)
    assert list(pr.columns) == ["recall", "precision"]
    np.testing.assert_allclose(pr.to_numpy()[1:], np.c_[recall, precision][:-1][::-1])
    assert pr.iloc[0].tolist() == [0.0, pr["precision"][1]]


def test_long_curves_are_thinned_and_keep_their_shape():
    rng = np.random.default_rng(3)
    y = (rng.random(20_000) < 0.2).astype(float)
    p = rng.normal(size=len(y)) + 1.5 * y
    y[::7] = NAN
    known = ~np.isnan(y)
    roc, pr = ranking.roc_curve_points(y, p), ranking.pr_curve_points(y, p)
    assert len(roc) <= 200 and len(pr) <= 200
    assert roc.iloc[[0, -1]].to_numpy().tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert pr["recall"].iloc[[0, -1]].tolist() == [0.0, 1.0]
    assert (roc.diff().iloc[1:] >= 0).all().all() and (pr["recall"].diff().iloc[1:] >= 0).all()
    assert np.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(ranking.auc(y, p), abs=1e-3)
    area = np.sum(np.diff(pr["recall"]) * pr["precision"].to_numpy()[1:])
    assert area == pytest.approx(sk.average_precision_score(y[known], p[known]), abs=0.01)


def test_curves_of_one_class_have_no_points():
    y, p = np.array([1, 1, NAN]), np.array([0.1, 0.2, 0.3])
    assert ranking.roc_curve_points(y, p).shape == (0, 2)
    assert ranking.pr_curve_points(y, p).shape == (0, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranking.auc(np.array([1, 2]), np.array([0.1, 0.2])), "neither 0, 1 nor NaN"),
        (lambda: ranking.auc(np.array([1, 0]), np.array([0.1, NAN])), "diverged"),
        (lambda: ranking.auc(np.array([1, 0]), np.array([0.1])), "shapes differ"),
    ],
)
def test_impossible_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
