"""Bounded shares of wrong cells: which cells are promised, which are kept, and when none is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pipeline.data.categories import Attribute
from pipeline.impute.fill import Filled, fill_table
from pipeline.impute.promises import COLUMNS, POOLED, groups, promise

NAN = float("nan")
HAT, COIN = Attribute("hat", (), 0), Attribute("coin", (), 1)


def table(n: int = 600, seed: int = 0) -> tuple[Filled, np.ndarray, np.ndarray, np.ndarray]:
    """A filled table whose second attribute nothing tells, its labels, folds and truth."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(n, 2))
    truth = (rng.random((n, 2)) < expit(logits)).astype(float)
    labels = np.where(rng.random((n, 2)) < 0.4, NAN, truth)
    fold = rng.integers(-1, 5, n)
    filled = fill_table(logits, labels, fold, np.array([True, False]), "platt", ["prevalence"] * 2)
    return filled, labels, fold, truth


def test_groups_are_the_cells_that_are_filled_alike() -> None:
    filled, labels, fold, _ = table()
    found = {(g.attribute.name, g.value): g for g in groups(filled, labels, fold, [HAT, COIN])}
    assert list(found) == [("hat", "1"), ("hat", "0"), ("coin", "1"), ("coin", "0")]
    for (name, value), group in found.items():
        a = int(name == "coin")
        assert np.isnan(labels[group.unknown, a]).all()
        assert (filled.values[group.unknown, a] == int(value)).all()
        assert (filled.decided[group.known, a] == int(value)).all()
        assert (group.wrong == (labels[group.known, a] != int(value))).all()
        assert (fold[group.known] >= 0).all()
    sizes = [len(found["hat", value].unknown) for value in ("1", "0")]
    assert sum(sizes) == np.isnan(labels[:, 0]).sum()


def test_q_values_choose_what_is_kept_and_the_surest_come_first() -> None:
    filled, labels, fold, _ = table()
    found = promise(filled, labels, fold, [HAT, COIN], 0.1)
    unknown = np.isnan(labels)
    assert (found.kept[unknown[:, 0], 0] == (found.q_value[unknown[:, 0], 0] <= 0.1)).all()
    assert 0 < found.kept[unknown[:, 0], 0].sum() < unknown[:, 0].sum()
    for value in (0, 1):
        own = unknown[:, 0] & (filled.values[:, 0] == value)
        sure = filled.probability[own, 0] if value else 1 - filled.probability[own, 0]
        order = np.argsort(-sure)
        assert (np.diff(found.q_value[own, 0][order]) >= 0).all()
        # Known cells are kept as unknown ones as sure are.
        decided = (filled.decided[:, 0] == value) & ~np.isnan(filled.decided[:, 0])
        known_sure = filled.held_out[decided, 0] if value else 1 - filled.held_out[decided, 0]
        cut = sure[found.kept[own, 0]].min()
        assert (found.kept[decided, 0] == (known_sure >= cut)).all()
    # Of known cells, and where nothing tells, there is none.
    assert np.isnan(found.q_value[~unknown]).all()
    assert np.isnan(found.q_value[:, 1]).all()
    assert not found.kept[:, 1].any()
    assert tuple(found.table.columns) == COLUMNS
    assert found.table["promised"].tolist() == ["yes", "yes", "no", "no"]
    assert set(found.table["reason"]) == {"", "not shown to be learnable"}
    kept = found.table["kept"].tolist()
    assert kept[2:] == [0, 0]
    assert sum(kept) == (found.kept & unknown)[:, 0].sum()


def test_too_few_known_cells_promise_nothing_and_say_how_many_it_takes() -> None:
    filled, labels, fold, _ = table(60)
    found = promise(filled, labels, fold, [HAT, COIN], 0.01).table
    known = found["known"].tolist()
    assert max(known[:2]) < 99
    assert found["reason"].tolist()[:2] == [
        f"{n} known cells are decided so, 99 needed" for n in known[:2]
    ]
    assert found["kept"].sum() == 0


def test_a_promise_can_be_withdrawn() -> None:
    filled, labels, fold, _ = table()
    found = promise(filled, labels, fold, [HAT, COIN], 0.1, {"hat": "why not"})
    assert found.table["reason"].tolist()[:2] == ["why not"] * 2
    assert np.isnan(found.q_value).all()
    assert found.withdrawn == {"hat": "why not"}


def test_cells_that_stand_for_more_count_as_many() -> None:
    """Where wrong known cells stand for three unknown ones each, fewer are kept."""
    filled, labels, fold, _ = table()
    plain = promise(filled, labels, fold, [HAT, COIN], 0.1)
    wrong = (filled.decided[:, 0] != labels[:, 0]).astype(float)
    weights = {"hat": 1 + 2 * wrong}
    weighed = promise(filled, labels, fold, [HAT, COIN], 0.1, weights=weights)
    assert weighed.table["weighted"].tolist() == ["yes", "yes", "no", "no"]
    assert weighed.table["kept"].sum() < plain.table["kept"].sum()


def test_values_of_a_category_stand_alone_where_enough_known_cells_got_them() -> None:
    one = Attribute("colour", ("red", "blue", "teal", "pink"), 0)
    value = np.array([0] * 30 + [1] * 25 + [2] * 3 + [3] * 2 + [0, 1, 3])
    labels = np.eye(4)[value]
    labels[-3:] = NAN
    probability = 0.6 * np.eye(4)[value] + 0.1
    decided = np.where(np.isnan(labels), NAN, np.eye(4)[value])
    decided[0] = [0, 1, 0, 0]  # as blue
    filled = Filled(
        probability=probability,
        values=np.eye(4)[value].astype(np.int8),
        correctness=np.full((63, 4), 0.8),
        weight=np.ones((63, 4)),
        evidence=np.full((63, 4), ""),
        held_out=np.where(np.isnan(labels), NAN, probability),
        decided=decided,
        held_out_correctness=np.full((63, 4), 0.8),
        importance=np.ones((63, 4)),
        threshold=np.full(4, 0.5),
        learnable=np.ones(4, dtype=bool),
    )
    found = promise(filled, labels, np.zeros(63, dtype=int), [one], 0.1)
    assert found.table["filled_value"].tolist() == ["red", "blue", POOLED]
    assert found.table["known"].tolist() == [29, 26, 5]
    assert found.table["known_wrong"].tolist() == [0, 1, 0]
    assert found.table["reason"].tolist() == ["", "", "5 known cells are decided so, 9 needed"]
    # None of 29 was wrong, one of 26 was.
    assert found.q_value[-3:, 0] == pytest.approx([1 / 30, 2 / 27, NAN], nan_ok=True)
    assert found.kept[-3:].tolist() == [[True] * 4, [True] * 4, [False] * 4]


def test_what_is_promised_is_kept() -> None:
    """By the whole rule, calibration and thresholds included, over draws of a table."""
    shares: dict[int, list[float]] = {0: [], 1: []}
    for seed in range(120):
        filled, labels, fold, truth = table(240, seed)
        found = promise(filled, labels, fold, [HAT, COIN], 0.1)
        for value, own in shares.items():
            cells = np.isnan(labels[:, 0]) & found.kept[:, 0] & (filled.values[:, 0] == value)
            own.append((truth[cells, 0] != value).mean() if cells.any() else 0.0)
    for own in shares.values():
        assert np.mean(own) <= 0.1 + 2.5 * np.std(own) / np.sqrt(len(own))
        assert np.mean(own) > 0.02
