"""Unknown cells filled in, left out or taken for 0, and which of these validation labels prefer."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from pipeline.impute import image_classifier
from pipeline.impute.neighbours import Neighbours
from pipeline.impute.treatments import Completed, choose, fit_treatments, refit_targets
from tests.impute.test_image_classifier import categorical, crossed, problem


def test_validation_labels_choose_between_known_and_completed() -> None:
    x, truth, labels, fold = problem(n=600, hidden=0.9)
    unseen = (fold < 0)[:, None]
    mask = image_classifier.fit({"pooled": x}, labels, fold)
    taught = image_classifier.fit({"pooled": x}, labels, fold, truth, np.ones(labels.shape))
    wrong = image_classifier.fit({"pooled": x}, labels, fold, 1 - truth, np.ones(labels.shape))
    known = np.where(unseen, truth, np.nan)
    better, share = choose(mask, taught, known)
    assert share == 1
    np.testing.assert_array_equal(better.offsets, taught.offsets)
    assert choose(mask, wrong, known)[1] == 0
    mean, share = choose(mask, taught, np.full(labels.shape, np.nan))
    assert share == 0.5
    wanted = x @ mean.weights["pooled"] + mean.offsets
    np.testing.assert_allclose(mean.logits[fold < 0], wanted[fold < 0], atol=1e-4)


def test_refit_targets_by_hand() -> None:
    labels = np.array([[1.0, np.nan]])
    refits = np.array([[[5.0, -1.0]], [[5.0, 2.0]]])
    # The other labels of the row add 3 in log-odds to the picture's -2.
    probability, image = np.array([[0.3, expit(1.0)]]), np.array([[0.0, -2.0]])
    found = refit_targets(refits, labels, probability, image)
    np.testing.assert_allclose(found[:, 0, 0], 1.0)
    np.testing.assert_allclose(logit(found[:, 0, 1]), [2.0, 5.0], atol=1e-5)


def test_treatments_of_unknown_cells() -> None:
    x, truth, labels, fold = categorical()
    rng = np.random.default_rng(0)
    validation = (fold < 0) & (rng.random(len(fold)) < 0.5)
    completed = Completed(np.clip(truth, 0.02, 0.98), np.zeros(truth.shape), np.ones(truth.shape))
    found, share = fit_treatments({"pooled": x}, labels, fold, completed, validation, ((0, 3),))
    assert list(found) == ["impute", "mask", "negative"] and 0 <= share <= 1
    assert all(one.refits is None for one in found.values())
    kept, _ = fit_treatments(
        {"pooled": x}, labels, fold, completed, validation, ((0, 3),), keep_refits=True
    )
    refits = kept["mask"].refits
    assert refits is not None and refits.shape == (fold.max() + 2, *labels.shape)
    mask = image_classifier.joined(
        image_classifier.fit({"pooled": x}, labels, fold), labels, fold, ((0, 3),)
    )
    np.testing.assert_allclose(found["mask"].logits, mask.logits)
    # No column but the categorical ones has an unknown cell, and these stay out as unknown.
    np.testing.assert_allclose(found["negative"].logits[:, 3], mask.logits[:, 3], atol=1e-6)


def test_treatments_have_votes_of_their_own_and_joined_or_guessed_ones() -> None:
    x, truth, labels, fold = crossed(600)
    near = Neighbours.of(x, fold >= 0)
    completed = Completed(np.clip(truth, 0.02, 0.98), np.zeros(truth.shape), np.ones(truth.shape))
    nobody = np.zeros(len(fold), dtype=bool)
    found, share = fit_treatments(
        {"pooled": x}, labels, fold, completed, nobody, ((1, 3),), neighbours=near
    )
    assert share == 0.5  # nothing chooses
    assert {name: list(one.votes) for name, one in found.items()} == {
        "impute": ["known", "completed"],
        "mask": ["known"],
        "negative": ["unknown as 0"],
    }
    unseen = fold < 0
    for one in found.values():
        wanted = x @ one.weights["pooled"] + one.offsets
        for votes in one.votes.values():
            said = np.zeros((2, *labels.shape))
            said[0, near.pool], said[1, near.pool] = votes.targets, votes.weights
            wanted = wanted + near.votes(*said) * votes.slope
        np.testing.assert_allclose(one.logits[unseen], wanted[unseen], atol=1e-3)
    guess = image_classifier.guessing(found["mask"], labels, fold, np.array([True, False, False]))
    assert guess.votes["known"].slope[0] == 0 and guess.votes["known"].slope[1] > 0
