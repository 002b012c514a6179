from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.impute.self_training import self_train

FOLDS = 4
NAN = float("nan")


class World:
    """One number per image decides the label; heads see it through noise that can shrink."""

    def __init__(self, n: int = 400, unknown: float = 0.5, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=n)
        truth = (self.x + rng.normal(0, 0.4, n) > 0).astype(float)
        self.labels = np.where(rng.random(n) < unknown, NAN, truth)
        self.fold = np.where(np.arange(n) % 10 == 0, -1, np.arange(n) % FOLDS)
        self.noise = rng.normal(size=(FOLDS, n))
        self.calls: list[np.ndarray] = []

    def logits(self, noise: float, pseudo: np.ndarray | None = None) -> np.ndarray:
        scores = 4 * self.x + noise * self.noise
        fitted = (self.fold >= 0) & (self.fold != np.arange(FOLDS)[:, None])
        fitted &= ~np.isnan(self.labels) | ~np.isnan(self._or(pseudo))
        return np.where(fitted, NAN, scores)

    def _or(self, pseudo: np.ndarray | None) -> np.ndarray:
        return np.full((FOLDS, len(self.x)), NAN) if pseudo is None else pseudo

    def refit(self, *noises: float) -> Callable[[np.ndarray], np.ndarray]:
        def call(pseudo: np.ndarray) -> np.ndarray:
            self.calls.append(pseudo)
            return self.logits(noises[min(len(self.calls), len(noises)) - 1], pseudo)

        return call


def test_improving_rounds_are_kept_up_to_the_maximum() -> None:
    world = World()
    done = self_train(
        world.labels, world.fold, world.logits(3), world.refit(2, 1, 0.1), 2, confidence=0.95
    )
    assert done.stop == "max_rounds"
    assert len(done.logits) == 3
    assert [entry["kept"] for entry in done.log] == [True, True]
    assert done.log[1]["pseudo_labels"] > done.log[0]["pseudo_labels"]


def test_a_round_without_gain_is_taken_back() -> None:
    world = World()
    first = world.logits(1)
    done = self_train(world.labels, world.fold, first, world.refit(5), 3, confidence=0.95)
    assert done.stop == "no_gain"
    assert len(done.logits) == 1
    assert done.log[0]["log_loss_change"] > 0
    assert done.logits[0] is first


def test_pseudo_labels_stay_where_they_may_be() -> None:
    world = World()
    self_train(world.labels, world.fold, world.logits(3), world.refit(2, 1, 0.5), 3, 0.9)
    assert len(world.calls) == 3
    for pseudo in world.calls:
        given = ~np.isnan(pseudo)
        assert given.any()
        assert not given[:, ~np.isnan(world.labels)].any(), "a known label was replaced"
        assert not given[:, world.fold < 0].any(), "a validation or test image was labelled"
        for k in range(FOLDS):
            assert not given[k, world.fold == k].any(), "a head labelled its own held-out fold"
    for earlier, later in zip(world.calls, world.calls[1:], strict=False):
        given = ~np.isnan(earlier)
        assert (later[given] == earlier[given]).all(), "an accepted label changed"
        assert (~np.isnan(later)).sum() > given.sum()


def test_pseudo_labels_are_the_confident_side() -> None:
    world = World()
    logits = world.logits(1)
    self_train(world.labels, world.fold, logits, world.refit(1), 1, confidence=0.9)
    (pseudo,) = world.calls
    given = ~np.isnan(pseudo)
    bound = np.log(9)
    assert (np.abs(logits[given]) >= bound).all()
    assert (pseudo[given] == (logits[given] > 0)).all()


@pytest.mark.parametrize(
    ("rounds", "confidence", "stop"),
    [(0, 0.9, "no_rounds"), (3, 0.999999999, "no_change")],
)
def test_other_reasons_to_stop(rounds: int, confidence: float, stop: str) -> None:
    world = World()
    done = self_train(world.labels, world.fold, world.logits(1), world.refit(1), rounds, confidence)
    assert done.stop == stop
    assert len(done.logits) == 1
    assert world.calls == []


def test_the_twin_of_a_known_image_is_no_pseudo_label() -> None:
    world = World()
    twin = np.arange(400) % 3 == 0
    self_train(world.labels, world.fold, world.logits(1), world.refit(1), 1, 0.8, twin_known=twin)
    (pseudo,) = world.calls
    assert (~np.isnan(pseudo)).any()
    assert np.isnan(pseudo[:, twin]).all()


def test_pseudo_labels_keep_the_proportion_of_the_known_classes() -> None:
    world = World()
    # Three positives in four among the known: so among the pseudo-labels, from each model's folds.
    known = np.flatnonzero(~np.isnan(world.labels))
    negatives = known[world.labels[known] == 0]
    world.labels[negatives[40:]] = NAN
    self_train(world.labels, world.fold, world.logits(1), world.refit(1), 1, confidence=0.8)
    (pseudo,) = world.calls
    for k in range(FOLDS):
        outside = world.labels[(world.fold >= 0) & (world.fold != k)]
        share = np.nanmean(outside)
        given = pseudo[k, ~np.isnan(pseudo[k])]
        assert given.mean() == pytest.approx(share, abs=1 / len(given))


def test_the_most_confident_come_first() -> None:
    world = World()
    logits = world.logits(1)
    self_train(world.labels, world.fold, logits, world.refit(1), 1, confidence=0.8)
    (pseudo,) = world.calls
    open_cells = np.isnan(world.labels) & (world.fold >= 0)
    for k in range(FOLDS):
        for value, sign in ((1, 1), (0, -1)):
            taken = sign * logits[k, pseudo[k] == value]
            beyond = sign * logits[k, open_cells & (world.fold != k) & np.isnan(pseudo[k])]
            assert taken.min() >= beyond.max() or beyond.max() < np.log(4)


def test_one_class_of_confident_cells_alone_adds_nothing() -> None:
    world = World()
    world.x = np.where(np.isnan(world.labels), np.abs(world.x) + 1, world.x)
    done = self_train(world.labels, world.fold, world.logits(0.1), world.refit(1), 1, 0.9)
    assert (done.stop, world.calls) == ("no_change", [])


def test_nothing_unknown_is_all_labelled() -> None:
    world = World(unknown=0.0)
    done = self_train(world.labels, world.fold, world.logits(1), world.refit(1), 3, 0.9)
    assert done.stop == "all_labelled"
    assert world.calls == []


def test_no_known_label_runs_no_round() -> None:
    world = World(unknown=1.0)
    done = self_train(world.labels, world.fold, world.logits(1), world.refit(1), 3, 0.9)
    assert (done.stop, len(done.logits), world.calls) == ("no_rounds", 1, [])
