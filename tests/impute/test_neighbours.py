"""Neighbours of a picture: what they vote, and whom they are not allowed to ask."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.impute import neighbours
from pipeline.impute.neighbours import Neighbours

NAN = float("nan")


def pairs() -> tuple[Neighbours, np.ndarray, np.ndarray]:
    """Four directions with three alike images each; the third of each is not in training."""
    x = np.repeat(np.eye(4), 3, axis=0)
    labels = np.array([1, NAN, NAN, 0, NAN, NAN, 1, 1, NAN, 0, 1, NAN])[:, None]
    fold = np.tile([0, 1, -1], 4)
    return Neighbours.of(x, fold >= 0, neighbours=2), labels, fold


def test_neighbours_vote_by_hand() -> None:
    graph, labels, fold = pairs()
    out = graph.neighbours(labels, fold)[-1, :, 0]
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
    graph = Neighbours.of(x, fold >= 0, neighbours=6)
    before = getattr(graph, method)(labels, fold)
    assert np.isfinite(before).all()
    for k in range(-1, 3):
        after = getattr(graph, method)(np.where((fold == k)[:, None], 1 - labels, labels), fold)
        if k < 0:
            assert (before == after).all()
            continue
        assert (before[k] == after[k]).all(), "a refit without a fold knows none of its labels"
        own = (fold == k)[:, None] & ~np.isnan(labels)
        assert (before[-1][own] == after[-1][own]).all()
        assert (before[-1][~own] != after[-1][~own]).any()


def test_spread_reaches_further_than_the_neighbours() -> None:
    angle = np.linspace(0, 2.5, 11)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    labels = np.full((11, 1), NAN)
    labels[0], labels[10] = 1, 0
    fold = np.arange(11) % 2
    graph = Neighbours.of(x, fold >= 0, neighbours=2)
    spread = graph.spread(labels, fold)[-1, 1:10, 0]
    votes = graph.neighbours(labels, fold)[-1, 1:10, 0]
    assert (np.diff(spread) < 0).all()
    # Most images have no known label beside them: all they have is the prevalence.
    assert (np.abs(votes[2:7]) < 1e-7).all()
    assert spread[2] > 0.01 > -0.01 > spread[6]


def test_what_has_spread_is_said_to_new_pictures() -> None:
    angle = np.linspace(0, 2.5, 11)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    new = [4, 7]
    training = ~np.isin(np.arange(11), new)
    graph = Neighbours.of(x, training, neighbours=2)
    targets, weights = np.zeros((2, 11, 1))
    targets[0], weights[[0, 10]] = 1, 1
    said, believed = graph.spread_votes(targets, weights)
    assert (believed[new] == 0).all(), "a new picture has no label"
    assert (believed[training] > 0).all(), "labels reach all that can be neighbours"
    assert (np.diff(said[training, 0]) < 0).all()
    # Where votes say nothing, the new pictures lean to the side of the nearer label.
    spread, votes = graph.votes(said, believed)[new, 0], graph.votes(targets, weights)[new, 0]
    assert spread[0] > 0.01 > -0.01 > spread[1] and (np.abs(votes) < 1e-7).all()
    # By hand: two images, one with a label, which keeps half of it and then passes on a half.
    pair = Neighbours.of(np.eye(2)[[0, 0]], np.array([True, True]), neighbours=1)
    _, believed = pair.spread_votes(np.ones((2, 1)), np.array([[1.0], [0.0]]))
    # The degree of each is 2, 1 in both directions, and links are 2 / 2.
    kept = believed[:, 0] * 2**0.5 * neighbours.SPREAD_PRIOR / neighbours.PRIOR
    np.testing.assert_allclose(kept, [2 / 3, 1 / 3], atol=1e-5)


@pytest.mark.parametrize("size", [300, neighbours.MANY, 5001])
def test_the_smallest_of_few_and_of_many_are_found(size: int) -> None:
    values = np.random.default_rng(0).normal(size=(20, size)).astype(np.float32)
    values[0] = np.arange(size)  # all in one group's reach
    values[1] = 7.0
    found = neighbours.smallest(values, 15)
    assert found.shape == (20, 15)
    assert all(len({*row}) == 15 for row in found.tolist())
    least = np.sort(values, axis=1)[:, :15]
    assert (np.sort(np.take_along_axis(values, found, axis=1), axis=1) == least).all()


def test_many_images_are_compared_by_few_components(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, training = rng.normal(size=(300, 6)), rng.random(300) < 0.8
    by_three = Neighbours.of(x[:, :3], training).weights.toarray()
    assert (Neighbours.of(x, training).weights.toarray() != by_three).any()
    monkeypatch.setattr(neighbours, "FEW", 3)
    monkeypatch.setattr(neighbours, "MANY", int(training.sum()))
    assert (Neighbours.of(x, training).weights.toarray() == by_three).all()
