from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.data.splits import out_of_fold
from pipeline.impute.self_training import self_train

FOLDS = 4
NAN = float("nan")


class Example:
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
    data = Example()
    done = self_train(
        data.labels,
        data.fold,
        data.logits(3),
        data.refit(2, 1, 0.1),
        2,
        confidence=0.95,
    )
    assert done.stop == "max_rounds"
    assert done.scorings == 3
    assert [entry["kept"] for entry in done.log] == [True, True]
    assert done.log[1]["pseudo_labels"] > done.log[0]["pseudo_labels"]


def test_a_round_without_gain_is_taken_back() -> None:
    data = Example()
    first = data.logits(1)
    done = self_train(data.labels, data.fold, first, data.refit(5), 3, confidence=0.95)
    assert done.stop == "no_gain"
    assert done.scorings == 1
    assert done.log[0]["log_loss_change"] > 0
    assert np.array_equal(done.logits, out_of_fold(first, data.fold))


def test_pseudo_labels_stay_where_they_may_be() -> None:
    data = Example()
    self_train(data.labels, data.fold, data.logits(3), data.refit(2, 1, 0.5), 3, 0.9)
    assert len(data.calls) == 3
    for pseudo in data.calls:
        given = ~np.isnan(pseudo)
        assert given.any()
        assert not given[:, ~np.isnan(data.labels)].any(), "a known label was replaced"
        assert not given[:, data.fold < 0].any(), "a validation or test image was labelled"
        for k in range(FOLDS):
            assert not given[k, data.fold == k].any(), "a head labelled its own held-out fold"
    for earlier, later in zip(data.calls, data.calls[1:], strict=False):
        given = ~np.isnan(earlier)
        assert (later[given] == earlier[given]).all(), "an accepted label changed"
        assert (~np.isnan(later)).sum() > given.sum()


def test_pseudo_labels_are_the_confident_side() -> None:
    data = Example()
    logits = data.logits(1)
    self_train(data.labels, data.fold, logits, data.refit(1), 1, confidence=0.9)
    (pseudo,) = data.calls
    given = ~np.isnan(pseudo)
    bound = np.log(9)
    assert (np.abs(logits[given]) >= bound).all()
    assert (pseudo[given] == (logits[given] > 0)).all()


@pytest.mark.parametrize(
    ("rounds", "confidence", "stop"),
    [(0, 0.9, "no_rounds"), (3, 0.999999999, "no_change")],
)
def test_other_reasons_to_stop(rounds: int, confidence: float, stop: str) -> None:
    data = Example()
    done = self_train(data.labels, data.fold, data.logits(1), data.refit(1), rounds, confidence)
    assert done.stop == stop
    assert done.scorings == 1
    assert data.calls == []


def test_the_duplicate_of_a_known_image_is_no_pseudo_label() -> None:
    data = Example()
    duplicate = np.arange(400) % 3 == 0
    self_train(
        data.labels,
        data.fold,
        data.logits(1),
        data.refit(1),
        1,
        0.8,
        duplicate_known=duplicate,
    )
    (pseudo,) = data.calls
    assert (~np.isnan(pseudo)).any()
    assert np.isnan(pseudo[:, duplicate]).all()


def test_pseudo_labels_keep_the_proportion_of_the_known_classes() -> None:
    data = Example()
    # Three positives in four among the known: so among the pseudo-labels, from each model's folds.
    known = np.flatnonzero(~np.isnan(data.labels))
    negatives = known[data.labels[known] == 0]
    data.labels[negatives[40:]] = NAN
    self_train(data.labels, data.fold, data.logits(1), data.refit(1), 1, confidence=0.8)
    (pseudo,) = data.calls
    for k in range(FOLDS):
        outside = data.labels[(data.fold >= 0) & (data.fold != k)]
        share = np.nanmean(outside)
        given = pseudo[k, ~np.isnan(pseudo[k])]
        assert given.mean() == pytest.approx(share, abs=1 / len(given))


def test_the_most_confident_come_first() -> None:
    data = Example()
    logits = data.logits(1)
    self_train(data.labels, data.fold, logits, data.refit(1), 1, confidence=0.8)
    (pseudo,) = data.calls
    open_cells = np.isnan(data.labels) & (data.fold >= 0)
    for k in range(FOLDS):
        for value, sign in ((1, 1), (0, -1)):
            taken = sign * logits[k, pseudo[k] == value]
            beyond = sign * logits[k, open_cells & (data.fold != k) & np.isnan(pseudo[k])]
            assert taken.min() >= beyond.max() or beyond.max() < np.log(4)


def test_one_class_of_confident_cells_alone_adds_nothing() -> None:
    data = Example()
    data.x = np.where(np.isnan(data.labels), np.abs(data.x) + 1, data.x)
    done = self_train(data.labels, data.fold, data.logits(0.1), data.refit(1), 1, 0.9)
    assert (done.stop, data.calls) == ("no_change", [])


def test_nothing_unknown_is_all_labelled() -> None:
    data = Example(unknown=0.0)
    done = self_train(data.labels, data.fold, data.logits(1), data.refit(1), 3, 0.9)
    assert done.stop == "all_labelled"
    assert data.calls == []


def test_no_known_label_runs_no_round() -> None:
    data = Example(unknown=1.0)
    done = self_train(data.labels, data.fold, data.logits(1), data.refit(1), 3, 0.9)
    assert (done.stop, done.scorings, data.calls) == ("no_rounds", 1, [])
