from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipeline.features.store import FeatureStore
from pipeline.training import heads

CONV = heads.HeadConfig("conv", (4, 3, 5), outputs=2, dropout=0.3)
DENSE = heads.HeadConfig("dense", (4, 3, 5), outputs=2, dropout=0.3, units=7)
LINEAR = heads.HeadConfig("linear", (5,), outputs=2, dropout=0.0)
UNIT = (np.zeros(5, "float32"), np.ones(5, "float32"))


@pytest.mark.parametrize("config", [CONV, DENSE, LINEAR])
def test_shapes_and_json(config: heads.HeadConfig) -> None:
    head = heads.build(config)
    assert head.output_shape == (None, 2)
    assert head(np.zeros((3, *config.input_shape), "float32")).dtype == "float32"
    content = json.loads(json.dumps(asdict(config)))
    assert TypeAdapter(heads.HeadConfig).validate_python(content) == config


@pytest.mark.parametrize("config", [CONV, DENSE, LINEAR])
def test_logits_are_scaled_and_shifted_by_the_last_layer(config: heads.HeadConfig) -> None:
    head = heads.build(config)
    heads.reset(head, (1,), UNIT, start=np.array([-2.0, 0.5]))
    x = np.random.default_rng(0).normal(size=(3, *config.input_shape)).astype("float32")
    before = head(x).numpy()
    slope, shift = np.array([2.0, 0.0]), np.array([1.0, -3.0])
    heads.transform_logits(head, slope, shift)
    np.testing.assert_allclose(head(x).numpy(), before * slope + shift, atol=1e-5)


def test_a_linear_head_starts_at_what_it_is_told() -> None:
    head = heads.build(LINEAR)
    heads.reset(head, (1,), UNIT, start=np.array([-2.0, 0.5]))
    np.testing.assert_allclose(head(np.ones((2, 5), "float32")).numpy(), [[-2.0, 0.5]] * 2)


@pytest.mark.parametrize("config", [CONV, DENSE])
def test_a_reset_head_is_as_new(config: heads.HeadConfig) -> None:
    head, again = heads.build(config), heads.build(config)
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


@pytest.mark.parametrize("config", [CONV, DENSE])
def test_standardises_with_the_moments_given(config: heads.HeadConfig) -> None:
    head = heads.build(config)
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


@pytest.mark.parametrize("config", [CONV, DENSE])
def test_files_are_byte_stable_and_load(tmp_path: Path, config: heads.HeadConfig) -> None:
    x = np.random.default_rng(0).normal(size=(6, 4, 3, 5)).astype("float32")
    for name in ("one", "two"):
        head = heads.build(config)
        heads.reset(head, (9,), UNIT)
        heads.save(head, tmp_path / f"{name}.weights.h5")
    one, two = tmp_path / "one.weights.h5", tmp_path / "two.weights.h5"
    assert one.read_bytes() == two.read_bytes()
    assert (heads.load(config, one)(x).numpy() == head(x).numpy()).all()


def test_configure_and_features_by_kind(make_store: Callable[..., FeatureStore]) -> None:
    maps = np.random.default_rng(0).normal(size=(1, 4, 4, 3, 5))
    store = make_store(maps)
    rows = np.array([2, 3])
    for kind, shape in (("conv", (4, 3, 5)), ("dense", (4, 3, 5)), ("linear", (5,))):
        config = heads.configure(kind, store, outputs=1, dropout=0.1)
        assert config == heads.HeadConfig(kind, shape, 1, 0.1)
        assert heads.read_features(kind, store, rows).shape == (2, *shape)
        assert heads.moments(kind, store, rows)[0].shape == (5,)
    assert heads.configure("dense", store, 1, 0.1, 9).units == 9


def test_dense_sees_where_on_the_map_something_is() -> None:
    head = heads.build(DENSE)
    heads.reset(head, (1,), UNIT)
    hidden, logits = head.get_layer("hidden"), head.get_layer("logits")
    assert [tuple(w.shape) for w in hidden.weights] == [(4 * 3 * 5, 7), (7,)]
    assert [tuple(w.shape) for w in logits.weights] == [(7, 2), (2,)]
    x = np.random.default_rng(0).normal(size=(1, 4, 3, 5)).astype("float32")
    assert (head(x).numpy() != head(x[:, ::-1]).numpy()).any()
    kernel, bias = hidden.get_weights()
    active = np.maximum(x.reshape(1, -1) @ kernel + bias, 0)
    kernel, bias = logits.get_weights()
    assert head(x).numpy() == pytest.approx(active @ kernel + bias, abs=1e-5)
    limit = np.sqrt(6 / (4 * 3 * 5 + 7))
    assert limit * 0.9 < np.abs(hidden.get_weights()[0]).max() <= limit


def test_a_head_of_an_earlier_version_has_the_units_of_then() -> None:
    content = json.loads(json.dumps(asdict(CONV)))
    del content["units"]
    assert TypeAdapter(heads.HeadConfig).validate_python(content) == CONV


@pytest.mark.parametrize("config", [CONV, DENSE, LINEAR])
def test_counts_leave_out_the_moments(config: heads.HeadConfig) -> None:
    every, fitted = heads.counts(heads.build(config))
    assert every == fitted + 2 * 5
    if config is DENSE:
        assert fitted == (60 + 1) * 7 + (7 + 1) * 2
