from __future__ import annotations

import numpy as np

from pipeline.impute.learnable import is_learnable


def test_signal_and_noise() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.3).astype(float)
    assert is_learnable(y + rng.normal(0, 2, 400), y, attributes=5)
    assert not is_learnable(rng.normal(size=400), y, attributes=5)
    assert not is_learnable(-y + rng.normal(0, 2, 400), y, attributes=5)


def test_one_class_or_nothing_is_not_learnable() -> None:
    assert not is_learnable(np.arange(5.0), np.ones(5), attributes=1)
    assert not is_learnable(np.zeros(0), np.zeros(0), attributes=1)


def test_a_handful_of_labels_prove_nothing() -> None:
    y = np.array([0, 1])
    assert not is_learnable(np.array([-1.0, 1.0]), y, attributes=5)


def test_false_alarms_stay_at_the_stated_rate() -> None:
    """Four unlearnable attributes, 250 tables: at most one table in twenty, give or take noise."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(250):
        wrong += any(
            is_learnable(rng.normal(size=120), (rng.random(120) < 0.4).astype(float), 4)
            for _ in range(4)
        )
    # Binomial(250, .05): 23 is above its 99th percentile.
    assert wrong <= 23
