from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.features import backbones
from pipeline.features.weights import randomise

SIZE = (64, 32)


@pytest.mark.parametrize("file", ["params.yaml", "docs/params.md"])
def test_what_users_read_lists_the_registry(root: Path, file: str) -> None:
    text = " ".join((root / file).read_text(encoding="utf-8").replace("#", " ").split())
    assert f" {', '.join(backbones.BACKBONES)}, or a plain one" in text


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
    with pytest.raises(PipelineError, match=r"'vgg91', expected one of vgg19, .*cnn-32-64-128"):
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
    assert fast == ["vgg19", "resnet50", "xception", "cnn-4-8"]
