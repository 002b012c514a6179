"""Image models: the same numbers as scikit-learn's, and no world has seen what it must not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from pipeline.impute import crossfitting, image_models
from pipeline.impute.image_models import (
    PENALTIES,
    RIDGE,
    Graph,
    logistic_by_fold,
    logistic_path,
    logistic_worlds,
    ridge_worlds,
)

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
    path = logistic_path(x, y, fold)
    assert path.shape == (len(PENALTIES), FOLDS + 1, len(y))
    known = ~np.isnan(y) & (fold >= 0)
    for c, penalty in enumerate(PENALTIES):
        for k in range(FOLDS + 1):
            expected = reference(x, y, known & (fold != k), penalty)
            np.testing.assert_allclose(path[c, k], expected, rtol=1e-5, atol=1e-6)
    assert (np.diff(path[:, -1].std(axis=1)) > 0).all(), "a weaker penalty allows larger logits"


def test_a_world_scores_each_fold_without_it_and_without_the_worlds_own() -> None:
    x, y, fold = table(1)
    path = logistic_path(x, y, fold)
    worlds = logistic_worlds(x, y, fold, PENALTIES[1], path[1])
    known = ~np.isnan(y) & (fold >= 0)
    for world in range(FOLDS + 1):
        for k in range(FOLDS):
            cells = known & (fold == k)
            expected = reference(x, y, known & ~np.isin(fold, (k, world)), PENALTIES[1])
            np.testing.assert_allclose(worlds[world, cells], expected[cells], rtol=1e-5, atol=1e-6)
        expected = reference(x, y, known & (fold != world), PENALTIES[1])
        np.testing.assert_allclose(worlds[world, ~known], expected[~known], rtol=1e-5, atol=1e-6)


def logistic(x: np.ndarray, y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    return logistic_worlds(x, y, fold, 1e-2, logistic_path(x, y, fold)[2])


@pytest.mark.parametrize("worlds", [logistic, ridge_worlds])
def test_flipped_labels_change_nothing_in_their_own_world(
    worlds: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> None:
    x, y, fold = table(2)
    for k in range(FOLDS):
        flipped = np.where(fold == k, 1 - y, y)
        before, after = (worlds(x, labels, fold) for labels in (y, flipped))
        assert (before[k] == after[k]).all()
        own = (fold == k) & ~np.isnan(y)
        assert (before[-1][own] == after[-1][own]).all()
        elsewhere = [w for w in range(FOLDS) if w != k]
        assert (before[elsewhere][:, fold != k] != after[elsewhere][:, fold != k]).any()


def test_ridge_regression_by_hand() -> None:
    x, y, fold = table(3)
    worlds = ridge_worlds(x, y, fold)
    fitted = ~np.isnan(y) & (fold > 0)
    share = y[fitted].mean()
    model = Ridge(alpha=RIDGE).fit(x[fitted], y[fitted])
    positive, count = y[fitted].sum(), fitted.sum()
    centre = np.log((positive + 1) / (count - positive + 1))
    expected = centre + (model.predict(x) - share) / (share * (1 - share))
    cells = fold == 0
    np.testing.assert_allclose(worlds[0, cells], expected[cells].clip(-12, 12), rtol=1e-6)
    np.testing.assert_allclose(worlds[-1, cells & ~np.isnan(y)], worlds[0, cells & ~np.isnan(y)])


def test_one_class_is_scored_by_its_log_odds_in_every_world() -> None:
    x, y, fold = table(4)
    worlds = ridge_worlds(x, np.where(np.isnan(y), y, 1.0), fold)
    assert np.isfinite(worlds).all()
    assert (worlds > 0).all()


def test_one_class_is_scored_by_its_log_odds() -> None:
    x, _, fold = table()
    path = logistic_path(x, np.ones(len(x)), fold)
    for k in range(FOLDS + 1):
        count = ((fold >= 0) & (fold != k)).sum()
        assert path[:, k] == pytest.approx(np.log(count + 1))


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


def pairs() -> tuple[Graph, np.ndarray, np.ndarray]:
    """Four directions with three alike images each; the third of each is not in training."""
    x = np.repeat(np.eye(4), 3, axis=0)
    labels = np.array([1, NAN, NAN, 0, NAN, NAN, 1, 1, NAN, 0, 1, NAN])[:, None]
    fold = np.tile([0, 1, -1], 4)
    return Graph(x, fold >= 0, neighbours=2), labels, fold


def test_neighbours_vote_by_hand() -> None:
    graph, labels, fold = pairs()
    out = graph.neighbours(labels, fold)[:, 0]
    weights = graph.weights.toarray()
    assert weights.diagonal().tolist() == [0] * 12
    assert (weights[:, fold < 0] == 0).all(), "only training images are neighbours"
    # An image that looks exactly alike has weight 1, one at a right angle exp(-10).
    assert weights[2, [0, 1]].tolist() == [1, 1]
    prevalence = (4 + 1) / (6 + 2)
    # Image 1 is unknown: its neighbour 0 says 1; the prior counts as a tenth of a neighbour.
    share = (1 + 0.1 * prevalence) / (1 + 0.1)
    assert out[1] == pytest.approx(np.log(share / (1 - share)), abs=5e-3)
    # Image 6 is known and in fold 0: only labels of fold 1 count, 1 and 1.
    share = (1 + 0.1 * (2 + 1) / (2 + 2)) / 1.1
    assert out[6] == pytest.approx(np.log(share / (1 - share)), abs=5e-3)


@pytest.mark.parametrize("method", ["neighbours", "spread"])
def test_labels_of_the_own_fold_and_outside_training_are_not_asked(method: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    fold = rng.permutation(50) % 4 - 1
    labels = np.where(rng.random((50, 2)) < 0.3, NAN, rng.integers(0, 2, (50, 2)))
    graph = Graph(x, fold >= 0, neighbours=6)
    before = getattr(graph, method)(labels, fold)
    assert np.isfinite(before).all()
    for k in range(-1, 3):
        after = getattr(graph, method)(np.where((fold == k)[:, None], 1 - labels, labels), fold)
        if k < 0:
            assert (before == after).all()
            continue
        own = (fold == k)[:, None] & ~np.isnan(labels)
        assert (before[own] == after[own]).all()
        assert (before[~own] != after[~own]).any()


def test_spread_reaches_further_than_the_neighbours() -> None:
    angle = np.linspace(0, 2.5, 11)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    labels = np.full((11, 1), NAN)
    labels[0], labels[10] = 1, 0
    fold = np.arange(11) % 2
    graph = Graph(x, fold >= 0, neighbours=2)
    spread = graph.spread(labels, fold)[1:10, 0]
    votes = graph.neighbours(labels, fold)[1:10, 0]
    assert (np.diff(spread) < 0).all()
    # Most images have no known label beside them: all they have is the prevalence.
    assert (np.abs(votes[2:7]) < 1e-9).all()
    assert spread[2] > 0.01 > -0.01 > spread[6]


def test_in_large_tables_pseudo_labels_have_the_room_that_real_ones_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y, fold = table(5, n=240)
    fold = np.where(fold < 0, 0, fold)
    pseudo = np.tile((x[:, 0] > 0).astype(float), (FOLDS, 1))
    known = np.flatnonzero(~np.isnan(y))
    monkeypatch.setattr(image_models, "MOST_FITTED", 30)
    monkeypatch.setattr(crossfitting, "MOST_FITTED", 30)
    full = logistic_by_fold(x, y, fold, 1e-2, pseudo)
    assert np.isnan(full).sum(axis=1).tolist() == [30] * FOLDS
    assert np.isin(np.flatnonzero(np.isnan(full[0])), known).all(), "real labels fill it"
    few = np.where(np.isin(np.arange(len(y)), known[:20]), y, NAN)
    part = np.isnan(logistic_by_fold(x, few, fold, 1e-2, pseudo))
    for k in range(FOLDS):
        assert part[k].sum() == 30
        assert part[k, known[:20][fold[known[:20]] != k]].all()
        assert not part[k, fold == k].any()
