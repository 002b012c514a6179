"""Known cells as a sample of what is left after people have looked."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.impute import audit
from pipeline.impute.looked_at import still_unknown


def test_without_looks_every_known_cell_stands_for_itself() -> None:
    assert still_unknown(np.array([0.6, 0.9]), np.array([0.7]), np.zeros(0)).tolist() == [1, 1]
    assert still_unknown(np.zeros(0), np.array([0.7]), np.array([0.6])).tolist() == []


def test_shares_by_hand() -> None:
    known = np.array([0.55, 0.7, 0.95])
    # All below 0.65 have been looked at, half of those from 0.65 to 0.75, none above.
    unknown = np.array([0.7, 0.9, 0.95])
    looked = np.array([0.5, 0.6, 0.7])
    assert still_unknown(known, unknown, looked) == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("looks", [0, 60, 150])
def test_what_is_left_is_as_right_as_is_expected(
    looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether people have looked at the most doubtful cells or at none."""
    monkeypatch.setattr(audit, "DRAWS", 200)
    inside, errors = 0, []
    for seed in range(100):
        rng = np.random.default_rng([looks, seed])
        sure = 0.5 + 0.5 * rng.random(700)
        right = rng.random(700) < sure
        known, unknown = np.arange(400), np.arange(400, 700)
        order = unknown[np.argsort(sure[unknown])]
        looked, left = order[:looks], order[looks:]
        weight = still_unknown(sure[known], sure[left], sure[looked])
        used = known[weight > 0]
        out = audit.expected(
            *(right[used].astype(float), sure[used], np.ones(len(used)), sure[used]),
            *(weight[weight > 0], len(left), rng),
        )
        errors.append(out["accuracy"] - right[left].mean())
        inside += out["accuracy_low"] <= right[left].mean() <= out["accuracy_high"]
    assert abs(np.mean(errors)) < 0.012
    # Binomial(100, .95): fewer than 87 has a chance of 1 in 600.
    assert inside >= 87
