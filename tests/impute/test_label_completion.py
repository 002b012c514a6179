"""Rows completed from some of their labels: what is read, what stays, what it gains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from pipeline.data.categories import Attribute
from pipeline.impute import label_completion, related
from pipeline.impute.label_completion import (
    LabelCompletion,
    completed,
    fit,
    helps,
    some_images,
)
from pipeline.metrics.scores import auc, log_loss

NAN = float("nan")
FOLDS = 3


def table(
    seed: int = 0, n: int = 400, agree: float = 0.9, unknown: float = 0.3
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Image logits that tell a little, labels with holes, folds with -1 among them, the truth:
    columns 0 and 1 mostly agree, 2 is of its own."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (n, 3)).astype(float)
    truth[:, 1] = np.where(rng.random(n) < agree, truth[:, 0], 1 - truth[:, 0])
    image = 0.6 * (2 * truth - 1) + rng.normal(0, 1, truth.shape)
    labels = np.where(rng.random(truth.shape) < unknown, NAN, truth)
    return image, labels, rng.permutation(n) % (FOLDS + 1) - 1, truth


@pytest.fixture(scope="module")
def fitted() -> tuple[LabelCompletion, np.ndarray]:
    image, labels, fold, _ = table()
    return fit(image, labels, fold, (0,))


Fit = tuple[LabelCompletion, np.ndarray]


def test_without_labels_it_is_the_classifiers_own_probability(fitted: Fit) -> None:
    probability = expit(table(1)[0])
    nothing = np.full(probability.shape, NAN)
    assert (completed(fitted[0], probability, nothing) == probability).all()
    assert (fitted[0](table(1)[0], nothing) == table(1)[0]).all()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_any_part_of_the_labels_serves_and_stays(fitted: Fit, seed: int, share: float) -> None:
    image, _, _, truth = table(seed, n=20)
    labels = np.where(np.random.default_rng(seed).random(truth.shape) < share, truth, NAN)
    found = completed(fitted[0], expit(image), labels)
    known = ~np.isnan(labels)
    assert (found[known] == labels[known]).all()
    assert ((found[~known] > 0) & (found[~known] < 1)).all()
    blank = ~known.any(axis=1)
    assert (found[blank] == expit(image)[blank]).all()


def test_a_cells_own_label_is_not_read(fitted: Fit) -> None:
    image, _, _, truth = table(2, n=50)
    for a in range(3):
        other = truth.copy()
        other[:, a] = 1 - other[:, a]
        found, again = (fitted[0](image, labels)[:, a] for labels in (truth, other))
        np.testing.assert_allclose(again, found, rtol=0, atol=1e-9)


def test_labels_tell_what_they_agree_with_and_nothing_else(fitted: Fit) -> None:
    image, _, _, truth = table(3, n=2000)
    given = np.where([True, False, False], truth, NAN)
    found = completed(fitted[0], expit(image), given)
    loss, own = (log_loss(p[:, 1], truth[:, 1]).mean() for p in (found, expit(image)))
    assert loss < 0.75 * own
    assert auc(truth[:, 1], found[:, 1]) > auc(truth[:, 1], image[:, 1]) + 0.1
    assert auc(truth[:, 2], found[:, 2]) == pytest.approx(auc(truth[:, 2], image[:, 2]), abs=0.02)
    # Calibrated: as many 1 as the probabilities say, among likely and unlikely ones.
    for part in (found[:, 1] > 0.5, found[:, 1] < 0.5):
        assert truth[part, 1].mean() == pytest.approx(found[part, 1].mean(), abs=0.05)


def test_held_out_cells_are_scored_without_their_label() -> None:
    image, labels, fold, _ = table(4, n=150)
    _, before = fit(image, labels, fold, (0,))
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    assert (~np.isnan(before) == known).all()
    for row in np.flatnonzero(known[:, 2])[:4]:
        changed = labels.copy()
        changed[row, 2] = 1 - changed[row, 2]
        after = fit(image, changed, fold, (0,))[1]
        # By way of the weights alone, which other folds' scores decide.
        assert after[row, 2] == pytest.approx(before[row, 2], abs=0.02)
        assert (after != before)[known[:, 2] & (fold != fold[row]), 2].any()
    outside = labels.copy()
    outside[fold < 0] = 1 - outside[fold < 0]
    np.testing.assert_array_equal(fit(image, outside, fold, (0,))[1], before)


def test_whether_other_labels_help() -> None:
    for agree, expected in ((0.9, True), (0.5, False)):
        image, labels, fold, _ = table(5, agree=agree)
        _, held_out = fit(image, labels, fold, (0,))
        assert helps(held_out, image, labels) == expected


def test_values_of_a_categorical_attribute_do_not_tell_each_other() -> None:
    rng = np.random.default_rng(6)
    value, coat = rng.integers(0, 3, 400), rng.integers(0, 2, 400)
    value = np.where(rng.random(400) < 0.6, coat, value)
    labels = np.hstack([np.eye(3)[value], coat[:, None]])
    labels[rng.random(400) < 0.3, :3] = NAN
    image = rng.normal(0, 1, labels.shape)
    colour = Attribute("colour", ("a", "b", "c"), 0)
    fold = np.arange(400) % FOLDS
    model, held_out = fit(image, labels, fold, (0,), [colour])
    known = ~np.isnan(labels[:, 0])
    # From the coat .73 at the most, where it is shown, which is half of the time.
    assert 0.45 < (np.argmax(held_out[known, :3], axis=1) == value[known]).mean() < 0.66
    probability = expit(image)
    probability[:, :3] /= probability[:, :3].sum(axis=1, keepdims=True)
    only_coat = np.where([False, False, False, True], labels, NAN)
    found = completed(model, probability, only_coat, [colour.span])
    np.testing.assert_allclose(found[:, :3].sum(axis=1), 1)
    assert (found[:, 3] == coat).all()


def test_without_a_model_known_cells_are_all_that_labels_change() -> None:
    image, labels, _, _ = table(7, n=30)
    found = completed(None, expit(image), labels)
    assert (found == np.where(np.isnan(labels), expit(image), labels)).all()


def test_columns_of_one_class_and_without_labels() -> None:
    image, labels, fold, _ = table(8, n=120)
    labels[:, 1], labels[:, 2] = np.where(np.isnan(labels[:, 1]), NAN, 1.0), NAN
    model, held_out = fit(image, labels, fold, (0,))
    assert np.isfinite(model(image, labels)).all()
    assert np.isnan(held_out[:, 2]).all()


def test_what_is_not_learnable_keeps_the_pictures_score() -> None:
    image, labels, fold, truth = table(11)
    model, held_out = fit(image, labels, fold, (0,), learnable=np.array([True, False, True]))
    given = np.where([True, False, False], truth, NAN)
    found = model(image, given)
    np.testing.assert_array_equal(found[:, 1], image[:, 1])
    known = ~np.isnan(held_out[:, 1])
    np.testing.assert_array_equal(held_out[known, 1], image[known, 1])


def test_extreme_probabilities_stay_inside(fitted: Fit) -> None:
    probability = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.5]])
    labels = np.array([[1.0, NAN, NAN], [NAN, 1.0, NAN]])
    found = completed(fitted[0], probability, labels)
    assert np.isfinite(logit(found[:, 2])).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_in_a_wide_table_what_is_not_related_has_no_coefficient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, labels, fold, _ = table(n=300)  # few enough for this process alone
    monkeypatch.setattr(related, "MOST_READ", 1)
    model, _ = fit(image, labels, fold, (0,))
    width = labels.shape[1]
    of_labels = model.linear[:, width : 2 * width]
    assert ((of_labels != 0).sum(axis=1) <= 1).all() and (of_labels != 0).any()
    monkeypatch.setattr(related, "MOST_READ", width - 1)
    whole, _ = fit(image, labels, fold, (0,))
    assert ((whole.linear[:, width : 2 * width] != 0).sum(axis=1) == width - 1).all()


def test_at_most_so_many_images_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_completion, "MOST_IMAGES", 50)
    assert some_images(50, 0).tolist() == list(range(50))
    few = some_images(400, 0)
    assert len(set(few.tolist())) == 50 and few.max() < 400
    np.testing.assert_array_equal(few, some_images(400, 0))
    assert few.tolist() != some_images(400, 1).tolist()
