"""Known labels that are probably wrong: who is listed, what is suggested, who is called."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pipeline.data.categories import Attribute
from pipeline.impute.categorical import joined
from pipeline.impute.fill import fill_table
from pipeline.impute.suspects import COLUMNS, LEAST, NOISE_COLUMNS, find

NAN = float("nan")
HAT, COIN = Attribute("hat", (), 0), Attribute("coin", (), 1)
COLOUR = Attribute("colour", ("red", "blue", "teal"), 2)


def test_turned_labels_come_first_and_nothing_is_said_of_coins() -> None:
    rng = np.random.default_rng(0)
    n = 900
    images = [f"{i:03d}.jpg" for i in range(n)]
    value = rng.integers(0, 3, n)
    truth = np.c_[rng.random(n) < 0.4, rng.random(n) < 0.5, np.eye(3)[value] == 1]
    logits = 5 * (2 * truth - 1.0) + rng.normal(size=(n, 5))
    logits[:, 1] = rng.normal(size=n)
    labels = truth.astype(float)
    turned = rng.permutation(n)[:60]
    labels[turned, 0] = 1 - labels[turned, 0]
    moved = rng.permutation(n)[:45]
    labels[moved, 2:] = np.eye(3)[(value[moved] + 1) % 3]
    labels[rng.random(n) < 0.1, 0] = NAN
    fold = np.arange(n) % 6 - 1
    learnable = np.array([True, False, True, True, True])
    filled = fill_table(logits, labels, fold, learnable, "platt", ["prevalence"] * 5)
    filled = joined(filled, labels, fold, [COLOUR])
    looked_at = np.zeros(labels.shape, dtype=bool)
    looked_at[turned[0], 0] = True
    split = ["train"] * (n - 100) + ["test"] * 100
    suspects, noise = find(filled, logits, labels, images, split, [HAT, COIN, COLOUR], looked_at)
    assert tuple(suspects.columns) == COLUMNS
    assert (np.diff(suspects["wrong_probability"]) <= 0).all()
    assert set(suspects["correct_value"]) == {""}
    assert set(suspects["attribute"]) == {"hat", "colour"}
    hats = suspects[suspects["attribute"] == "hat"]
    wrong = {images[i] for i in turned if not np.isnan(labels[i, 0])} - {images[turned[0]]}
    assert images[turned[0]] not in set(hats["image"]), "a person has said so"
    assert len(wrong & set(hats["image"].head(len(wrong)))) > 0.9 * len(wrong)
    assert {"train", "test"} == set(hats["split"])
    for _, row in hats.head(10).iterrows():
        i = images.index(row["image"])
        assert (row["label"], row["suggested"]) == (
            f"{labels[i, 0]:.0f}",
            f"{1 - labels[i, 0]:.0f}",
        )
    colours = suspects[suspects["attribute"] == "colour"].head(40)
    found = [images.index(image) for image in colours["image"]]
    assert len(set(found) & set(moved)) > 36
    right = [COLOUR.values[value[i]] for i in found if i in moved]
    assert colours["suggested"][[i in moved for i in found]].tolist() == right
    assert tuple(noise.columns) == NOISE_COLUMNS
    by_name = noise.set_index("attribute")
    assert by_name.loc["coin", ["wrong", "wrong_low", "wrong_high"]].isna().all()
    assert by_name.loc["coin", ["listed", "called"]].tolist() == [0, 0]
    for name, count in (("hat", len(wrong)), ("colour", 45)):
        row = by_name.loc[name]
        assert row["wrong_low"] <= count + 1
        assert row["wrong_high"] > 0.9 * count
        own = suspects[suspects["attribute"] == name]
        assert row["listed"] == len(own)
        assert row["called"] == (own["called"] == "yes").sum() == int(row["wrong_low"])
        # Those that are called are the most doubtful ones.
        assert own["called"].is_monotonic_decreasing


@pytest.mark.parametrize("learnable", [True, False])
def test_clean_labels_call_nobody(learnable: bool) -> None:
    rng = np.random.default_rng(1)
    logits = 2 * rng.normal(size=(400, 1))
    labels = (rng.random((400, 1)) < expit(logits)).astype(float)
    fold = np.arange(400) % 5
    filled = fill_table(logits, labels, fold, np.array([learnable]), "platt", ["prevalence"])
    images = [str(i) for i in range(400)]
    nobody = np.zeros((400, 1), dtype=bool)
    suspects, noise = find(filled, logits, labels, images, ["train"] * 400, [HAT], nobody)
    assert tuple(suspects.columns) == COLUMNS
    assert (suspects["called"] == "yes").sum() == 0
    assert len(noise) == 1


def test_labels_of_attributes_that_nothing_tells_of_are_ranked_and_none_is_called() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(500, 2)) - [0, 3]
    labels = (rng.random((500, 2)) < expit(logits)).astype(float)
    fold = np.arange(500) % 5
    filled = fill_table(logits, labels, fold, np.zeros(2, bool), "platt", ["prevalence"] * 2)
    images = [str(i) for i in range(500)]
    layout = [HAT, COIN]
    nobody = np.zeros((500, 2), dtype=bool)
    suspects, noise = find(
        filled, logits, labels, images, ["train"] * 500, layout, nobody, all_of_them=True
    )
    assert len(suspects) == 1000
    assert set(suspects["called"]) == {"no"}
    assert noise["wrong"].isna().all()
    # A 1 of a rare attribute is contradicted by more than a 0 of it.
    assert suspects["label"].head(20).tolist().count("1") > 15
    # Where no label is wrong for certain, nothing speaks against those of a coin.
    part, _ = find(filled, logits, labels, images, ["train"] * 500, layout, nobody)
    assert not len(part)
    assert tuple(part.columns) == COLUMNS


def test_wrong_labels_of_one_attribute_make_those_of_others_suspect() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(600, 2)) * [6, 0.3] - [0, 3]
    truth = rng.random((600, 2)) < expit(logits)
    labels = (truth ^ (rng.random((600, 2)) < 0.15)).astype(float)
    told = np.array([True, False])
    filled = fill_table(logits, labels, np.arange(600) % 5, told, "platt", ["prevalence"] * 2)
    images, nobody = [str(i) for i in range(600)], np.zeros((600, 2), dtype=bool)
    suspects, _ = find(filled, logits, labels, images, ["train"] * 600, [HAT, COIN], nobody)
    own = suspects[suspects["attribute"] == "coin"]
    assert set(own["called"]) == {"no"}
    assert set(own["label"]) == {"1"}
    assert (own["wrong_probability"] >= LEAST).all()
    assert (suspects["called"] == "yes").any()
