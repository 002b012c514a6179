"""Principal components: their scale, their basis, what is left out."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.impute import components as module
from pipeline.impute.components import OnDisk, components, in_blocks


def features(n: int = 60, d: int = 7, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3


def test_all_components_keep_the_distances_of_standardised_features() -> None:
    x = features()
    out = components(x, np.ones(60, dtype=bool))
    assert out.shape == (60, 7)
    assert out.dtype == np.float32
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    before = np.linalg.norm(z[:, None] - z[None], axis=2)
    after = np.linalg.norm(out[:, None] - out[None], axis=2)
    np.testing.assert_allclose(after, before, atol=1e-3)
    # The mean variance of a standardised channel is 1.
    assert out.var(axis=0).sum() == pytest.approx(7, rel=1e-4)
    assert (np.diff(out.var(axis=0)) <= 1e-5).all()


def test_images_outside_training_do_not_shape_the_basis() -> None:
    x, training = features(), np.arange(60) < 40
    before = components(x, training)
    moved = x.copy()
    moved[~training] = 100 * moved[~training] - 7
    after = components(moved, training)
    assert (before[training] == after[training]).all()
    assert (before[~training] != after[~training]).any(axis=1).all()


def test_a_channel_that_is_constant_in_training_is_left_out() -> None:
    x, training = features(), np.arange(60) < 40
    x[training, 2] = 5.0
    out = components(x, training)
    assert out.shape == (60, 6)
    x[~training, 2] = 1e6
    assert (components(x, training) == out).all()


def test_number_of_components_is_limited_by_rows_and_by_choice() -> None:
    x = features(n=30, d=50)
    assert components(x, np.arange(30) < 10).shape == (30, 9)
    assert components(x, np.ones(30, dtype=bool), most=4).shape == (30, 4)
    few = components(x, np.ones(30, dtype=bool), most=4)
    every = components(x, np.ones(30, dtype=bool))
    np.testing.assert_allclose(few.var(axis=0), every.var(axis=0)[:4], rtol=0.05)


def test_nothing_to_compute_a_basis_from_gives_one_empty_column() -> None:
    out = np.asarray(components(features(n=5), np.arange(5) < 1))
    assert out.tolist() == [[0.0]] * 5
    constant = np.asarray(components(np.ones((5, 3)), np.ones(5, dtype=bool)))
    assert constant.tolist() == [[0.0]] * 5


def test_a_large_table_takes_a_seeded_sample_and_is_read_in_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, training = features(), np.ones(60, dtype=bool)
    whole = components(x, training)
    monkeypatch.setattr(module, "BASIS", 25)

    class Blocks:
        longest, shape = 0, x.shape

        def __len__(self) -> int:
            return len(x)

        def __getitem__(self, index: Any, /) -> np.ndarray:
            self.longest = max(self.longest, len(x[index]))
            return x[index]

    blocks = Blocks()
    first = components(blocks, training, seed=1)
    assert blocks.longest == 25
    assert (first == components(x, training, seed=1)).all()
    assert not np.allclose(np.abs(first), np.abs(components(x, training, seed=2)), atol=1e-3)
    assert first.shape == whole.shape


def test_the_components_of_a_large_table_lie_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, training = features(), np.arange(60) < 40
    small = components(x, training, file=tmp_path / "unused.npy")
    assert isinstance(small, np.ndarray)
    assert not any(tmp_path.iterdir())
    monkeypatch.setattr(module, "IN_MEMORY", 59)
    large = components(x, training, file=tmp_path / "x.npy")
    assert isinstance(large, OnDisk)
    assert large.shape == small.shape
    assert (np.load(tmp_path / "x.npy") == small).all()
    elsewhere = pickle.loads(pickle.dumps(large))
    for index in (slice(10, 20), np.array([59, 0, 7, 7]), training, np.array([], dtype=np.intp)):
        for matrix in (large, elsewhere):
            assert (matrix[index] == small[index]).all()


@pytest.mark.parametrize("rows", [None, np.array([3, 1, 59]), np.arange(50), np.array([], int)])
def test_in_blocks_joins_what_a_function_makes_of_some_rows_at_a_time(
    rows: np.ndarray | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 7)
    x, longest = features(), []

    def total(block: np.ndarray) -> np.ndarray:
        longest.append(len(block))
        return np.asarray(block.sum(axis=1))

    expected = (x if rows is None else x[rows]).sum(axis=1)
    assert in_blocks(total, x, rows) == pytest.approx(expected)
    assert max(longest) <= 7
