"""Benchmarks of guarantees: their sums, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import decisions, guarantees, suspects


def test_a_promise_is_broken_where_its_mean_is_above_by_two_standard_errors() -> None:
    rows = []
    for draw in range(25):
        for name, wrong in (("hat: 1", 0.03), ("hat: 0", 0.09 + 0.01 * (draw % 2))):
            rows += [(name, "wrong at 0.05", wrong, draw), (name, "filled at 0.05", 0.8, draw)]
        rows.append(("hat", "share by ppi: width", 0.1, draw))
        rows.append(("hat", "share by known: width", 0.2, draw))
    frame = pd.DataFrame(rows, columns=["attribute", "figure", "value", "draw"])
    frame = frame.assign(data="photos", procedure="cheap", pattern="random", hidden=0.5, rows=100)
    (row,) = guarantees.summary(frame).to_dict("records")
    assert row["draws"] == 25
    assert row["above 0.05"] == "1 of 2"
    assert row["worst at 0.05"] == pytest.approx(0.0948)
    assert row["filled at 0.05"] == pytest.approx(0.8)
    assert row["width, ppi / known"] == pytest.approx(0.5)


def test_figures_of_decisions() -> None:
    y, decided = np.array([1.0, 1, 0, 0]), np.array([1.0, 0, 0, 0])
    found = decisions.figures(y, decided)
    assert found == pytest.approx({"accuracy": 0.75, "mcc": 1 / np.sqrt(3), "count off": 0.25})


def test_so_many_labels_are_turned_and_no_unknown_one() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((4000, 3)) < 0.3).astype(float)
    labels[:, 2] = np.nan
    for kind, ratio in (("even", 1), ("ones", 3)):
        found = suspects.turned(labels, kind, 0.1, rng)
        assert not found[:, 2].any()
        assert found[:, :2].mean() == pytest.approx(0.1, abs=0.01)
        shares = [found[labels == value].mean() for value in (1, 0)]
        assert shares[0] / shares[1] == pytest.approx(ratio, rel=0.2)
