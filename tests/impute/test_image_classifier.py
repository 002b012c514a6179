"""What pictures tell: regressions combined, targets of each refit, and the collapse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pipeline.impute import image_classifier
from pipeline.impute.components import project, projected
from pipeline.impute.neighbours import Neighbours
from pipeline.metrics.ranking import auc
from pipeline.metrics.scores import expected_calibration_error

FOLDS = 4


def problem(
    n: int = 900, channels: int = 12, attributes: int = 3, hidden: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features [n, C], truth and labels with holes [n, A], folds with a third outside training."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (n, channels)).astype(np.float32)
    true = rng.normal(0, 1, (channels, attributes)) / 2
    truth = (rng.random((n, attributes)) < expit(x @ true - 1)).astype(np.float64)
    labels = np.where(rng.random(truth.shape) < hidden, np.nan, truth)
    fold = rng.permutation(n) % FOLDS
    fold[rng.random(n) < 0.33] = -1
    return x, truth, labels, fold


def test_learns_and_is_calibrated_on_images_that_it_has_not_seen() -> None:
    x, truth, labels, fold = problem(n=3000)
    fitted = image_classifier.fit({"pooled": x}, labels, fold)
    unseen = fold < 0
    for a in range(truth.shape[1]):
        assert auc(truth[unseen, a], fitted.logits[unseen, a]) > 0.7
    found = expected_calibration_error(truth[unseen].ravel(), expit(fitted.logits[unseen]).ravel())
    assert found < 0.04
    assert len(fitted.loss) == (~np.isnan(labels) & (fold >= 0)[:, None]).sum()


def test_logits_outside_training_are_the_affine_function() -> None:
    x, _, labels, fold = problem()
    fitted = image_classifier.fit({"a": x[:, :7], "b": x[:, 5:]}, labels, fold)
    wanted = x[:, :7] @ fitted.weights["a"] + x[:, 5:] @ fitted.weights["b"] + fitted.offsets
    np.testing.assert_allclose(fitted.logits[fold < 0], wanted[fold < 0], atol=1e-4)


def test_a_fold_is_scored_by_what_has_not_seen_its_labels() -> None:
    x, _, labels, fold = problem(n=300, channels=60)
    image = int(np.flatnonzero((fold == 1) & ~np.isnan(labels).any(axis=1))[0])
    before = image_classifier.fit({"pooled": x}, labels, fold, keep_refits=True)
    labels[image] = 1 - labels[image]
    after = image_classifier.fit({"pooled": x}, labels, fold, keep_refits=True)
    assert before.refits is not None and after.refits is not None
    moved = np.abs(before.refits - after.refits)[:, image].max(axis=-1)
    # Weights and penalties of all labels move a little; the models of the last refit, a lot.
    assert moved[1] < 0.3 * moved[-1]


def test_what_a_fit_learns_of_hidden_cells_is_taught_by_their_targets() -> None:
    x, truth, labels, fold = problem(n=500, hidden=0.9)
    mask = image_classifier.fit({"pooled": x}, labels, fold)
    weights = np.ones(labels.shape)
    taught = image_classifier.fit({"pooled": x}, labels, fold, truth, weights)
    unseen = fold < 0
    areas = [
        np.mean([auc(y, z) for y, z in zip(truth[unseen].T, one.logits[unseen].T, strict=True)])
        for one in (mask, taught)
    ]
    assert areas[1] > areas[0] + 0.02


def test_targets_outside_0_to_1_are_refused_where_they_count() -> None:
    x, truth, labels, fold = problem(n=100)
    weights = np.ones(labels.shape)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        image_classifier.fit({"pooled": x}, labels, fold, truth + 0.5, weights)


def test_collapsed_weights_on_the_features_themselves() -> None:
    x, _, labels, fold = problem()
    features = {"a": 3 * x[:, :7] + 20, "b": x[:, 5:] - 4}
    features["a"][:, 2] = 7.0
    training = fold >= 0
    projections = {name: project(values, training) for name, values in features.items()}
    blocks = {name: projected(features[name], one) for name, one in projections.items() if one}
    fitted = image_classifier.fit(blocks, labels, fold)
    weights, offsets = image_classifier.on_features(fitted, projections)
    found = sum(features[name] @ weights[name] for name in features) + offsets
    np.testing.assert_allclose(found[~training], fitted.logits[~training], atol=1e-3)
    assert not weights["a"][2].any()


def test_attributes_that_guess_have_the_prevalence_whatever_the_picture() -> None:
    x, _, labels, fold = problem()
    fitted = image_classifier.fit({"pooled": x}, labels, fold)
    found = image_classifier.guessing(fitted, labels, fold, np.array([False, True, False]))
    y = labels[(fold >= 0) & ~np.isnan(labels[:, 1]), 1]
    np.testing.assert_allclose(expit(found.logits[:, 1]), (y.sum() + 1) / (len(y) + 2))
    assert not found.weights["pooled"][:, 1].any()
    np.testing.assert_array_equal(found.logits[:, 0], fitted.logits[:, 0])


def categorical(n: int = 900) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As `problem`, but the first three columns are the values of one attribute."""
    x, _, _, fold = problem(n)
    rng = np.random.default_rng(3)
    scores = x @ rng.normal(0, 0.7, (x.shape[1], 3))
    truth = np.eye(3)[np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)]
    truth = np.column_stack([truth, rng.random(n) < expit(x[:, 0])]).astype(float)
    labels = truth.copy()
    labels[rng.random(n) < 0.4, :3] = np.nan
    return x, truth, labels, fold


