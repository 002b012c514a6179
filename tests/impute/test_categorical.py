"""Categorical attributes in the imputation: no leak between a value's columns, one value a cell."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.data import categories
from pipeline.data.categories import Attribute, chosen, truth
from pipeline.data.labels import LabelTable
from pipeline.impute import categorical, fill, imputer, learnable
from pipeline.impute.fill import LABELS, ONE_CLASS, PICTURE, PRIOR, Filled, supported
from pipeline.impute.imputer import Imputation, Settings
from pipeline.metrics.ranking import auc
from pipeline.stages.impute import arrays, held_out, plain, provenance, summary
from tests.impute.small import candidates_of, fix_penalties, impute, make_small

NAN = float("nan")
COIN, FLAG, SHAPE = slice(0, 4), 4, slice(5, 8)
CATEGORIES = (
    Attribute("coin", ("a", "b", "c", "d"), 0),
    Attribute("shape", ("dot", "line", "ring"), 5),
)
NAMES = [*CATEGORIES[0].columns, "flag", *CATEGORIES[1].columns]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    monkeypatch.setattr(learnable, "PERMUTATIONS", 1000)
    # Tests of what is missing have their own file.
    monkeypatch.setattr(imputer.missingness, "examine", lambda *_: [])
    monkeypatch.setattr(imputer.missingness, "exchangeable", lambda *_: ({}, {}))


def hidden(column: np.ndarray, share: float, rng: np.random.Generator, unknown: Any) -> np.ndarray:
    return np.where(rng.random(len(column)) < share, unknown, column)


def texts_of(
    n: int, seed: int, unknown: float = 0.25
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Features [n, 6], cells with holes, and the truth: a coin with four values, labels permuted
    over the images, a flag and a shape that the pictures tell."""
    rng = np.random.default_rng([7, seed])
    x = rng.normal(size=(n, 6))
    values = np.array(CATEGORIES[1].values, dtype=object)
    full = {
        "coin": rng.permutation(np.resize(list("abcd"), n)).astype(object),
        "flag": (3 * x[:, 3] + rng.normal(size=n) > 0).astype(float),
        "shape": values[np.argmax(4 * x[:, :3] + rng.normal(size=(n, 3)), axis=1)],
    }
    holes = {
        name: hidden(cells, unknown, rng, NAN if name == "flag" else "")
        for name, cells in full.items()
    }
    return 4 * x, holes, full


