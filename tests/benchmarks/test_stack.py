"""The comparison of the final classifier with what it replaces: its scores and its options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import datasets, stack
from pipeline.data.categories import Attribute
from pipeline.metrics import scores

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


def test_scores_of_a_categorical_attribute_by_hand() -> None:
    truth = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 0], [NAN, NAN, NAN]])
    probability = np.array([[0.8, 0.2, 0.0], [1.0, 0.6, 0.4], [1, 0, 0], [1, 0, 0]])
    found = stack.measure_values(truth, probability, [(0, 3)])
    # The third row's value has no column.
    assert found["accuracy"] == 0.5
    assert found["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.3)) / 2)
    assert found["brier"] == pytest.approx((0.04 + 0.04 + 0.25 + 0.49 + 0.04) / 2)
    assert found["ece"] == pytest.approx((0.2 + 0.5) / 2)


def test_calibration_error_by_chance_is_that_of_labels_drawn_from_the_probabilities() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(400)
    drawn = (rng.random((500, 400)) < p).astype(float)
    expected = np.mean([scores.expected_calibration_error(y, p) for y in drawn])
    assert stack.by_chance(p) == pytest.approx(expected, rel=0.03)
    # Of certain cells there is none, and of more cells there is less.
    assert stack.by_chance(np.array([0.0, 1, 1])) == 0
    assert stack.by_chance(np.tile(p, 16)) < stack.by_chance(p) / 3


def test_thresholds_of_a_column_without_validation_labels_are_set_by_all_images() -> None:
    cells = stack.validation_cells(np.array([[1.0, NAN], [NAN, NAN]]))
    assert cells.tolist() == [[True, True], [False, True]]


def test_heads_are_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--labels", "a", "--images", "b", "--weights", "c", "--out", "d", "--heads", "x"]
    with pytest.raises(SystemExit):
        stack.arguments(command)
    assert "invalid choice: 'x'" in capsys.readouterr().err


def drawn(rng: np.random.Generator, n: int = 240) -> stack.Draw:
    """Pictures whose features tell a colour of three; no imputation."""
    colour = rng.integers(0, 3, n)
    x = np.eye(3)[colour] * 2 + rng.normal(0, 0.5, (n, 3))
    labels = np.eye(3)[colour].astype(np.float32)
    labels[rng.random(n) < 0.3] = NAN
    data = datasets.Dataset(
        *("colours", [str(i) for i in range(n)], ["colour=a", "colour=b", "colour=c"]),
        *(np.eye(3)[colour].astype(np.float32), x, np.zeros(n), Path()),
        categories=(Attribute("colour", ("a", "b", "c"), 0),),
    )
    part = np.arange(n) % 3
    return stack.Draw(data, labels, part, part - 1, None, np.arange(n), {"pooled": x}, None, 0)


def test_a_multinomial_regression_of_each_categorical_attribute() -> None:
    one = drawn(np.random.default_rng(0))
    p = stack.multinomial(one, one.sets["pooled"])
    test = one.part == 2
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p[test].argmax(axis=1) == one.data.labels[test].argmax(axis=1)).mean() > 0.9
    # A value that no training image is known to have gets no probability.
    one.labels[(one.part == 0) & (one.labels[:, 1] == 1)] = NAN
    assert not stack.multinomial(one, one.sets["pooled"])[:, 1].any()


def test_a_run_adds_the_methods_that_the_file_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def compare(
        one: object, kinds: list[str], beside: list[str], members: bool
    ) -> list[dict[str, object]]:
        asked.append((one, tuple(kinds), tuple(beside), members))
        names = [*(["stack"] if members else []), *(f"head {kind}" for kind in kinds)]
        names += [f"stack and head {kind}" for kind in beside]
        return [{"method": name, "map": 0.5} for name in names]

    data = drawn(np.random.default_rng(0)).data
    monkeypatch.setattr(stack.runtime, "prepare", lambda *_, **__: None)
    monkeypatch.setattr(stack.datasets, "load", lambda *_, **__: data)
    monkeypatch.setattr(stack, "draw", lambda _, fraction, seed: (fraction, seed))
    monkeypatch.setattr(stack, "compare", compare)
    out = tmp_path / "out.csv"
    command = ["stack", "--labels", "a", "--images", "b", "--weights", "c", "--out", str(out)]

    def run(*more: str) -> list[tuple[object, ...]]:
        asked.clear()
        monkeypatch.setattr("sys.argv", [*command, *more])
        stack.main()
        return list(asked)

    assert run("--seeds", "0", "--fractions", ".3", "--heads") == [((0.3, 0), (), (), True)]
    first = out.read_bytes()
    assert run("--seeds", "0", "--fractions", ".3", ".5", "--heads", "conv") == [
        ((0.3, 0), ("conv",), (), False),
        ((0.5, 0), ("conv",), (), True),
    ]
    assert out.read_bytes().startswith(first)
    both = ("--seeds", "0", "--fractions", ".3", ".5", "--heads", "conv")
    assert run(*both) == []
    assert run(*both, "--beside", "linear")[0] == ((0.3, 0), (), ("linear",), False)
    assert run(*both, "--beside", "linear") == []
