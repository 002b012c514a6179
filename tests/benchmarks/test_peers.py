import numpy as np
import pytest

from benchmarks import peer_linear, peer_table, tuning
from benchmarks.peers import PEERS, standardised
from pipeline.metrics.scores import auc

N, C = 100, 10


@pytest.fixture(scope="module")
def problem():
    """Features [N, C] that tell two attributes; a third one is the opposite of the first."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N, C)).astype(np.float32)
    truth = np.stack([features[:, 0] > 0.3, features[:, 1] > 0, features[:, 0] <= 0.3], axis=1)
    truth = truth.astype(np.float32)
    hidden = rng.random(truth.shape) < 0.4
    return features, truth, hidden


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_gives_probabilities_that_rank_hidden_cells(problem, name):
    features, truth, hidden = problem
    shown = np.where(hidden, np.nan, truth).astype(np.float32)
    before = shown.copy()
    found = PEERS[name](features, shown, 0)
    np.testing.assert_array_equal(shown, before)
    assert found.probability.shape == truth.shape
    assert found.threshold.shape == (3,)
    assert np.isfinite(found.probability).all()
    assert found.probability.min() >= 0
    assert found.probability.max() <= 1
    areas = [auc(truth[hidden[:, a], a], found.probability[hidden[:, a], a]) for a in range(3)]
    assert np.mean(areas) == 0.5 if name == "mode" else np.mean(areas) > 0.75


@pytest.mark.parametrize("name", ["masked_lr", "label_spreading", "knn_imputer"])
def test_the_same_seed_gives_the_same_probabilities(problem, name):
    features, truth, hidden = problem
    shown = np.where(hidden, np.nan, truth).astype(np.float32)
    one, two = (PEERS[name](features, shown.copy(), 0).probability for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", PEERS)
def test_one_class_or_nothing_known_is_no_error(problem, name):
    features, truth, _ = problem
    labels = truth[:40].copy()
    labels[:, 1] = np.where(labels[:, 1] == 1, 1.0, np.nan)
    labels[:, 2] = np.nan
    found = PEERS[name](features[:40], labels, 0)
    assert np.isfinite(found.probability).all()


def test_rotation_to_the_known_rows_changes_no_probability(problem):
    features, truth, _ = problem
    x = standardised(features).astype(np.float64)
    few = truth[:, 0].copy()
    few[10:] = np.nan
    rows = np.arange(10)
    fast = peer_linear.predicted(x, few, 0.01, True)
    model = peer_linear.classifier(0.01, True).set_params(tol=1e-8).fit(x[rows], few[rows])
    np.testing.assert_allclose(fast, model.predict_proba(x)[:, 1], atol=1e-4)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_principal_components_keep_distances_and_fall_in_variance(shape):
    x = standardised(np.random.default_rng(0).normal(size=shape)).astype(np.float64)
    scores = peer_table.principal(x)
    assert scores.shape == (shape[0], min(shape))
    np.testing.assert_allclose(scores @ scores.T, x @ x.T, atol=1e-8)
    assert (np.diff((scores**2).sum(axis=0)) <= 1e-8).all()


def test_standardised_features_survive_a_constant_column():
    x = standardised(np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32))
    np.testing.assert_array_equal(x, [[-1, 0], [1, 0]])


def test_tuning_takes_the_setting_that_ranks_cells_it_was_not_shown(problem):
    _, truth, _ = problem
    seen = []

    def fit(labels, settings):
        seen.append(np.isnan(labels).mean())
        return [truth if setting == "good" else 1 - truth for setting in settings]

    assert tuning.best(fit, truth, ["bad", "good"], seed=0) == "good"
    assert seen == pytest.approx([tuning.SHARE] * 3, abs=0.06)


def test_a_single_setting_needs_no_tuning(problem):
    def fit(labels, settings):
        raise AssertionError

    assert tuning.best(fit, problem[1], ["only"], seed=0) == "only"
