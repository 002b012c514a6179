"""Cross-fitting: who may be fitted on what, and who scores whom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.impute import cross_fitting
from pipeline.impute.cross_fitting import cross_fit, fold_count, log_odds, logit, without_fold

NAN = float("nan")


def test_log_odds_by_hand() -> None:
    assert log_odds(np.array([1, 1, 0])) == pytest.approx(np.log(3 / 2))
    assert log_odds(np.array([0, 0])) == pytest.approx(np.log(1 / 3))
    assert log_odds(np.array([])) == 0


def test_logit_is_bounded_and_inverts_the_sigmoid_between() -> None:
    z = np.array([-11.0, -1.0, 0.0, 2.0, 11.0])
    assert logit(1 / (1 + np.exp(-z))) == pytest.approx(z)
    assert logit(np.array([0.0, 1.0])) == pytest.approx([-12, 12])
    assert logit(np.array([0.0, 1.0]), bound=3.0) == pytest.approx([-3, 3])


def test_a_refit_lacks_one_fold_and_the_last_lacks_none() -> None:
    fold = np.array([0, 1, 2, -1, 1])
    assert fold_count(fold) == 3
    assert without_fold(fold, 1).tolist() == [0, -1, 2, -1, -1]
    assert without_fold(fold, 3).tolist() == fold.tolist()
    assert fold_count(np.array([-1, -1])) == fold_count(np.array([], dtype=int)) == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_every_cell_is_scored_once_by_a_model_that_has_not_seen_it(seed: int, folds: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice([0.0, 1.0, NAN], 60)
    fold = rng.integers(-1, folds, 60)
    # Both classes in every fold, so that every refit is fitted.
    fold[: 2 * folds] = np.tile(np.arange(folds), 2)
    labels[: 2 * folds] = np.repeat([0.0, 1.0], folds)
    scored_by: list[tuple[int, np.ndarray, np.ndarray]] = []

    def fit_and_score(refit: int, fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        scored_by.append((refit, fitted, scored))
        return np.full(len(scored), float(refit))

    out = cross_fit(labels, fold, fit_and_score)
    training = ~np.isnan(labels) & (fold >= 0)
    for refit, fitted, scored in scored_by:
        assert training[fitted].all()
        assert not np.isin(scored, fitted).any()
        assert not (fold[fitted] == refit).any()
        assert set(labels[fitted]) == {0, 1}
        if refit < folds:
            assert (fold[scored] == refit).all() and training[scored].all()
        else:
            assert not training[scored].any()
            assert len(fitted) == training.sum()
    every = np.concatenate([scored for _, _, scored in scored_by])
    assert sorted(every) == list(range(60))
    assert (out == np.where(training, fold, folds)).all()


def test_one_class_or_no_label_is_scored_by_its_log_odds() -> None:
    def never(refit: int, fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        raise AssertionError("fitted on one class")

    labels = np.array([1.0, 1.0, 1.0, NAN])
    out = cross_fit(labels, np.array([0, 0, 1, 1]), never)
    assert out == pytest.approx(np.log([2, 2, 3, 4]))
    assert cross_fit(np.full(3, NAN), np.array([0, 1, -1]), never).tolist() == [0, 0, 0]


def test_large_tables_are_fitted_on_some_rows_the_rarer_class_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cross_fitting, "MOST_FITTED", 20)
    rows, labels = np.arange(100, 400), np.zeros(300)
    labels[[7, 150, 299]] = 1
    chosen = cross_fitting.some(rows, labels)
    assert len(chosen) == len(set(chosen)) == 20
    assert (np.diff(chosen) > 0).all()
    assert {107, 250, 399} <= set(chosen)
    # Every place in the order is as likely: neighbours in the table often belong together.
    assert len(set((cross_fitting.some(rows, labels, 200) % 2).tolist())) == 2
    assert set(cross_fitting.some(rows, 1 - labels)) >= {107, 250, 399}
    even = cross_fitting.some(rows, np.arange(300) % 2)
    assert (even % 2).sum() == 10
    assert cross_fitting.some(rows[:20], labels[:20]).tolist() == rows[:20].tolist()
    assert not len(cross_fitting.some(rows, labels, 0))


def test_models_of_some_rows_keep_the_prevalence_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_fitting, "MOST_FITTED", 40)
    labels, fold = (np.arange(4000) % 100 == 0).astype(float), np.arange(4000) // 100 % 2

    def fit_and_score(refit: int, fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        assert len(fitted) == 40
        assert len(np.unique(labels[fitted])) == 2
        assert not np.isin(fitted, np.flatnonzero(fold == refit)).any()
        return np.full(len(scored), log_odds(labels[fitted]))

    out = cross_fitting.cross_fit(labels, fold, fit_and_score)
    assert out == pytest.approx(log_odds(labels[fold == 0]))
