from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline import heads
from pipeline.features import FeatureStore

CONV = heads.HeadConfig("conv", (4, 3, 5), outputs=2, dropout=0.3)
LINEAR = heads.HeadConfig("linear", (5,), outputs=2, dropout=0.0)
UNIT = (np.zeros(5, "float32"), np.ones(5, "float32"))


@pytest.mark.parametrize("config", [CONV, LINEAR])
def test_shapes_and_json(config: heads.HeadConfig) -> None:
    head = heads.build(config)
    assert head.output_shape == (None, 2)
    assert head(np.zeros((3, *config.input_shape), "float32")).dtype == "float32"
    assert heads.HeadConfig.from_json(config.to_json()) == config


def test_a_reset_head_is_as_new() -> None:
    head, again = heads.build(CONV), heads.build(CONV)
    x = np.random.default_rng(0).normal(size=(6, 4, 3, 5)).astype("float32")
    heads.reset(head, (1, 2), UNIT)
    first, dropped = head(x).numpy(), head(x, training=True).numpy()
    head.set_weights([w + 1 for w in head.get_weights()])
    heads.reset(head, (1, 2), UNIT)
    heads.reset(again, (1, 2), UNIT)
    assert (head(x).numpy() == first).all()
    assert (again(x).numpy() == first).all()
    assert (again(x, training=True).numpy() == dropped).all()
    heads.reset(again, (1, 3), UNIT)
    assert not (again(x).numpy() == first).any()


def test_standardises_with_the_moments_given() -> None:
    head = heads.build(CONV)
    x = np.random.default_rng(0).normal(size=(6, 4, 3, 5)).astype("float32")
    heads.reset(head, (1,), UNIT)
    plain = head(x).numpy()
    mean, variance = np.arange(5, dtype="float32"), np.full(5, 4.0, "float32")
    heads.reset(head, (1,), (mean, variance))
    assert head(x * 2 + mean).numpy() == pytest.approx(plain, abs=1e-4)
    heads.reset(head, (1,), (mean, np.zeros(5, "float32")))
    assert np.isfinite(head(x).numpy()).all(), "a dead channel blew up"


def test_moments_are_not_trained() -> None:
    head = heads.build(CONV)
    names = [variable.path for variable in head.trainable_variables]
    assert len(names) == 6
    assert not [name for name in names if "standardise" in name]


def test_shift_moves_the_logits() -> None:
    head = heads.build(LINEAR)
    heads.reset(head, (1,), UNIT)
    x = np.ones((1, 5), "float32")
    before = head(x).numpy()
    heads.shift_logits(head, np.array([1.5, -0.5]))
    assert head(x).numpy() - before == pytest.approx(np.array([[1.5, -0.5]]))


def test_files_are_byte_stable_and_load(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(6, 4, 3, 5)).astype("float32")
    for name in ("one", "two"):
        head = heads.build(CONV)
        heads.reset(head, (9,), UNIT)
        heads.save(head, tmp_path / f"{name}.weights.h5")
    one, two = tmp_path / "one.weights.h5", tmp_path / "two.weights.h5"
    assert one.read_bytes() == two.read_bytes()
    assert (heads.load(CONV, one)(x).numpy() == head(x).numpy()).all()


def test_configure_and_features_by_kind(make_store: Callable[..., FeatureStore]) -> None:
    maps = np.random.default_rng(0).normal(size=(1, 4, 4, 3, 5))
    store = make_store(maps)
    rows = np.array([2, 3])
    for kind, shape in (("conv", (4, 3, 5)), ("linear", (5,))):
        config = heads.configure(kind, store, outputs=1, dropout=0.1)
        assert config == heads.HeadConfig(kind, shape, 1, 0.1)
        assert heads.read_features(kind, store, rows).shape == (2, *shape)
        assert heads.moments(kind, store, rows)[0].shape == (5,)
