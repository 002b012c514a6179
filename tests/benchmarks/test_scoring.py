import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, matthews_corrcoef

from benchmarks import scoring, significance


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    truth = (rng.random((200, 2)) < 0.4).astype(np.float32)
    probability = np.clip(0.4 * truth + 0.7 * rng.random((200, 2)), 0, 1).round(2)  # with ties
    hidden = rng.random((200, 2)) < 0.6
    return truth, hidden, probability, probability >= 0.5


def test_scores_are_those_of_scikit_learn_on_hidden_cells(cells):
    truth, hidden, probability, decided = cells
    frame = scoring.score(["a", "b"], *cells).set_index("attribute")
    for a, name in enumerate("ab"):
        rows = hidden[:, a]
        y, p, d = truth[rows, a], probability[rows, a], decided[rows, a]
        row = frame.loc[name]
        assert row["cells"] == rows.sum()
        assert row["ap"] == pytest.approx(average_precision_score(y, p))
        assert row["mcc"] == pytest.approx(matthews_corrcoef(y, d))
        assert row["f1"] == pytest.approx(f1_score(y, d))
        assert row["brier"] == pytest.approx(np.mean((p - y) ** 2))
        assert row["prevalence_error"] == pytest.approx(abs(p.mean() - y.mean()))
        assert row["accuracy"] == pytest.approx((d == y).mean())
    assert frame.loc[scoring.POOLED, "cells"] == hidden.sum()


def test_known_cells_change_no_score(cells):
    truth, hidden, probability, decided = cells
    changed = np.where(hidden, probability, 0.123)
    before = scoring.score(["a", "b"], *cells)
    after = scoring.score(["a", "b"], truth, hidden, changed, decided)
    assert before.equals(after)


def test_an_attribute_of_one_hidden_class_is_left_out(cells):
    truth, hidden, probability, decided = cells
    truth[:, 1] = 0
    frame = scoring.score(["a", "b"], truth, hidden, probability, decided).set_index("attribute")
    assert np.isnan(frame.loc["b", "ap"])
    assert frame.loc[scoring.POOLED, "cells"] == hidden[:, 0].sum()


def test_nothing_hidden_has_no_scores(cells):
    truth, hidden, probability, decided = cells
    frame = scoring.score(["a", "b"], truth, np.zeros_like(hidden), probability, decided)
    assert frame["ap"].isna().all()
    assert (frame["cells"] == 0).all()


def test_ece_of_a_constant_is_its_distance_from_the_prevalence():
    truth = np.array([[1.0], [0], [0], [0]])
    row = scoring.score(
        ["a"], truth, truth >= 0, np.full((4, 1), 0.65), np.ones((4, 1), dtype=bool)
    ).iloc[0]
    assert row["ece"] == pytest.approx(0.4)
    assert row["mcc"] == 0


def test_weights_of_one_give_the_plain_scores(cells):
    ones = np.ones((1, 200), dtype=np.float32)
    draws = significance.draw_scores(*cells, ones)
    plain = scoring.score(["a", "b"], *cells).iloc[:-1][list(significance.METRICS)].mean()
    np.testing.assert_allclose(draws[0], plain, atol=1e-6)


def test_weighted_scores_are_those_of_repeated_images(cells):
    weights = significance.image_weights(200, draws=3, seed=1)
    draws = significance.draw_scores(*cells, weights)
    for row, draw in zip(weights, draws, strict=True):
        repeated = [array.repeat(row.astype(int), axis=0) for array in cells]
        plain = scoring.score(["a", "b"], *repeated).iloc[:-1][list(significance.METRICS)].mean()
        np.testing.assert_allclose(draw, plain, atol=1e-5)


def test_a_draw_without_both_classes_leaves_that_attribute_out(cells):
    truth, hidden, probability, decided = cells
    truth[:, 1] = 0
    truth[0, 1], hidden[0, 1] = 1, True
    weights = np.ones((1, 200), dtype=np.float32)
    weights[0, 0] = 0
    draw = significance.draw_scores(truth, hidden, probability, decided, weights)
    alone = significance.draw_scores(
        truth[:, :1], hidden[:, :1], probability[:, :1], decided[:, :1], weights
    )
    np.testing.assert_allclose(draw, alone)


def test_image_weights_are_paired_and_sum_to_the_images():
    one, two = significance.image_weights(50, 20, 3), significance.image_weights(50, 20, 3)
    np.testing.assert_array_equal(one, two)
    assert (one.sum(axis=1) == 50).all()


def test_holm_by_hand():
    np.testing.assert_allclose(significance.holm([0.01, 0.04, 0.03, 0.5]), [0.04, 0.09, 0.09, 0.5])
    np.testing.assert_allclose(significance.holm([0.6, 0.9]), [1, 1])


def test_p_values():
    rng = np.random.default_rng(0)
    draws = rng.normal(0.1, 0.05, 4000)
    assert significance.p_value(0.098, draws) == pytest.approx(0.05, abs=0.01)
    assert significance.p_value(0.0, np.zeros(10)) == 1
    assert significance.p_value(0.1, np.full(10, 0.1)) == 0


def test_the_verdict_knows_which_way_is_better():
    assert significance.verdict("ap", 0.1, 0.01) == "win"
    assert significance.verdict("mcc", -0.1, 0.01) == "loss"
    assert significance.verdict("brier", -0.1, 0.01) == "win"
    assert significance.verdict("brier", 0.1, 0.01) == "loss"
    assert significance.verdict("ap", 0.1, 0.2) == "tie"
    assert significance.verdict("ap", 0.0, float("nan")) == "tie"
