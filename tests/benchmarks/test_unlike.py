"""The rates of pictures called unlike the training pictures."""

from __future__ import annotations

import numpy as np

from benchmarks import unlike


def test_rates_of_two_clouds_apart() -> None:
    rng = np.random.default_rng(0)
    near = {name: np.eye(6)[axis] + rng.normal(0, 0.05, (200, 6)) for axis, name in enumerate("ab")}
    table = unlike.rates(near, {"noise": rng.normal(-1, 0.1, (50, 6))}).set_index("training")
    assert table["photos"].tolist() == [140, 140]
    assert (table["held out"] < 0.1).all() and (table["noise"] == 1).all()
    assert table.loc["a", "b"] == table.loc["b", "a"] == 1
    assert np.isnan(table.loc["a", "a"])


def test_drawn_pictures_are_the_same_each_time() -> None:
    once, again = unlike.drawn((8, 6)), unlike.drawn((8, 6))
    for kind, pictures in once.items():
        assert pictures.shape == (unlike.DRAWN, 8, 6, 3) and pictures.dtype == np.uint8
        np.testing.assert_array_equal(pictures, again[kind])
