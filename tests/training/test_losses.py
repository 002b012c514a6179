from __future__ import annotations

import numpy as np
import pytest

from pipeline.training import losses
from pipeline.training.losses import (
    FOCAL_GAMMA,
    Objective,
    masked_loss,
    objective,
    positive_weights,
)

tf = pytest.importorskip("tensorflow")
NAN = float("nan")


def value(
    targets: list[list[float]], logits: list[list[float]], weights: object = None, **more: object
) -> float:
    loss = masked_loss(
        tf.constant(targets, tf.float32),
        tf.constant(logits, tf.float32),
        weights,
        Objective(**more),  # type: ignore[arg-type]
    )
    return float(loss.numpy())


def gradient_of(
    targets: list[list[float]], logits: list[list[float]], **more: object
) -> np.ndarray:
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = masked_loss(tf.constant(targets), variable, None, Objective(**more))  # type: ignore[arg-type]
    return np.asarray(tape.gradient(loss, variable).numpy())


def test_hand_computed() -> None:
    # -log sigmoid(2) = 0.126928, -log(1 - sigmoid(-1)) = 0.313262
    assert value([[1.0, 0.0]], [[2.0, -1.0]]) == pytest.approx((0.126928 + 0.313262) / 2, abs=1e-6)
    assert value([[1.0, NAN]], [[2.0, -1.0]]) == pytest.approx(0.126928, abs=1e-6)
    weighted = value([[1.0, 0.0]], [[2.0, -1.0]], weights=tf.constant([[3.0, 1.0]]))
    assert weighted == pytest.approx((3 * 0.126928 + 0.313262) / 4, abs=1e-6)
    # (1 - sigmoid(2))^2 = 0.0142094
    focal = value([[1.0]], [[2.0]], loss="focal")
    assert focal == pytest.approx(0.0142094 * 0.126928, rel=1e-4)


def test_positive_weight_by_hand() -> None:
    # It multiplies the positive cell's loss and not the count of cells, as in PyTorch.
    more = {"loss": "weighted", "positive_weight": (4.0, 9.0)}
    found = value([[1.0, 0.0]], [[2.0, -1.0]], **more)
    assert found == pytest.approx((4 * 0.126928 + 0.313262) / 2, abs=1e-6)
    unknown = value([[1.0, NAN]], [[2.0, -1.0]], **more)
    assert unknown == pytest.approx(4 * 0.126928, abs=1e-6)


def test_positive_weights_are_negatives_by_positives() -> None:
    labels = np.array(
        [[1, 0, NAN, 1], [0, 0, NAN, 1], [0, 1, 1, NAN], [0, 1, 0, 1], [NAN, 0, 0, 1]]
    )
    assert positive_weights(labels) == (3.0, 1.5, 2.0, 1.0)
    assert objective("weighted", labels).positive_weight == (3.0, 1.5, 2.0, 1.0)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_only_the_weighted_loss_weighs_the_classes(loss: str) -> None:
    """And is cross-entropy where there is nothing to weigh."""
    labels, logits = [[1.0, 0.0, NAN], [0.0, 0.0, 1.0]], [[2.0, -1.0, 0.5]] * 2
    of_labels = objective(loss, np.array(labels))
    plain = Objective(loss)
    assert of_labels.positive_weight == (1.0, 1.0, 1.0)
    heavy = value(labels, logits, loss=loss, positive_weight=(9.0, 9.0, 9.0))
    assert heavy == value(labels, logits, loss=plain.loss)
    assert value(labels, logits, loss="weighted") == pytest.approx(value(labels, logits))
    assert value(labels, logits, loss="weighted", positive_weight=(9.0, 9.0, 9.0)) > heavy


def test_soft_targets() -> None:
    assert value([[0.25]], [[0.0]]) == pytest.approx(np.log(2), abs=1e-6)


@pytest.mark.parametrize(
    "more", [{}, {"loss": "focal"}, {"loss": "weighted", "positive_weight": (3.0, 0.5)}]
)
def test_unknown_cells_have_exactly_zero_gradient(more: dict[str, object]) -> None:
    gradient = gradient_of([[1.0, NAN], [NAN, 0.0]], [[0.5, 100.0], [-3.0, 1.0]], **more)
    assert gradient[0, 1] == 0.0
    assert gradient[1, 0] == 0.0
    assert gradient[0, 0] < 0 < gradient[1, 1]


def test_nothing_known_is_zero_and_has_no_nan_gradient() -> None:
    assert value([[NAN, NAN]], [[1.0, 2.0]]) == 0.0
    assert gradient_of([[NAN, NAN]], [[1.0, 2.0]]).tolist() == [[0.0, 0.0]]
    softmax = ((0, 2),)
    assert value([[NAN, NAN]], [[1.0, 2.0]], softmax=softmax) == 0.0
    assert gradient_of([[NAN, NAN]], [[1.0, 2.0]], softmax=softmax).tolist() == [[0.0, 0.0]]


