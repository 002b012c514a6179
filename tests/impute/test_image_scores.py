"""Scores from the pictures: no refit has seen its fold, the better features and penalty win."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.impute import image_scores, linear_models
from pipeline.impute.image_scores import IMAGE_MODELS, ImageModel, Inputs, Scores
from pipeline.impute.linear_models import PENALTIES
from pipeline.metrics.ranking import auc
from tests.impute.small import fix_penalties

NAN = float("nan")
FOLDS = 3


def table(
    n: int = 90, attributes: int = 2, signal: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype(np.float32)
    labels = (signal * x[:, :attributes] + rng.normal(size=(n, attributes)) > 0).astype(float)
    labels[rng.random(labels.shape) < 0.25] = NAN
    return x, labels, rng.permutation(n) % (FOLDS + 1) - 1


@pytest.fixture
def fixed_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Penalties, and whether to stack, are chosen by all labels; what is left must not see them."""
    monkeypatch.setattr(image_scores, "worth_it", lambda *scores: True)
    monkeypatch.setattr(linear_models, "PENALTIES", {"logistic": (1e-3, 1e-2), "ridge": (1e3, 1e2)})
    fix_penalties(monkeypatch)


@pytest.mark.usefixtures("fixed_penalty")
def test_flipping_a_folds_labels_changes_nothing_in_its_refit() -> None:
    x, labels, fold = table()
    before, _ = image_scores.score({"a": x}, labels, fold)
    assert before.shape == (FOLDS + 1, *labels.shape)
    for k in range(FOLDS):
        flipped = np.where((fold == k)[:, None], 1 - labels, labels)
        after, _ = image_scores.score({"a": x}, flipped, fold)
        assert (before[k] == after[k]).all()
        rest = [w for w in range(FOLDS) if w != k]
        assert (before[rest] != after[rest]).mean() > 0.9


@pytest.mark.usefixtures("fixed_penalty")
@pytest.mark.parametrize("model", IMAGE_MODELS.values(), ids=list(IMAGE_MODELS))
def test_no_refit_of_a_model_has_seen_its_fold(model: ImageModel) -> None:
    x, labels, fold = table()
    before = model.score(Inputs(x, labels, fold)).logits
    assert before.shape == (FOLDS + 1, *labels.shape)
    for k in range(-1, FOLDS):
        flipped = np.where((fold == k)[:, None], 1 - labels, labels)
        after = model.score(Inputs(x, flipped, fold)).logits
        assert (before[k] == after[k]).all() if k >= 0 else (before == after).all()
        own = (fold == k)[:, None] & ~np.isnan(labels) & (fold >= 0)[:, None]
        np.testing.assert_array_equal(after[-1][own], before[-1][own])