def test_values_of_a_categorical_attribute_are_one_calibrated_softmax() -> None:
    x, truth, labels, fold = categorical(3000)
    fitted = image_classifier.fit({"pooled": x}, labels, fold)
    found = image_classifier.joined(fitted, labels, fold, ((0, 3),))
    unseen = fold < 0
    share = np.exp(found.logits[unseen, :3])
    share /= share.sum(axis=1, keepdims=True)
    ece = expected_calibration_error(truth[unseen, :3].ravel(), share.ravel())
    assert ece < 0.04
    np.testing.assert_array_equal(found.logits[:, 3], fitted.logits[:, 3])
    wanted = x @ found.weights["pooled"] + found.offsets
    np.testing.assert_allclose(found.logits[unseen], wanted[unseen], atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_column_of_one_class_or_unknown(value: float) -> None:
    x, _, labels, fold = problem(n=200)
    labels[:, 1] = value
    fitted = image_classifier.fit({"pooled": x}, labels, fold)
    assert np.isfinite(fitted.logits).all()
    assert np.isfinite(fitted.offsets).all()
    if not np.isnan(value):
        assert (np.sign(fitted.logits[:, 1]) == (1 if value else -1)).all()


def test_pictures_that_tell_nothing_are_calibrated_too() -> None:
    x, _, labels, fold = problem(n=600)
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 1, x.shape).astype(np.float32)
    fitted = image_classifier.fit({"pooled": noise}, labels, fold)
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    share = np.nanmean(np.where(known, labels, np.nan), axis=0)
    guess = -np.log(np.where(labels == 1, share, 1 - share))[known].mean()
    assert fitted.loss.mean() < guess + 0.02


def crossed(n: int = 900) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As `problem`, but no linear function of the features says anything of the first column."""
    x, truth, labels, fold = problem(n, channels=2, hidden=0.5)
    truth[:, 0] = (x[:, 0] > 0) == (x[:, 1] > 0)
    return x, truth, np.where(np.isnan(labels), np.nan, truth), fold


def test_neighbours_votes_are_heard_where_regressions_say_nothing() -> None:
    x, truth, labels, fold = crossed()
    near, unseen = Neighbours.of(x, fold >= 0), fold < 0
    alone = image_classifier.fit({"pooled": x}, labels, fold)
    fitted = image_classifier.fit({"pooled": x}, labels, fold, neighbours=near)
    assert auc(truth[unseen, 0], alone.logits[unseen, 0]) < 0.6
    assert auc(truth[unseen, 0], fitted.logits[unseen, 0]) > 0.9
    # One weight for each vote, on what a new picture's neighbours say.
    (votes,) = fitted.votes.values()
    said = np.zeros((2, *labels.shape))
    said[0, near.pool], said[1, near.pool] = votes.targets, votes.weights
    wanted = x @ fitted.weights["pooled"] + near.votes(*said) * votes.slope + fitted.offsets
    np.testing.assert_allclose(fitted.logits[unseen], wanted[unseen], atol=1e-3)


def test_no_vote_is_cast_on_a_fold_by_its_own_labels() -> None:
    x, _, labels, fold = crossed(300)
    image, twin = np.flatnonzero((fold == 1) & ~np.isnan(labels[:, 0]))[:2]
    x[twin] = x[image]
    near = Neighbours.of(x, fold >= 0)
    other = labels.copy()
    other[twin, 0] = 1 - labels[twin, 0]
    before, after = (
        image_classifier.fit({"pooled": x}, own, fold, keep_refits=True, neighbours=near)
        for own in (labels, other)
    )
    assert before.refits is not None and after.refits is not None
    moved = np.abs(before.refits - after.refits)[:, image, 0]
    assert moved[1] < 0.3 * moved[-1]
