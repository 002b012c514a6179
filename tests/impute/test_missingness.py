"""Tests for missing at random: planted dependence is found, chance is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from pipeline.data.categories import Attribute
from pipeline.impute.missingness import Missingness, examine, exchangeable, sentence

NAN = float("nan")
NAMES = ["hat", "sleeves", "stripes"]


def table(seed: int, n: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = 6 * rng.normal(size=(n, 4))  # the leading components of many channels vary as much
    labels = rng.integers(0, 2, (n, 3)).astype(float)
    return x, labels, np.arange(n) % 4


def at_random(labels: np.ndarray, seed: int) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(labels.shape) < 0.3, NAN, labels)


def test_silent_where_labels_are_missing_at_random() -> None:
    warned = 0
    for seed in range(25):
        x, labels, fold = table(seed, 120)
        found = examine(x, at_random(labels, seed + 1000), fold, NAMES, (seed,))
        warned += any(one.depends_on_picture or one.depends_on_label for one in found)
    # Binomial(25, .04): more than 4 has a chance of 1 in 500.
    assert warned <= 4


def test_dependence_on_the_picture_is_found() -> None:
    x, labels, fold = table(0)
    hidden = at_random(labels, 1)
    hidden[:, 1] = np.where(x[:, 0] > 3.6, NAN, labels[:, 1])
    found = examine(x, hidden, fold, NAMES)
    assert [one.depends_on_picture for one in found] == [False, True, False]
    assert found[1].picture_auc > 0.9
    assert found[1].picture_p < 0.001


def test_dependence_on_another_label_is_found_and_named() -> None:
    x, labels, fold = table(0)
    hidden = at_random(labels, 1)
    hidden[:, 0] = np.where((labels[:, 2] == 1) & (x[:, 0] > -6), NAN, labels[:, 0])
    found = examine(x, hidden, fold, NAMES)
    assert [one.depends_on_label for one in found] == [True, False, False]
    assert found[0].label == "stripes"
    unknown, other = np.isnan(hidden[:, 0]), hidden[:, 2]
    counts = [[(m & (other == v)).sum() for v in (0, 1)] for m in (unknown, ~unknown)]
    assert found[0].label_p == pytest.approx(fisher_exact(counts).pvalue)


def test_hiding_by_the_value_itself_shows_in_the_picture() -> None:
    x, labels, fold = table(2, 400)
    labels[:, 0] = x[:, 0] + 0.3 * x[:, 1] > 0
    hidden = labels.copy()
    draw = np.random.default_rng(0).random(400)
    hidden[:, 0] = np.where(draw < np.where(labels[:, 0] == 1, 0.7, 0.1), NAN, labels[:, 0])
    assert examine(x, hidden, fold, NAMES)[0].depends_on_picture


def test_only_training_images_are_examined() -> None:
    x, labels, fold = table(3)
    fold = np.where(np.arange(240) < 80, -1, fold)
    hidden = at_random(labels, 3)
    before = examine(x, hidden, fold, NAMES)
    outside = np.arange(240) < 80
    hidden[outside] = np.where(x[outside, :1] > 0, NAN, labels[outside])
    assert examine(x, hidden, fold, NAMES) == before


def test_nothing_unknown_and_a_single_attribute_give_no_warning() -> None:
    x, labels, fold = table(4)
    (found,) = examine(x, labels[:, :1], fold, ["hat"])
    assert not found.depends_on_picture and not found.depends_on_label
    assert np.isnan(found.picture_p)
    assert found.label_p == 1
    assert sentence("hat", found) is None
    (found,) = examine(x, np.full((240, 1), NAN), fold, ["hat"])
    assert not found.depends_on_picture and not found.depends_on_label


@pytest.mark.parametrize(
    ("picture", "label", "expected"),
    [
        (False, False, None),
        (True, False, "hat: not missing at random: the picture tells which cells are unknown (AUC "
         "0.81);"),
        (False, True, "hat: not missing at random: cells are unknown depending on 'stripes' "
         "(p 2e-05);"),
        (True, True, "(AUC 0.81) and cells are unknown depending on 'stripes' (p 2e-05); its "
         "expected accuracy holds only as far as unknown cells resemble known ones"),
    ],
)  # fmt: skip
def test_the_warning_in_words(picture: bool, label: bool, expected: str | None) -> None:
    text = sentence("hat", Missingness(0.8123, 0.001, "stripes", 0.0000213, picture, label))
    if expected is None:
        assert text is None
    else:
        assert text is not None and expected in text


LAYOUT = [Attribute(name, (), a) for a, name in enumerate(NAMES)]


def test_random_holes_need_no_weights() -> None:
    x, labels, fold = table(0)
    hidden = at_random(labels, 1)
    found = examine(x, hidden, fold, NAMES)
    assert exchangeable(found, x, labels, hidden, fold, NAMES, LAYOUT) == ({}, {})


def test_what_the_picture_decides_is_weighted_by_the_picture() -> None:
    x, labels, fold = table(0, 600)
    rng = np.random.default_rng(5)
    hidden = labels.copy()
    chance = 1 / (1 + np.exp(-x[:, 1] / 6))
    hidden[:, 1] = np.where(rng.random(600) < chance, NAN, labels[:, 1])
    found = examine(x, hidden, fold, NAMES)
    assert found[1].depends_on_picture
    scores = rng.normal(size=labels.shape)
    withdrawn, weights = exchangeable(found, x, scores, hidden, fold, NAMES, LAYOUT)
    assert (withdrawn, list(weights)) == ({}, ["sleeves"])
    known = ~np.isnan(hidden[:, 1]) & (fold >= 0)
    unknown = np.isnan(hidden[:, 1]) & (fold >= 0)
    weight = weights["sleeves"][known]
    apart = abs(x[known, 1].mean() - x[unknown, 1].mean())
    left = abs(np.average(x[known, 1], weights=weight) - x[unknown, 1].mean())
    assert left < 0.3 * apart


def test_a_label_that_decides_and_is_unknown_itself_withdraws_the_promise() -> None:
    x, labels, fold = table(0, 600)
    hidden = at_random(labels, 1)
    chance = np.where(labels[:, 2] == 1, 0.7, 0.3)
    hidden[:, 0] = np.where(np.random.default_rng(7).random(600) < chance, NAN, labels[:, 0])
    found = examine(x, hidden, fold, NAMES)
    assert found[0].depends_on_label
    withdrawn, weights = exchangeable(found, x, labels, hidden, fold, NAMES, LAYOUT)
    assert withdrawn["hat"].startswith(
        "not missing at random: unknown depending on 'stripes', which is unknown itself in 29%"
    )
    assert "hat" not in weights
    hidden[:, 1:] = labels[:, 1:]
    found = examine(x, hidden, fold, NAMES)
    scores = np.random.default_rng(0).normal(size=labels.shape)
    withdrawn, weights = exchangeable(found, x, scores, hidden, fold, NAMES, LAYOUT)
    assert (withdrawn, list(weights)) == ({}, ["hat"])


def test_values_that_may_decide_themselves_withdraw_the_promise() -> None:
    x, labels, fold = table(2, 600)
    labels[:, 0] = x[:, 0] + 0.3 * x[:, 1] > 0
    rng = np.random.default_rng(3)
    hidden = labels.copy()
    hidden[:, 0] = np.where(rng.random(600) < 0.2 + 0.5 * labels[:, 0], NAN, labels[:, 0])
    found = examine(x, hidden, fold, NAMES)
    assert found[0].depends_on_picture
    scores = np.tile(x[:, :1], (1, 3))
    withdrawn, weights = exchangeable(found, x, scores, hidden, fold, NAMES, LAYOUT)
    assert "the hidden values may decide themselves" in withdrawn["hat"]
    assert weights == {}


@pytest.mark.parametrize("seed", range(5))
def test_the_label_named_has_the_smallest_p_value_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random((60, 7)) < rng.random(7)).astype(float)
    labels[rng.random(labels.shape) < rng.random(7)] = np.nan
    found = examine(rng.normal(size=(60, 3)), labels, np.arange(60) % 5, list("abcdefg"))
    for a, test in enumerate(found):
        unknown, p_values = np.isnan(labels[:, a]), {}
        for b in {*range(7)} - {a}:
            sides = [[(s & (labels[:, b] == v)).sum() for v in (0, 1)] for s in (unknown, ~unknown)]
            both = np.sum(sides, axis=1).all()
            p_values["abcdefg"[b]] = fisher_exact(sides).pvalue if both else 1.0
        assert test.label_p == min(p_values.values())
        assert p_values.get(test.label, 1.0) == test.label_p
