"""The comparison of the final classifier with what it replaces: its scores and its options."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import stack

NAN = float("nan")


def test_scores_by_hand() -> None:
    truth = np.array([[1.0, 1], [0, 1], [1, 1], [NAN, 1]])
    probability = np.array([[0.9, 1], [0.3, 1], [0.2, 1], [0.0, 1]])
    found = stack.measure(truth, probability, [0.5, 0.5])
    assert found["auc"] == 0.5
    assert found["map"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["mcc"] == pytest.approx(0.5)
    assert found["brier"] == pytest.approx((0.01 + 0.09 + 0.64) / 3)
    # The column of one class counts for calibration alone.
    assert found["ece"] == pytest.approx((0.1 + 0.3 + 0.8) / 7)


def test_thresholds_of_a_column_without_validation_labels_are_set_by_all_images() -> None:
    cells = stack.validation_cells(np.array([[1.0, NAN], [NAN, NAN]]))
    assert cells.tolist() == [[True, True], [False, True]]


def test_heads_are_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--labels", "a", "--images", "b", "--weights", "c", "--out", "d", "--heads", "x"]
    with pytest.raises(SystemExit):
        stack.arguments(command)
    assert "invalid choice: 'x'" in capsys.readouterr().err
