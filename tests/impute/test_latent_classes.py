"""Latent classes: planted ones are found, and a cell does not score itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.impute import latent_classes
from pipeline.impute.latent_classes import CERTAIN, MOST_EVIDENCE, LatentClasses, evidence_of, fit
from pipeline.metrics.ranking import auc

NAN = float("nan")
RATE = np.array([[0.9, 0.85, 0.1, 0.2], [0.1, 0.15, 0.8, 0.9]])


def planted(n: int, unknown: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels [n, 4] of two classes, 7 to 3, some unknown; and the truth."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 4)) < RATE[(rng.random(n) < 0.3).astype(int)]).astype(float)
    return np.where(rng.random((n, 4)) < unknown, NAN, truth), truth


def evidence(labels: np.ndarray) -> np.ndarray:
    """Without any picture."""
    prior = np.zeros(labels.shape[1])
    return evidence_of(np.zeros(labels.shape), labels, prior, temper=1.0)


@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_two_planted_classes_are_recovered(unknown: float) -> None:
    labels, _ = planted(2500, unknown)
    found = fit(evidence(labels), np.nanmean(labels, axis=0), 2, (0,))
    order = np.argsort(-found.share)
    np.testing.assert_allclose(found.share[order], [0.7, 0.3], atol=0.06)
    np.testing.assert_allclose(found.rate[order], RATE, atol=0.08)
    assert found.share.sum() == pytest.approx(1)


def test_the_other_labels_tell_an_unknown_one() -> None:
    labels, truth = planted(400, 0.3)
    context = fit(evidence(labels), np.nanmean(labels, axis=0), 2, (0,)).context(evidence(labels))
    hidden = np.isnan(labels[:, 0])
    assert auc(truth[hidden, 0], context[hidden, 0]) > 0.75


def test_context_by_hand() -> None:
    model = LatentClasses(np.array([0.7, 0.3]), RATE[:, :2])
    out = model.context(np.array([[0.0, 0.0], [0.0, CERTAIN], [0.0, -CERTAIN]]))
    share = np.array([0.7, 0.3])
    nothing = share @ RATE[:, 0]
    assert out[0, 0] == pytest.approx(np.log(nothing / (1 - nothing)))
    for row, likelihood in ((1, RATE[:, 1]), (2, 1 - RATE[:, 1])):
        belief = share * likelihood / (share @ likelihood)
        p = belief @ RATE[:, 0]
        assert out[row, 0] == pytest.approx(np.log(p / (1 - p)), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_a_cell_is_not_told_by_its_own_evidence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = LatentClasses(rng.dirichlet(np.ones(3)), rng.uniform(0.02, 0.98, (3, 5)))
    known = evidence_of(rng.normal(0, 3, (6, 5)), rng.choice([0, 1, NAN], (6, 5)), np.zeros(5), 0.6)
    changed = known.copy()
    changed[:, 2] = rng.choice([CERTAIN, -CERTAIN, 0.5], 6)
    before, after = model.context(known), model.context(changed)
    np.testing.assert_allclose(after[:, 2], before[:, 2], rtol=0, atol=1e-9)
    assert np.isfinite(before).all()
    # And it is a weighing of the classes' rates.
    p = 1 / (1 + np.exp(-before))
    assert (p >= model.rate.min(axis=0) - 1e-9).all()
    assert (p <= model.rate.max(axis=0) + 1e-9).all()


def test_evidence_by_hand() -> None:
    labels = np.array([[1.0, 0.0, NAN, NAN]])
    out = evidence_of(np.array([[5.0, 5.0, 2.0, 99.0]]), labels, np.array([0, 0, 1.0, 0]), 0.6)
    assert out.tolist() == [[CERTAIN, -CERTAIN, pytest.approx(0.6), MOST_EVIDENCE]]


def test_a_class_without_rows_takes_the_prevalence_and_nothing_is_certain() -> None:
    labels = np.ones((3, 2))
    found = fit(evidence(labels), np.array([0.8, 0.4]), 6, (1,))
    assert found.rate.shape == (6, 2)
    assert ((found.rate > 0) & (found.rate < 1)).all()
    assert (found.share > 0).all()
    assert np.isfinite(found.context(evidence(labels))).all()


def test_seeded_sampled_and_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    known = evidence(planted(200, 0.2)[0])
    prevalence = np.full(4, 0.5)
    one, two = (fit(known, prevalence, 3, (4,)) for _ in range(2))
    assert (one.rate == two.rate).all()
    assert (one.rate != fit(known, prevalence, 3, (5,)).rate).all()
    context = one.context(known)
    monkeypatch.setattr(latent_classes, "CHUNK", 64)
    np.testing.assert_allclose(fit(known, prevalence, 3, (4,)).rate, one.rate, atol=1e-8)
    np.testing.assert_allclose(one.context(known), context, atol=1e-12)
    monkeypatch.setattr(latent_classes, "MOST_ROWS", 50)
    assert np.abs(fit(known, prevalence, 3, (4,)).rate - one.rate).max() > 1e-3
