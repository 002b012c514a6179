from __future__ import annotations

import numpy as np
import pytest

from pipeline.losses import masked_cross_entropy

tf = pytest.importorskip("tensorflow")
NAN = float("nan")


def value(targets: list[list[float]], logits: list[list[float]], **more: object) -> float:
    loss = masked_cross_entropy(tf.constant(targets), tf.constant(logits), **more)
    return float(loss.numpy())


def test_hand_computed() -> None:
    # -log sigmoid(2) = 0.126928, -log(1 - sigmoid(-1)) = 0.313262
    assert value([[1.0, 0.0]], [[2.0, -1.0]]) == pytest.approx((0.126928 + 0.313262) / 2, abs=1e-6)
    assert value([[1.0, NAN]], [[2.0, -1.0]]) == pytest.approx(0.126928, abs=1e-6)
    weighted = value([[1.0, 0.0]], [[2.0, -1.0]], weights=tf.constant([[3.0, 1.0]]))
    assert weighted == pytest.approx((3 * 0.126928 + 0.313262) / 4, abs=1e-6)
    # (1 - sigmoid(2))^2 = 0.0142094
    focal = value([[1.0]], [[2.0]], gamma=2.0)
    assert focal == pytest.approx(0.0142094 * 0.126928, rel=1e-4)


def test_soft_targets() -> None:
    assert value([[0.25]], [[0.0]]) == pytest.approx(np.log(2), abs=1e-6)


def test_unknown_cells_have_exactly_zero_gradient() -> None:
    targets = tf.constant([[1.0, NAN], [NAN, 0.0]])
    for gamma in (0.0, 2.0):
        logits = tf.Variable([[0.5, 100.0], [-3.0, 1.0]])
        with tf.GradientTape() as tape:
            loss = masked_cross_entropy(targets, logits, gamma=gamma)
        gradient = tape.gradient(loss, logits).numpy()
        assert gradient[0, 1] == 0.0
        assert gradient[1, 0] == 0.0
        assert gradient[0, 0] < 0 < gradient[1, 1]


def test_nothing_known_is_zero_and_has_no_nan_gradient() -> None:
    logits = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        loss = masked_cross_entropy(tf.constant([[NAN, NAN]]), logits)
    assert float(loss.numpy()) == 0.0
    assert tape.gradient(loss, logits).numpy().tolist() == [[0.0, 0.0]]


def test_gamma_zero_is_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8, 3)).astype("float32")
    targets = (rng.random((8, 3)) < 0.5).astype("float32")
    expected = float(
        tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)).numpy()
    )
    assert value(targets.tolist(), logits.tolist(), gamma=0.0) == pytest.approx(expected, rel=1e-6)