@pytest.mark.parametrize("every_set", [True, False])
def test_a_registered_model_is_a_candidate(
    every_set: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, labels, fold = table(n=120, signal=0.0)
    oracle = np.random.default_rng(3).normal(size=(FOLDS + 1, *labels.shape))
    oracle += 4 * np.nan_to_num(2 * labels - 1)
    model = ImageModel(lambda inputs: Scores(oracle), every_set)
    monkeypatch.setitem(IMAGE_MODELS, "oracle", model)
    refits, _ = image_scores.score({"a": x, "b": x[:, :2]}, labels, fold)
    known = ~np.isnan(labels[:, 0])
    assert auc(labels[known, 0], refits[-1][known, 0]) > 0.95


@pytest.mark.usefixtures("fixed_penalty")
def test_labels_outside_training_change_nothing_in_any_refit() -> None:
    x, labels, fold = table()
    before, _ = image_scores.score({"a": x}, labels, fold)
    after, _ = image_scores.score({"a": x}, np.where((fold < 0)[:, None], 1 - labels, labels), fold)
    assert (before == after).all()


@pytest.mark.usefixtures("fixed_penalty")
def test_flipping_a_folds_labels_does_not_change_its_scores_in_the_last_refit() -> None:
    x, labels, fold = table()
    before, _ = image_scores.score({"a": x}, labels, fold)
    for k in range(FOLDS):
        own = (fold == k)[:, None] & ~np.isnan(labels)
        flipped = np.where((fold == k)[:, None], 1 - labels, labels)
        after, _ = image_scores.score({"a": x}, flipped, fold)
        np.testing.assert_allclose(after[-1][own], before[-1][own], rtol=0, atol=1e-6)
        assert (before[-1][own] == before[k][own]).all()


def test_the_features_that_tell_are_named_for_each_attribute() -> None:
    x, labels, fold = table(n=240, signal=3.0)
    noise = np.random.default_rng(1).normal(size=(240, 5)).astype(np.float32)
    first, second = x.copy(), noise.copy()
    first[:, 1], second[:, 1] = noise[:, 0], x[:, 1]
    refits, best = image_scores.score({"first": first, "second": second}, labels, fold)
    assert [name for name, _ in best] == ["first", "second"]
    assert {penalty for _, penalty in best} <= set(PENALTIES["logistic"])
    for a in range(2):
        assert auc(labels[:, a], refits[-1][:, a]) > 0.8


def test_attributes_without_labels_or_with_one_class_are_scored_alike_everywhere() -> None:
    x, labels, fold = table()
    labels[:, 0], labels[:, 1] = NAN, np.where(np.isnan(labels[:, 1]), NAN, 1)
    refits, best = image_scores.score({"a": x}, labels, fold)
    assert np.isfinite(refits).all()
    assert (refits[..., 1] > 1).all()
    assert best[0] == ("", 0.0)


def paths(shape: tuple[int, int, int], sure: dict[tuple[int, int], float]) -> np.ndarray:
    """Logits 0, or of a candidate and attribute (c, a) that is right as sure as given."""
    out = np.zeros(shape)
    for (c, a), logit in sure.items():
        out[c, :, a] = logit
    return out


def test_the_tables_penalty_is_taken_unless_the_own_is_clearly_better() -> None:
    labels, fold = np.ones((20, 3)), np.arange(20) % 2
    scores = paths((2, 20, 3), {(1, 0): 2.0, (1, 1): 2.0, (0, 2): 2.0})
    chosen, losses = image_scores.choose_penalties(scores, labels, fold)
    assert chosen == [1, 1, 0]
    assert losses == pytest.approx([np.log1p(np.exp(-2))] * 3)
    # Better on average, but by one cell in twenty: within a standard error.
    scores[0, :, 2] = 0
    scores[0, 0, 2] = 2.0
    assert image_scores.choose_penalties(scores, labels, fold)[0] == [1, 1, 1]


def test_an_order_counts_however_large_its_logits() -> None:
    rng = np.random.default_rng(0)
    labels, fold = (rng.random((300, 1)) < 0.1).astype(float), np.arange(300) % 3
    telling = labels + rng.normal(0, 0.3, labels.shape)
    weak = 0.3 * labels + rng.normal(0, 0.3, labels.shape)
    # Far too sure of itself, and off by the prevalence.
    scores = np.stack([weak, 40 * telling])
    assert image_scores.choose_penalties(scores, labels, fold, scaled=True)[0] == [1]
    assert image_scores.choose_penalties(scores, labels, fold)[0] == [0]


def test_where_pictures_tell_nothing_the_best_logistic_regression_stands_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, labels, fold = table(n=120)
    monkeypatch.setattr(image_scores, "worth_it", lambda *scores: False)
    out, best = image_scores.score({"noise": x[:, 3:], "a": x}, labels, fold)
    assert [name for name, _ in best] == ["a", "a"]
    for a, (_, penalty) in enumerate(best):
        scores = linear_models.path("logistic", x, labels[:, a], fold)
        c = PENALTIES["logistic"].index(penalty)
        alone = linear_models.refits("logistic", x, labels[:, a], fold, penalty, scores[c])
        np.testing.assert_array_equal(out[..., a], alone)


def test_only_known_training_cells_choose_the_penalty() -> None:
    labels, fold = np.ones((20, 2)), np.where(np.arange(20) < 10, -1, np.arange(20) % 2)
    labels[15:, 0] = NAN
    labels[:, 1] = NAN
    scores = paths((2, 20, 2), {(1, 0): 1.0})
    unseen = np.isnan(labels[:, 0]) | (fold < 0)
    scores[1, unseen, 0] = -50
    chosen, losses = image_scores.choose_penalties(scores, labels, fold)
    assert chosen == [1, 1]
    assert losses == [pytest.approx(np.log1p(np.exp(-1))), np.inf]


def test_self_training_runs_on_the_features_named_best() -> None:
    x, labels, fold = table(n=160, signal=4.0)
    labels[60:] = NAN
    sets = {"noise": np.random.default_rng(2).normal(size=(160, 5)), "a": 5 * x}
    named = [("a", 0.1), ("", 0.0)]
    histories = image_scores.self_trained(sets, named, labels, fold, rounds=1, confidence=0.8)
    assert (histories[1].stop, histories[1].scorings) == ("no_rounds", 0)
    assert histories[0].log[0]["added"] > 0
    assert auc(labels[:, 0], histories[0].logits) > 0.85
    none = image_scores.self_trained(sets, named, labels, fold, rounds=0, confidence=0.8)
    assert [history.scorings for history in none] == [0, 0]
    duplicates = np.ones(labels.shape, dtype=bool)
    held_back = image_scores.self_trained(sets, named, labels, fold, 1, 0.8, duplicates)
    assert held_back[0].stop == "all_labelled"
