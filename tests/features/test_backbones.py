from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.features import backbones
from pipeline.features.weights import randomise

SIZE = (64, 32)


def test_the_page_of_params_lists_the_registry(root: Path) -> None:
    text = (root / "docs/params.md").read_text(encoding="utf-8")
    assert [name for name in backbones.BACKBONES if f"| `{name}` |" not in text] == []


def test_every_application_of_keras_is_in_the_registry() -> None:
    import keras

    networks = {name for name in dir(keras.applications) if name[0].isupper()}
    registered = {getattr(one, "constructor", "") for one in backbones.BACKBONES.values()}
    assert networks == registered - {""}


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_a_size_that_is_too_small_is_refused(name: str) -> None:
    least = backbones.find(name).least_side
    backbones.check(name, (least, least), "random")
    with pytest.raises(PipelineError, match=f"expected at least {least} pixels"):
        backbones.check(name, (least, least - 1), "random")


@pytest.mark.slow
@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_every_name_embeds_ten_pictures_at_its_least_size(name: str) -> None:
    import keras

    keras.backend.clear_session()
    least = backbones.find(name).least_side
    model = backbones.build(name, (least, least))
    randomise(model, seed=0)
    pictures = np.random.default_rng(0).uniform(0, 255, (10, least, least, 3)).astype("float32")
    maps = model(pictures).numpy()
    assert maps.shape == (10, *model.output_shape[1:])
    assert np.isfinite(maps).all()
    assert maps.std(axis=0).max() > 0, "all pictures look the same to it"


@pytest.mark.parametrize(
    ("name", "shape"), [("vgg19", (2, 1, 512)), ("mobilenet_v2", (2, 1, 1280))]
)
def test_registry_builds_frozen_networks(name: str, shape: tuple[int, ...]) -> None:
    model = backbones.build(name, SIZE)
    assert model.output_shape == (None, *shape)
    assert model.trainable_variables == []


def test_preprocessing_is_part_of_the_model() -> None:
    """VGG19 wants BGR without the ImageNet means; a grey-mean image is then exactly zero."""
    model = backbones.build("vgg19", (32, 32))
    randomise(model, seed=0)
    means = np.full((1, 32, 32, 3), [123.68, 116.779, 103.939], dtype="float32")
    assert np.abs(model(means).numpy()).max() < 1e-3
    assert np.abs(model(means + 5).numpy()).max() > 0.1


def test_unknown_name_lists_the_valid_ones() -> None:
    with pytest.raises(
        PipelineError, match=r"'vgg91', expected one of vgg16, .*cnn-32-64-128.*'vgg19'"
    ):
        backbones.check("vgg91", (64, 64), "random")


@pytest.mark.parametrize(
    ("name", "size", "weights", "expected"),
    [
        ("cnn-32-", (64, 64), "random", "got 'cnn-32-', expected one of"),
        ("cnn-0", (64, 64), "random", "got 'cnn-0', expected one of"),
        ("cnn-32-64", (64, 64), "imagenet", "got 'imagenet', which cnn-32-64 does not have"),
        ("cnn-8-8-8-8-8-8-8", (96, 64), "random", "expected at least 128 pixels"),
        ("xception", (70, 96), "imagenet", "expected at least 71 pixels"),
    ],
)
def test_what_a_backbone_can_not_be(
    name: str, size: tuple[int, int], weights: str, expected: str
) -> None:
    with pytest.raises(PipelineError, match=expected):
        backbones.check(name, size, weights)


def test_a_plain_network_halves_the_map_with_each_block() -> None:
    backbones.check("cnn-4-6-8", SIZE, "random")
    model = backbones.build("cnn-4-6-8", SIZE)
    assert model.output_shape == (None, SIZE[0] // 8, SIZE[1] // 8, 8)
    randomise(model, seed=1)
    grey = np.full((1, *SIZE, 3), 127.5, dtype="float32")
    assert np.abs(model(grey).numpy()).max() == 0, "the samples are not centred"


def test_plain_networks_and_large_convolutions_gain_by_bfloat16() -> None:
    names = (*backbones.BACKBONES, "cnn-4-8")
    fast = [name for name in names if backbones.find(name).bfloat16]
    slow = ("mobilenet", "efficientnet", "convnext", "nasnet")
    assert fast == [name for name in names if not name.startswith(slow)]


def test_without_the_extra_of_keras_hub_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PipelineError, match=r"hub:x: not installed: keras-hub;.*'\.\[hub\]'"):
        backbones.check("hub:x", SIZE, "random")