def test_gamma_zero_is_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8, 3)).astype("float32")
    targets = (rng.random((8, 3)) < 0.5).astype("float32")
    expected = float(
        tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)).numpy()
    )
    focal = losses.focal(targets, logits, None, gamma=0.0)
    assert float(tf.reduce_mean(focal).numpy()) == pytest.approx(expected, rel=1e-6)
    assert value(targets.tolist(), logits.tolist()) == pytest.approx(expected, rel=1e-6)
    assert FOCAL_GAMMA == 2.0
    softmax = losses.softmax_focal(targets, logits, gamma=0.0).numpy()
    assert softmax == pytest.approx(losses.softmax_cross_entropy(targets, logits).numpy())


def test_softmax_by_hand() -> None:
    # Probabilities of (1, 2, 0) are .244728, .665241, .090031.
    assert value([[0, 1, 0]], [[1.0, 2.0, 0.0]], softmax=((0, 3),)) == pytest.approx(
        0.407606, abs=1e-6
    )
    focal = value([[0, 1, 0]], [[1.0, 2.0, 0.0]], softmax=((0, 3),), loss="focal")
    assert focal == pytest.approx((1 - 0.665241) ** 2 * 0.407606, rel=1e-4)
    # Shares that do not sum to 1 are scaled; a binary column beside it is a cell of its own.
    mixed = value([[1.0, 0.0, 0.4, 0.1]], [[2.0, 1.0, 2.0, 0.0]], softmax=((1, 4),))
    soft = -(0.8 * np.log(0.665241) + 0.2 * np.log(0.090031))
    assert mixed == pytest.approx((0.126928 + soft) / 2, abs=1e-6)


def test_softmax_of_two_values_is_the_sigmoid_of_their_difference() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(16, 2)).astype("float32")
    positive = (rng.random(16) < 0.3).astype("float32")
    two = np.stack([1 - positive, positive], axis=1)
    two[3] = NAN
    positive[3] = NAN
    for loss in ("cross_entropy", "focal"):
        by_softmax = value(two.tolist(), logits.tolist(), softmax=((0, 2),), loss=loss)
        difference = (logits[:, 1] - logits[:, 0])[:, None]
        by_sigmoid = value(positive[:, None].tolist(), difference.tolist(), loss=loss)
        assert by_softmax == pytest.approx(by_sigmoid, rel=1e-5)


def test_unknown_and_unnamed_categorical_cells_have_exactly_zero_gradient() -> None:
    targets = [[1.0, 0.0, 0.0, 1.0], [NAN, NAN, NAN, 0.0], [0.0, 0.0, 0.0, NAN]]
    for loss in ("cross_entropy", "focal"):
        gradient = gradient_of(targets, [[0.5, 90.0, -2.0, 1.0]] * 3, softmax=((0, 3),), loss=loss)
        assert (gradient[1, :3] == 0).all()
        assert (gradient[2] == 0).all()
        assert gradient[0, 0] < 0 < gradient[0, 1]
        assert gradient[1, 3] > 0


def test_columns_of_an_objective() -> None:
    whole = Objective("focal", softmax=((1, 4), (5, 7)), positive_weight=(1, 2, 3, 4, 5, 6, 7))
    assert whole.columns(1, 4) == Objective("focal", ((0, 3),), (2, 3, 4))
    assert whole.columns(4, 5) == Objective("focal", (), (5,))


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_a_better_guess_costs_less(name: str) -> None:
    worse, better = (value([[1.0, 0.0]], [[z, -z]], loss=name) for z in (0.5, 2.0))
    assert 0 < better < worse
    softmax = ((0, 2),)
    if losses.LOSSES[name].categorical:
        worse, better = (
            value([[1.0, 0.0]], [[z, -z]], loss=name, softmax=softmax) for z in (0.5, 2.0)
        )
        assert 0 < better < worse
    else:
        with pytest.raises(ValueError, match=f"'{name}' is none for categorical"):
            value([[1.0, 0.0]], [[0.0, 0.0]], loss=name, softmax=softmax)


@pytest.mark.parametrize("name", ["cross_entropy", "weighted"])
def test_no_other_constant_fits_better_than_the_one_to_start_from(name: str) -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((4000, 2)) < [0.1, 0.7]).astype(float)
    weights = rng.random((4000, 2))
    targets[rng.random(targets.shape) < 0.3] = np.nan
    objective = losses.objective(name, targets)
    start = losses.constant_logits(targets, weights, objective)

    def cost(logits: np.ndarray) -> float:
        same = np.broadcast_to(logits, targets.shape).astype("float32")
        y, w = targets.astype("float32"), weights.astype("float32")
        return float(losses.masked_loss(y, same, w, objective).numpy())

    others = [cost(start + move) for move in ([0.2, 0], [-0.2, 0], [0, 0.2], [0, -0.2])]
    assert cost(start) < min(others)
    if name == "weighted":
        plain = losses.constant_logits(targets, weights, Objective())
        np.testing.assert_allclose(start - plain, losses.balance(objective), rtol=1e-5)


def test_start_of_a_categorical_attribute_is_its_shares() -> None:
    targets = np.array([[1, 0, 1], [0, 1, 1], [0, 1, 0], [np.nan, np.nan, 0]])
    start = losses.constant_logits(targets, None, Objective(softmax=((0, 2),)))
    np.testing.assert_allclose(np.exp(start[:2]), [2 / 5, 3 / 5], rtol=1e-6)
    assert start[2] == 0
