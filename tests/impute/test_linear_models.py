"""Linear models: the same numbers as scikit-learn's, and no refit has seen what it must not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from pipeline.impute import cross_fitting, linear_models
from pipeline.impute.linear_models import PENALTIES, logistic_by_fold, path, refits

NAN = float("nan")
FOLDS = 3


def table(seed: int = 0, n: int = 72) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Components [n, 4], labels of one attribute that the first tells, folds with -1 among them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    y = (x[:, 0] + rng.normal(0, 0.7, n) > 0).astype(float)
    fold = rng.permutation(n) % (FOLDS + 1) - 1
    return x, np.where(rng.random(n) < 0.3, NAN, y), fold


def reference(x: np.ndarray, y: np.ndarray, fitted: np.ndarray, c: float) -> np.ndarray:
    model = LogisticRegression(C=c, max_iter=300, tol=1e-3).fit(x[fitted], y[fitted])
    return np.asarray(model.decision_function(x))


def test_the_path_leaves_out_one_fold_each_and_none_at_the_end() -> None:
    x, y, fold = table()
    scores = path("logistic", x, y, fold)
    assert scores.shape == (len(PENALTIES["logistic"]), FOLDS + 1, len(y))
    known = ~np.isnan(y) & (fold >= 0)
    for c, penalty in enumerate(PENALTIES["logistic"]):
        for k in range(FOLDS + 1):
            expected = reference(x, y, known & (fold != k), penalty)
            np.testing.assert_allclose(scores[c, k], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", PENALTIES)
def test_a_weaker_penalty_allows_larger_logits(model: str) -> None:
    last = path(model, *table())[:, -1]
    assert (np.diff(last.std(axis=1)) > 0).all()


def test_a_refit_scores_each_fold_without_it_and_without_the_refits_own() -> None:
    x, y, fold = table(1)
    penalty = PENALTIES["logistic"][1]
    out = refits("logistic", x, y, fold, penalty, path("logistic", x, y, fold)[1])
    known = ~np.isnan(y) & (fold >= 0)
    for refit in range(FOLDS + 1):
        for k in range(FOLDS):
            cells = known & (fold == k)
            expected = reference(x, y, known & ~np.isin(fold, (k, refit)), penalty)
            np.testing.assert_allclose(out[refit, cells], expected[cells], rtol=1e-5, atol=1e-6)
        expected = reference(x, y, known & (fold != refit), penalty)
        np.testing.assert_allclose(out[refit, ~known], expected[~known], rtol=1e-5, atol=1e-6)


def of(model: str, x: np.ndarray, y: np.ndarray, fold: np.ndarray, c: int = 2) -> np.ndarray:
    return refits(model, x, y, fold, PENALTIES[model][c], path(model, x, y, fold)[c])


@pytest.mark.parametrize("model", PENALTIES)
def test_flipped_labels_change_nothing_in_their_own_refit(model: str) -> None:
    x, y, fold = table(2)
    for k in range(FOLDS):
        flipped = np.where(fold == k, 1 - y, y)
        before, after = (of(model, x, labels, fold) for labels in (y, flipped))
        assert (before[k] == after[k]).all()
        own = (fold == k) & ~np.isnan(y)
        assert (before[-1][own] == after[-1][own]).all()
        elsewhere = [w for w in range(FOLDS) if w != k]
        assert (before[elsewhere][:, fold != k] != after[elsewhere][:, fold != k]).any()


def test_ridge_regression_by_hand() -> None:
    x, y, fold = table(3)
    out = of("ridge", x, y, fold, -1)
    fitted = ~np.isnan(y) & (fold > 0)
    share = y[fitted].mean()
    model = Ridge(alpha=PENALTIES["ridge"][-1]).fit(x[fitted], y[fitted])
    positive, count = y[fitted].sum(), fitted.sum()
    centre = np.log((positive + 1) / (count - positive + 1))
    expected = centre + (model.predict(x) - share) / (share * (1 - share))
    cells = fold == 0
    np.testing.assert_allclose(out[0, cells], expected[cells].clip(-12, 12), rtol=1e-5)
    np.testing.assert_allclose(out[-1, cells & ~np.isnan(y)], out[0, cells & ~np.isnan(y)])


@pytest.mark.parametrize("model", PENALTIES)
def test_one_class_is_scored_by_its_log_odds(model: str) -> None:
    x, _, fold = table()
    out = path(model, x, np.ones(len(x)), fold)
    for k in range(FOLDS + 1):
        count = ((fold >= 0) & (fold != k)).sum()
        assert out[:, k] == pytest.approx(np.log(count + 1))
    assert (of(model, x, np.ones(len(x)), fold) > 0).all()


def test_pseudo_labels_join_their_own_fold_model_alone() -> None:
    x, y, fold = table(3)
    pseudo = np.full((FOLDS, len(y)), NAN)
    plain = logistic_by_fold(x, y, fold, 1e-2, pseudo)
    known = ~np.isnan(y) & (fold >= 0)
    for k in range(FOLDS):
        fitted = known & (fold != k)
        assert (np.isnan(plain[k]) == fitted).all()
        np.testing.assert_allclose(
            plain[k, ~fitted], reference(x, y, fitted, 1e-2)[~fitted], rtol=1e-5, atol=1e-6
        )
    given = np.isnan(y) & (fold == 0)
    pseudo[1, given] = 1
    joined = logistic_by_fold(x, y, fold, 1e-2, pseudo)
    assert np.array_equal(joined[[0, 2]], plain[[0, 2]], equal_nan=True)
    assert np.isnan(joined[1, given]).all()
    rest = ~np.isnan(joined[1])
    targets = np.where(np.isnan(y), pseudo[1], y)
    expected = reference(x, targets, (known & (fold != 1)) | given, 1e-2)
    np.testing.assert_allclose(joined[1, rest], expected[rest], rtol=1e-5, atol=1e-6)


def test_pseudo_labels_of_one_class_are_scored_by_their_log_odds() -> None:
    x = np.zeros((4, 2))
    out = logistic_by_fold(
        x, np.array([1.0, 1, NAN, 1]), np.array([0, 0, 1, 1]), 1.0, np.full((2, 4), NAN)
    )
    assert out[0, :2] == pytest.approx(np.log([2, 2]))
    assert np.isnan(out[0, 3])


def test_in_large_tables_pseudo_labels_have_the_room_that_real_ones_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y, fold = table(5, n=240)
    fold = np.where(fold < 0, 0, fold)
    pseudo = np.tile((x[:, 0] > 0).astype(float), (FOLDS, 1))
    known = np.flatnonzero(~np.isnan(y))
    monkeypatch.setattr(linear_models, "MOST_FITTED", 30)
    monkeypatch.setattr(cross_fitting, "MOST_FITTED", 30)
    full = logistic_by_fold(x, y, fold, 1e-2, pseudo)
    assert np.isnan(full).sum(axis=1).tolist() == [30] * FOLDS
    assert np.isin(np.flatnonzero(np.isnan(full[0])), known).all(), "real labels fill it"
    few = np.where(np.isin(np.arange(len(y)), known[:20]), y, NAN)
    part = np.isnan(logistic_by_fold(x, few, fold, 1e-2, pseudo))
    for k in range(FOLDS):
        assert part[k].sum() == 30
        assert part[k, known[:20][fold[known[:20]] != k]].all()
        assert not part[k, fold == k].any()
