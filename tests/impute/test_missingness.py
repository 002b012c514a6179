"""Tests for missing at random: planted dependence is found, chance is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from pipeline.impute.missingness import Missingness, examine, sentence

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