def columns_of(cells: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate(
        [
            categories.one_hot(cells["coin"], CATEGORIES[0].values),
            cells["flag"].astype(np.float32)[:, None],
            categories.one_hot(cells["shape"], CATEGORIES[1].values),
        ],
        axis=1,
    )


def run(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> Imputation:
    return impute(
        features,
        labels,
        seed=seed,
        attributes=NAMES,
        settings=Settings(folds=4, rounds=1),
        categories=CATEGORIES,
    )


@pytest.fixture(scope="module")
def filled_table() -> tuple[np.ndarray, Imputation, dict[str, np.ndarray]]:
    """A table with a rare shape, unknown to the columns, and the images that no model may see."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        patch.setattr(learnable, "PERMUTATIONS", 1000)
        features, cells, full = texts_of(280, 0)
        for found in (cells["shape"], full["shape"]):
            found[::20] = np.where(found[::20] == "", "", "star")
        labels = columns_of(cells)
        fold = np.random.default_rng(9).permutation(280) % 5 - 1
        filled = impute(
            features,
            labels,
            fold=fold,
            attributes=NAMES,
            settings=Settings(rounds=1),
            categories=CATEGORIES,
        )
        return labels, filled, {**full, "fold": fold}


# No leak


def test_nothing_tells_a_coin_with_four_values_beside_what_can_be_shares() -> None:
    """Columns of one attribute tell each other outright: 0 in three of them is 1 in the fourth."""
    areas, right, claims, shares = [], [], 0, []
    for seed in range(4):
        features, cells, full = texts_of(220, seed)
        labels = columns_of(cells)
        filled = run(features, labels, seed)
        areas.append([auc(labels[:, a], filled.scores[:, a]) for a in range(4)])
        claims += int(filled.learnable[COIN].any())
        assert filled.learnable[FLAG:].all()
        coin, shape = filled.categorical.to_dict("records")
        assert coin["learnable"] == ("yes" if filled.learnable[COIN].any() else "no")
        right.append((coin["accuracy"] * coin["audited"], coin["audited"]))
        shares.append(shape["accuracy"])
        unknown = cells["shape"] == ""
        values = np.array(CATEGORIES[1].values, dtype=object)[chosen(filled.values[:, SHAPE])]
        assert (values[unknown] == full["shape"][unknown]).mean() > 0.75
    # An AUC out of fold of 45 against 135 cells that are alike has a standard error of about .05.
    assert np.abs(np.array(areas) - 0.5).max() < 0.2, areas
    assert abs(np.mean(areas) - 0.5) < 0.04, areas
    hits, cells_audited = np.sum(right, axis=0)
    assert hits / cells_audited < 0.25 + 2.5 * np.sqrt(0.25 * 0.75 / cells_audited)
    assert claims <= 1  # a chance of 1 in 20 each
    assert min(shares) > 0.75


@pytest.mark.parametrize("hiding", [True, False], ids=["hidden", "shown"])
def test_hiding_a_values_siblings_is_what_keeps_a_coin_a_coin(
    hiding: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the coin known in all training rows no other rule hides its columns from each other."""
    if not hiding:
        monkeypatch.setattr(categorical, "without_siblings", lambda labels, *_: labels)
    features, cells, _ = texts_of(200, 1, unknown=0.1)
    coin = texts_of(200, 1)[2]["coin"]
    fold = np.arange(200) % 5 - 1
    labels = columns_of({**cells, "coin": np.where(fold >= 0, coin, "")})
    filled = impute(features, labels, fold=fold, settings=Settings(rounds=0), categories=CATEGORIES)
    known = fold >= 0
    areas = np.array([auc(labels[known, a], filled.scores[known, a]) for a in range(4)])
    if hiding:
        assert np.abs(areas - 0.5).max() < 0.2
        assert not filled.learnable[COIN].any()
        assert filled.categorical.loc[0, "accuracy"] < 0.35
    else:
        assert areas.min() > 0.95
        assert filled.learnable[COIN].all()


def test_another_value_of_a_cell_does_not_change_its_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In none of the columns of its attribute, and those of other attributes do change."""
    seen = candidates_of(monkeypatch)
    fix_penalties(monkeypatch)
    features, cells, _ = texts_of(80, 2)
    labels = columns_of(cells)
    fold = np.random.default_rng(3).permutation(80) % 4 - 1

    def candidates(of: np.ndarray) -> np.ndarray:
        impute(features, of, fold=fold, settings=Settings(rounds=0), categories=CATEGORIES)
        return np.stack(list(seen[-1].values()))

    before = candidates(labels)
    known = ~np.isnan(labels[:, 0]) & ~np.isnan(labels[:, 5])
    # A training image and one outside training.
    for row, span in (
        (np.flatnonzero(known & (fold >= 0))[3], COIN),
        (np.flatnonzero(known & (fold >= 0))[5], SHAPE),
        (np.flatnonzero(known & (fold < 0))[0], SHAPE),
    ):
        changed = labels.copy()
        changed[row, span] = np.roll(changed[row, span], 1)
        after = candidates(changed)
        np.testing.assert_allclose(after[:, row, span], before[:, row, span], atol=1e-6)
        assert np.abs(after - before).max() > 1e-3


def test_without_siblings_by_hand() -> None:
    labels = np.arange(16.0).reshape(2, 8)
    one = categorical.without_siblings(labels, 6, CATEGORIES)
    assert np.isnan(one).tolist() == [[False] * 5 + [True, False, True]] * 2
    np.testing.assert_array_equal(one[:, [0, 1, 2, 3, 4, 6]], labels[:, [0, 1, 2, 3, 4, 6]])
    assert not np.isnan(labels).any(), "the input is left alone"
    assert np.isnan(categorical.without_siblings(labels, 0, CATEGORIES)[:, 1:4]).all()
    np.testing.assert_array_equal(categorical.without_siblings(labels, 4, CATEGORIES), labels)
    np.testing.assert_array_equal(categorical.without_siblings(labels, 6, ()), labels)


# A filled table holds together

Table = tuple[np.ndarray, Imputation, dict[str, np.ndarray]]


def test_known_cells_never_change(filled_table: Table) -> None:
    labels, filled, _ = filled_table
    known = ~np.isnan(labels)
    assert (filled.values[known] == labels[known]).all()
    assert (filled.correctness[known] == 1).all()
    assert (filled.weight[known] == 1).all()
    assert (filled.evidence[known] == "").all()


@pytest.mark.parametrize("number", [0, 1])
def test_one_value_a_cell_and_it_is_the_most_probable(filled_table: Table, number: int) -> None:
    labels, filled, full = filled_table
    span = slice(*CATEGORIES[number].span)
    unknown = np.isnan(labels[:, span.start])
    total = filled.probability[:, span].sum(axis=1)
    assert (filled.probability[:, span] >= 0).all()
    assert total.max() <= 1 + 1e-9
    assert (filled.values[unknown, span].sum(axis=1) == 1).all()
    best = chosen(filled.probability[unknown, span])
    assert (chosen(filled.values[unknown, span]) == best).all()
    audited = ~unknown & (full["fold"] >= 0)
    assert (np.isnan(filled.held_out[:, span]) == ~audited[:, None]).all()
    np.testing.assert_array_equal(filled.held_out[audited, span], filled.probability[audited, span])
    assert (filled.decided[audited, span].sum(axis=1) == 1).all()
    best = chosen(filled.held_out[audited, span])
    assert (chosen(filled.decided[audited, span]) == best).all()
    for of_cell in (filled.correctness, filled.weight, filled.evidence):
        assert (of_cell[:, span] == of_cell[:, [span.start]]).all()
    sure = filled.probability[unknown, span].max(axis=1)
    assert (filled.correctness[unknown, span.start] <= sure + 1e-9).all()


def test_rare_values_stay_and_leave_room_in_every_probability(filled_table: Table) -> None:
    labels, filled, full = filled_table
    rare = truth(labels[:, SHAPE]) == -2
    assert (full["shape"][rare] == "star").all()
    assert 8 <= rare.sum() <= 15
    assert (filled.values[rare, SHAPE] == 0).all()
    training = (full["fold"] >= 0) & ~np.isnan(labels[:, 5])
    share = (rare & training).sum() / training.sum()
    total = filled.probability[:, SHAPE].sum(axis=1)
    assert total.max() < 1 - share / 3
    assert total.mean() == pytest.approx(1 - share, abs=0.01)
    assert filled.categorical["other_values"].tolist() == [0, rare.sum()]
    assert filled.probability[:, COIN].sum(axis=1) == pytest.approx(1)


def test_a_coin_takes_its_most_frequent_value_everywhere(filled_table: Table) -> None:
    labels, filled, full = filled_table
    unknown = np.isnan(labels[:, 0])
    assert not filled.learnable[COIN].any()
    assert (filled.evidence[unknown, COIN] == PRIOR).all()
    assert (filled.weight[unknown, COIN] == 0).all()
    counts = np.nansum(labels[full["fold"] >= 0, COIN], axis=0)
    assert (chosen(filled.values[unknown, COIN]) == counts.argmax()).all()
    share = (counts + 1) / (counts.sum() + 2)
    found = filled.probability[unknown, COIN]
    assert found.mean(axis=0) == pytest.approx(share / share.sum(), abs=1e-3)
    assert (filled.correctness[unknown, 0] < 0.35).all()


def test_figures_of_the_audit_are_those_of_the_held_out_cells(filled_table: Table) -> None:
    labels, filled, full = filled_table
    assert list(filled.categorical.columns) == list(categorical.COLUMNS)
    for row, one in zip(filled.categorical.to_dict("records"), CATEGORIES, strict=True):
        true = truth(labels[:, slice(*one.span)])
        audited = (true != -1) & (full["fold"] >= 0)
        given = chosen(filled.decided[audited, slice(*one.span)])
        assert (row["attribute"], row["values"]) == (one.name, len(one.values))
        assert (row["audited"], row["filled"]) == (audited.sum(), (true == -1).sum())
        assert row["accuracy"] == pytest.approx((given == true[audited]).mean())
        assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
        most = max((true[audited] == k).mean() for k in range(len(one.values)))
        assert row["majority_accuracy"] == pytest.approx(most)
    coin, shape = filled.categorical.to_dict("records")
    assert (coin["learnable"], shape["learnable"]) == ("no", "yes")
    assert shape["accuracy_low"] > 0.55 > 0.45 > shape["majority_accuracy"]
    assert 0.5 < shape["f1_macro"] < 0.75  # a fourth value is never given
    assert coin["accuracy_high"] < 0.45


def test_a_table_without_categorical_attributes_has_no_rows_of_them() -> None:
    features, cells, _ = texts_of(80, 0)
    filled = impute(features, columns_of(cells)[:, [4, 5]], settings=Settings(folds=3, rounds=0))
    assert len(filled.categorical) == 0
    assert list(filled.categorical.columns) == list(categorical.COLUMNS)


def test_two_values_are_filled_as_a_binary_column_is() -> None:
    features, cells, _ = texts_of(200, 3)
    flag = cells["flag"]
    words = np.where(np.isnan(flag), "", np.where(flag == 1, "yes", "no")).astype(object)
    order = categories.frequent(words, 1)
    rest = columns_of(cells)[:, 5:]
    binary = np.concatenate([flag[:, None], rest], axis=1)
    both = np.concatenate([categories.one_hot(words, order), rest], axis=1)
    settings = Settings(folds=4, rounds=0)
    shape = ("dot", "line", "ring")
    fold = np.random.default_rng(1).permutation(200) % 4
    one = impute(
        features, binary, settings=settings, fold=fold, categories=[Attribute("shape", shape, 1)]
    )
    two = impute(
        features,
        both,
        settings=settings,
        fold=fold,
        categories=[Attribute("flag", tuple(order), 0), Attribute("shape", shape, 2)],
    )
    yes = order.index("yes")
    unknown = np.isnan(flag)
    assert (one.values[unknown, 0] == two.values[unknown, yes]).mean() > 0.95
    assert np.abs(one.probability[:, 0] - two.probability[:, yes]).mean() < 0.02
    assert two.probability[:, :2].sum(axis=1) == pytest.approx(1)
    assert one.audit.loc[0, "accuracy"] == pytest.approx(
        two.categorical.loc[0, "accuracy"], abs=0.02
    )


# One cell's columns, by hand


def filled_by_hand(
    probability: np.ndarray, labels: np.ndarray, fold: np.ndarray, learnable: list[bool]
) -> Filled:
    """As `fill_table` leaves it, held-out probabilities those of the cells."""
    shape = labels.shape
    known = ~np.isnan(labels)
    audited = known & (fold >= 0)[:, None]
    return Filled(
        probability=probability.copy(),
        values=np.where(known, np.nan_to_num(labels), 0).astype(np.int8),
        correctness=np.where(known, 1.0, 0.3),
        weight=np.where(known, 1.0, 0.3),
        evidence=np.where(known, "", PICTURE).astype(object),
        held_out=np.where(audited, probability, NAN),
        decided=np.where(audited, 0.0, NAN),
        held_out_correctness=np.where(audited, 0.3, NAN),
        importance=np.ones(shape),
        threshold=np.full(shape[1], 0.5),
        learnable=np.array(learnable),
    )


def test_joined_by_hand() -> None:
    one = Attribute("colour", ("red", "blue"), 1)
    labels = np.array(
        [
            [1, 1, 0],
            [1, 1, 0],
            [1, 0, 1],
            [1, 0, 0],  # a rare value: a quarter of the training cells
            [1, NAN, NAN],
            [1, 0, 1],  # not of training
        ],
        dtype=np.float32,
    )
    fold = np.array([0, 0, 1, 1, 0, -1])
    p = np.array(
        [
            [0.7, 0.5, 0.25],
            [0.7, 0.25, 0.5],
            [0.7, 0.3, 0.45],
            [0.7, 0.6, 0.15],
            [0.7, 0.1, 0.9],
            [0.7, 0.8, 0.2],
        ]
    )
    filled = filled_by_hand(p, labels, fold, [True, True, False])
    given = {name: array.copy() for name, array in vars(filled).items()}
    filled, unjoined = categorical.joined(filled, labels, fold, [one]), filled
    for name, array in given.items():
        np.testing.assert_array_equal(getattr(unjoined, name), array, "the input is left alone")
    total = p[:, 1:].sum(axis=1, keepdims=True) + 0.25
    np.testing.assert_allclose(filled.probability[:, 1:], p[:, 1:] / total)
    np.testing.assert_allclose(filled.held_out[:4, 1:], p[:4, 1:] / total[:4])
    assert np.isnan(filled.held_out[4:, 1:]).all()
    assert filled.values[:, 1:].tolist() == [[1, 0], [1, 0], [0, 1], [0, 0], [0, 1], [0, 1]]
    assert filled.decided[:4, 1:].tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    # Two of four right, (1 + 1) / (2 + 2) at best; below `ENOUGH` all values are judged together.
    sure = np.array([0.5, 0.5, 0.45, 0.6])
    right = np.array([True, False, True, False])
    trusted = supported(np.array([0.9 / 1.25]), sure, right)[0]
    assert trusted < 0.9 / 1.25
    np.testing.assert_allclose(filled.correctness[4, 1:], trusted)
    np.testing.assert_allclose(filled.weight[4, 1:], (2 * max(trusted, 0.5) - 1) ** 2)
    for k in (0, 1):
        own = fold[:4] == k
        held_out_correctness = supported(sure[own], sure[~own], right[~own])
        np.testing.assert_allclose(filled.held_out_correctness[:4, 1][own], held_out_correctness)
    assert filled.evidence[4].tolist() == ["", PICTURE, PICTURE]
    before = filled_by_hand(p, labels, fold, [True, True, False])
    for name in ("probability", "values", "correctness", "weight", "held_out", "decided"):
        np.testing.assert_array_equal(getattr(filled, name)[:, 0], getattr(before, name)[:, 0])


def test_audited_by_hand() -> None:
    one = Attribute("colour", ("red", "blue"), 0)
    labels = np.array([[1, 0], [1, 0], [0, 1], [0, 0], [NAN, NAN], [0, 1]])
    fold = np.array([0, 0, 1, 1, 0, -1])
    filled = filled_by_hand(np.full((6, 2), 0.5), labels, fold, [False, True])
    filled.held_out[:4] = [[0.9, 0.1], [0.3, 0.6], [0.2, 0.8], [1, 0]]
    filled.decided[:4] = [[1, 0], [0, 1], [0, 1], [1, 0]]
    filled.held_out_correctness[:4] = np.array([0.9, 0.5, 0.8, 0.7])[:, None]
    filled.correctness[4] = 0.6
    row = categorical.audit(filled, labels, fold, [one], (0,)).iloc[0]
    assert (row["learnable"], row["other_values"], row["audited"], row["filled"]) == (
        "yes",
        1,
        4,
        1,
    )
    assert row["accuracy"] == 0.5
    # One cell to be judged: all or nothing.
    assert (row["accuracy_low"], row["accuracy_high"]) == (0, 1)
    assert row["f1_macro"] == pytest.approx((2 / 4 + 2 / 3 + 0) / 3)
    assert row["brier"] == pytest.approx((0.02 + 0.49 + 0.36 + 0.08 + 1) / 4)
    assert row["majority_accuracy"] == 0.5
    kept = np.where(np.isnan(labels), filled.correctness, filled.held_out_correctness)
    sure = categorical.audit(filled, labels, fold, [one], (0,), kept >= 0.75).iloc[0]
    assert (sure["audited"], sure["filled"], sure["accuracy"]) == (2, 0, 1.0)
    none = categorical.audit(filled, labels, fold, [one], (0,), kept >= 0.99).iloc[0]
    assert (none["audited"], none["filled"], none["majority_accuracy"]) == (0, 0, 0.5)
    undefined = ["accuracy", "accuracy_low", "accuracy_high", "f1_macro", "brier"]
    assert none[undefined].isna().all()
    unseen = categorical.audit(filled, labels, np.full(6, -1), [one], (0,)).iloc[0]
    assert unseen[[*undefined, "majority_accuracy"]].isna().all()


def test_too_few_labels_of_every_value_promise_nothing() -> None:
    one = Attribute("colour", ("red", "blue"), 0)
    labels = np.r_[np.tile([[1.0, 0]], (30, 1)), np.tile([[0, 1.0]], (4, 1)), [[NAN, NAN]]]
    fold = np.arange(35) % 3
    filled = filled_by_hand(np.tile([0.9, 0.1], (35, 1)), labels, fold, [False, False])
    joined = categorical.joined(filled, labels, fold, [one])
    assert joined.correctness[-1].tolist() == [0.5, 0.5]
    row = categorical.audit(joined, labels, fold, [one], (0,)).iloc[0]
    assert (row["learnable"], row["filled"]) == ("too few labels", 1)
    assert np.isnan([row["accuracy"], row["accuracy_low"], row["f1_macro"]]).all()


def test_frequent_values_are_trusted_by_their_own_cells() -> None:
    """The many right cells of one value prove nothing about another."""
    n = categorical.ENOUGH
    known_values = np.repeat([0, 1, 2], [n, n, 3])
    known_sure = np.full(len(known_values), 0.99)
    right = known_values == 0
    sure, values = np.full(4, 0.98), np.array([0, 1, 2, 3])
    found = categorical.expected_correctness(sure, values, known_sure, known_values, right)
    assert found == pytest.approx([(n + 1) / (n + 2), 1 / (n + 2), 1 / 5, 1 / 5])
    empty = np.empty(0)
    nothing = categorical.expected_correctness(
        sure, values, empty, empty.astype(int), empty.astype(bool)
    )
    assert nothing.tolist() == [0.5] * 4


def test_values_that_are_about_as_frequent_are_not_chosen_by_the_order_of_scores() -> None:
    p = np.array([[0.51, 0.49, 0.2], [0.5, 0.52, 0.2], [0.52, 0.48, 0.2]])
    drawn = categorical.of_one_value(p)
    assert chosen(drawn).tolist() == [0, 0, 0]
    np.testing.assert_allclose(drawn.mean(axis=0), p.mean(axis=0))
    for column in range(2):
        assert (np.argsort(drawn[:, column]) == np.argsort(p[:, column])).all()
    apart = np.array([[0.7, 0.3], [0.6, 0.4]])
    np.testing.assert_allclose(categorical.of_one_value(apart), apart)
    tied = np.array([[0.4, 0.6], [0.6, 0.4]])
    np.testing.assert_allclose(categorical.of_one_value(tied), 0.5)
    assert chosen(categorical.of_one_value(tied)).tolist() == [0, 0]
    assert categorical.of_one_value(np.empty((0, 3))).shape == (0, 3)


def joined(texts: list[str], values: tuple[str, ...], folds: int = 2) -> tuple[Filled, np.ndarray]:
    """Cells without signal, through `fill_table`."""
    labels = categories.one_hot(np.array(texts, dtype=object), values)
    fold = np.arange(len(labels)) % folds
    rng = np.random.default_rng(0)
    scores = rng.normal(size=labels.shape)
    filled = fill.fill_table(
        *(scores, labels, fold, np.zeros(len(values), dtype=bool), "platt"),
        ["prevalence"] * len(values),
    )
    return categorical.joined(filled, labels, fold, [Attribute("x", values, 0)]), labels


def test_a_tie_of_a_coin_goes_to_one_value() -> None:
    filled, labels = joined(["a", "b", "c"] * 20 + [""] * 30, ("a", "b", "c"))
    unknown = np.isnan(labels[:, 0])
    assert len(set(chosen(filled.values[unknown]).tolist())) == 1
    assert (chosen(filled.values[unknown]) == chosen(filled.probability[unknown])).all()
    assert (filled.evidence[unknown] == PRIOR).all()
    assert filled.probability[unknown] == pytest.approx(1 / 3, abs=1e-4)


def test_one_known_value_is_filled_in_and_said_to_be_the_only_one() -> None:
    filled, labels = joined(["a"] * 20 + [""] * 5, ("a", "b"))
    unknown = np.isnan(labels[:, 0])
    assert (filled.evidence[unknown] == ONE_CLASS).all()
    assert (filled.values[unknown] == [1, 0]).all()
    assert (filled.weight[unknown] == 0).all()


def test_an_attribute_with_rare_known_values_alone_or_none_is_filled_with_something() -> None:
    for known in (["rare"] * 6, []):
        filled, labels = joined([*known, "", "", ""], ("a", "b"))
        unknown = np.isnan(labels[:, 0])
        assert (filled.values[unknown] == [1, 0]).all()
        assert (filled.probability >= 0).all()
        assert (filled.probability.sum(axis=1) <= 1).all()
        assert np.isfinite(filled.correctness).all()


def test_a_table_without_unknown_cells_is_left_alone() -> None:
    filled, labels = joined(["a", "b", "b", "a"] * 5, ("a", "b"))
    assert (filled.values == labels).all()
    assert (filled.evidence == "").all()


# What the stage writes


@pytest.fixture
def stage(filled_table: Table) -> tuple[LabelTable, Imputation]:
    labels, filled, full = filled_table
    cells = {"coin": full["coin"], "flag": labels[:, FLAG], "shape": full["shape"]}
    for one in CATEGORIES:
        cells[one.name] = np.where(np.isnan(labels[:, one.start]), "", cells[one.name])
        cells[one.name] = cells[one.name].astype(object)
    images = [f"{i:03d}.png" for i in range(len(labels))]
    split = ["train" if k >= 0 else "test" for k in full["fold"]]
    vocabulary = {one.name: one.values for one in CATEGORIES}
    table = LabelTable(images, cells, split, vocabulary=vocabulary)
    assert (table.attributes, table.categories) == (NAMES, CATEGORIES)
    np.testing.assert_array_equal(table.values, labels)
    return table, filled


def test_provenance_has_a_row_per_unknown_cell(stage: tuple[LabelTable, Imputation]) -> None:
    table, filled = stage
    unknown = np.isnan(table.values)
    kept = unknown & (filled.correctness >= 0.5)
    cells = provenance(table, filled, kept)
    expected = [
        (image, name)
        for i, image in enumerate(table.images)
        for name, column in (("coin", 0), ("flag", 4), ("shape", 5))
        if unknown[i, column]
    ]
    assert list(cells[["image", "attribute"]].itertuples(index=False, name=None)) == expected
    for cell in cells.itertuples():
        row = table.images.index(cell.image)
        start = {"coin": 0, "flag": 4, "shape": 5}[cell.attribute]
        assert cell.row == row
        assert cell.probability == pytest.approx(filled.probability[row, cell.column], abs=1e-6)
        assert cell.evidence == filled.evidence[row, start] != ""
        assert cell.expected_correctness == pytest.approx(filled.correctness[row, start], abs=1e-6)
        if cell.attribute == "flag":
            assert cell.column == 4
            assert cell.value in ("0", "1", "")
        else:
            assert filled.values[row, cell.column] == 1
            value = NAMES[cell.column].split("=")[1]
            assert cell.value == (value if kept[row, start] else "")
    assert (cells.loc[cells["attribute"] == "coin", "value"] == "").all()
    assert "star" not in set(cells["value"])
    assert set(cells.loc[cells["attribute"] == "shape", "evidence"]) <= {PICTURE, LABELS}


def test_provenance_of_a_full_table_has_no_rows(stage: tuple[LabelTable, Imputation]) -> None:
    table, filled = stage
    full = table.filled(filled.values)
    assert not np.isnan(full.values).any()
    assert len(provenance(full, filled, np.zeros(table.values.shape, dtype=bool))) == 0


def test_the_summary_of_categorical_attributes_is_valid_json(
    stage: tuple[LabelTable, Imputation],
) -> None:
    table, filled = stage
    content = plain(summary(table, filled, np.isnan(table.values)))
    again = json.loads(json.dumps(content, allow_nan=False))
    assert list(again["attributes"]) == NAMES
    assert list(again["categorical"]) == ["coin", "shape"]
    assert again["categorical"]["shape"]["values"] == 3
    of_shape = [again["attributes"][name]["filled_positive"] for name in CATEGORIES[1].columns]
    assert sum(of_shape) == np.isnan(table.values[:, 5]).sum()


def test_columns_are_learnable_and_held_out_together(stage: tuple[LabelTable, Imputation]) -> None:
    table, filled = stage
    assert (
        arrays(table, filled, np.isnan(table.values)).learnable.tolist() == [False] * 4 + [True] * 4
    )
    cells: pd.DataFrame = held_out(table, filled, np.zeros(table.values.shape, dtype=bool))
    audited = ~np.isnan(filled.held_out)
    assert len(cells) == audited.sum()
    values = cells.pivot_table(index="image", columns="attribute", values="value")
    for one in CATEGORIES:
        assert (values[one.columns].dropna().sum(axis=1) == 1).all()
