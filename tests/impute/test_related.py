"""Which other attributes are read in a wide table."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_selection import chi2

from pipeline.impute import related
from pipeline.impute.related import most_related

NAN = float("nan")


def table(rows: int = 400, attributes: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of columns that agree four times in five; a fifth of the cells unknown; the folds."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (rows, attributes)).astype(float)
    noisy = rng.random((rows, attributes // 2)) < 0.2
    labels[:, 1::2] = np.where(noisy, 1 - labels[:, ::2], labels[:, ::2])
    labels[rng.random(labels.shape) < 0.2] = NAN
    return labels, np.arange(rows) % 4 - 1


def test_a_column_s_partner_is_among_those_that_are_read_in_every_refit() -> None:
    labels, fold = table()
    found = most_related(labels, fold, most=2)
    assert found.shape == (12, 4, 2)
    for a, of_refits in enumerate(found):
        assert all(a ^ 1 in columns and a not in columns for columns in of_refits)
        assert (np.diff(of_refits, axis=1) > 0).all(), "in the table's order"


def test_labels_of_a_fold_or_outside_training_choose_nothing_for_it() -> None:
    rng = np.random.default_rng(0)
    labels, fold = table()
    before = most_related(labels, fold, most=3)
    for k in range(-1, 3):
        changed = labels.copy()
        inside = fold == k
        changed[inside] = rng.integers(0, 2, (inside.sum(), labels.shape[1]))
        after = most_related(changed, fold, most=3)
        own = slice(None) if k < 0 else k
        assert (after[:, own] == before[:, own]).all()
        assert k < 0 or (after != before).any()


def test_values_of_one_attribute_are_not_read_for_each_other() -> None:
    labels, fold = table()
    found = most_related(labels, fold, [(2, 5)], most=20)
    assert found.shape == (12, 4, 9), "as many as the widest attribute leaves"
    for a in (2, 3, 4):
        assert not np.isin(found[a], (2, 3, 4)).any()
    assert np.isin([2, 3, 4], found[0, 0]).any()


def test_the_statistic_is_that_of_the_two_by_two_table() -> None:
    labels, _ = table(60, 4)
    labels[:, 3] = 1.0
    known, positive = ~np.isnan(labels), labels == 1
    found = related._chi_squared(
        known.astype(np.float32), positive.astype(np.float32), np.arange(4)
    )
    both = known[:, 0] & known[:, 1]
    x, y = labels[both, 0], labels[both, 1]
    expected, _ = chi2(np.stack([x, 1 - x], axis=1), y)
    assert found[0, 1] == pytest.approx(expected.sum())
    assert found[0, 3] == 0, "of a column that never varies"


def test_a_block_of_targets_after_another_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, fold = table()
    whole = most_related(labels, fold, most=5)
    monkeypatch.setattr(related, "TARGETS", 5)
    assert (most_related(labels, fold, most=5) == whole).all()
