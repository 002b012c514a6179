"""Benchmarks of guarantees: their sums, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import decisions, guarantees
from pipeline.data.categories import Attribute
from pipeline.impute.fill import Filled


def test_a_promise_is_broken_where_its_mean_is_above_by_two_standard_errors() -> None:
    rows = []
    for draw in range(25):
        for name, wrong in (("hat: 1", 0.03), ("hat: 0", 0.09 + 0.01 * (draw % 2))):
            rows += [(name, "wrong at 0.05", wrong, draw), (name, "filled at 0.05", 0.8, draw)]
        rows.append(("hat", "share by ppi: width", 0.1, draw))
        rows.append(("hat", "share by known: width", 0.2, draw))
    frame = pd.DataFrame(rows, columns=["attribute", "figure", "value", "draw"])
    frame = frame.assign(data="photos", procedure="cheap", pattern="random")
    frame = frame.assign(turned=0, hidden=0.5, rows=100)
    (row,) = guarantees.summary(frame).to_dict("records")
    assert row["draws"] == 25
    assert row["above 0.05"] == "1 of 2"
    assert row["worst at 0.05"] == pytest.approx(0.0948)
    assert row["filled at 0.05"] == pytest.approx(0.8)
    assert row["width, ppi / known"] == pytest.approx(0.5)


def test_a_value_is_right_in_all_columns_of_its_attribute() -> None:
    layout = [Attribute("hat", (), 0), Attribute("colour", ("red", "blue"), 1)]
    truth = np.array([[1, 0, 1], [0, np.nan, np.nan], [np.nan, 0, 0]])
    values = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 0]])
    filled = Filled(**dict.fromkeys(Filled.__dataclass_fields__, values))
    found = guarantees.right(filled, truth, layout)
    np.testing.assert_array_equal(found, [[1, 0], [0, np.nan], [np.nan, 0]])


def test_figures_of_decisions() -> None:
    y, decided = np.array([1.0, 1, 0, 0]), np.array([1.0, 0, 0, 0])
    found = decisions.figures(y, decided)
    assert found == pytest.approx({"accuracy": 0.75, "mcc": 1 / np.sqrt(3), "count off": 0.25})
