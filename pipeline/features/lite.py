"""EfficientNet-Lite (Google 2020): no squeeze-and-excite, ReLU6, stem and head of a fixed width.

https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. Its ImageNet
weights come from the package registry, within reach where the hosts of models are blocked.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import fail, require_extra
from pipeline.features import torch_file

STEM, HEAD = 32, 1280
"""Channels of the first and of the last convolution."""
BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Repeats, kernel, stride, expansion and channels of each stage, before they are scaled."""
UNUSED = ("_fc.", "num_batches_tracked")
"""What the files hold beside: the classifier of ImageNet's classes, and counts of steps."""


@dataclass(frozen=True)
class Lite:
    """A member of the family; what else is known of it as of `backbones.Backbone`.

    width, depth : factors of channels and repeats.
    package : the package that holds its weights.
    """

    width: float
    depth: float
    package: str
    preprocessing: str = "less 127, divided by 128"
    bfloat16: bool = False
    least_side: int = 32
    pretrained: bool = True
    licence: str = "Apache-2.0"
    weights_file: str = (
        "take the one that a run with the same backbone.name left in models/backbone"
    )

    def check_installed(self, weights: str) -> None:
        """Raise a `PipelineError` where the package with the weights is wanted and not there."""
        if weights == "imagenet":
            require_extra(
                "lite",
                {self.package.replace("-", "_"): self.package},
                "params.yaml: backbone.weights: imagenet: not installed:",
                "backbone.weights=random",
            )

    def layers(self, images: Any, weights: str | None) -> tuple[Any, Any]:
        """The network and its map, as of `backbones.Backbone.layers`."""
        import keras

        samples = keras.Input(tuple(images.shape[1:]), name="samples")
        network = keras.Model(samples, _layers(samples, self.width, self.depth), name="lite")
        if weights == "imagenet":
            self.check_installed(weights)
            file = weights_of(self.package)
            fill(network, torch_file.read(file), file)
        return network, network((images - 127.0) / 128.0)


def weights_of(package: str) -> Path:
    """The file of weights in an installed package, none of whose code is run.

    Raises
    ------
    PipelineError
        If there isn't exactly one.
    """
    spec = importlib.util.find_spec(package.replace("-", "_"))
    origin = Path(spec.origin) if spec and spec.origin else Path(package)
    files = sorted((origin.parent / "models").glob("*.pth"))
    if len(files) != 1:
        fail(origin.parent, f"{len(files)} files models/*.pth, expected 1; install it again")
    return files[0]


def fill(network: Any, tensors: Mapping[str, np.ndarray], file: str | Path) -> None:
    """Put the tensors of a file into the network's layers, whose names are those in the file.

    Raises
    ------
    PipelineError
        If one is missing, has another shape or type, is not finite, or belongs nowhere.
    """
    left = {name for name in tensors if not any(part in name for part in UNUSED)}
    for layer in network.layers:
        values = []
        for variable in layer.weights:
            kind = variable.path.rsplit("/", 1)[-1]
            name = _name_in_file(layer.name, kind)
            # Height, width, in, out here; out, in, height, width there; depthwise ones in, out
            # exchanged once more.
            order = (2, 3, 1, 0) if "depthwise" not in layer.name else (2, 3, 0, 1)
            there = tensors.get(name)
            if there is None:
                fail(file, f"{name} is not in it; install its package again")
            value = np.transpose(there, order) if kind == "kernel" and there.ndim == 4 else there
            if value.shape != tuple(variable.shape) or value.dtype != np.float32:
                fail(
                    file,
                    f"{name} is {there.dtype} of shape {list(there.shape)}, which the network has "
                    "no place for; install its package again",
                )
            if not np.isfinite(value).all():
                fail(file, f"{name} is not finite; install its package again")
            left.discard(name)
            values.append(value)
        layer.set_weights(values)
    if left:
        fail(file, f"{min(left)} belongs nowhere in the network; install its package again")


def _name_in_file(layer: str, kind: str) -> str:
    kinds = {
        "kernel": "weight",
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    # A layer "block3-bn1" is "_blocks.3._bn1" there.
    block, _, own = layer.rpartition("-")
    within = f"_blocks.{block.removeprefix('block')}." if block else ""
    return f"{within}_{own}.{kinds[kind]}"


def _layers(x: Any, width: float, depth: float) -> Any:
    import keras

    def normalised(x: Any, name: str, active: bool = True) -> Any:
        x = keras.layers.BatchNormalization(epsilon=1e-3, name=name)(x)
        return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if active else x

    def convolved(x: Any, channels: int, name: str, size: int = 1, stride: int = 1) -> Any:
        return keras.layers.Conv2D(
            channels, size, stride, padding="same", use_bias=False, name=name
        )(x)

    x = normalised(convolved(x, STEM, "conv_stem", 3, 2), "bn0")
    number = 0
    for stage, (repeats, size, first_stride, expansion, channels) in enumerate(BLOCKS):
        out = _rounded(channels * width)
        fixed = stage in (0, len(BLOCKS) - 1)
        for repeat in range(repeats if fixed else math.ceil(repeats * depth)):
            at, stride, earlier = f"block{number}", 1 if repeat else first_stride, x
            if expansion > 1:
                x = convolved(x, x.shape[-1] * expansion, f"{at}-expand_conv")
                x = normalised(x, f"{at}-bn0")
            x = keras.layers.DepthwiseConv2D(
                size, stride, padding="same", use_bias=False, name=f"{at}-depthwise_conv"
            )(x)
            x = normalised(x, f"{at}-bn1")
            x = normalised(convolved(x, out, f"{at}-project_conv"), f"{at}-bn2", active=False)
            if repeat:
                x = keras.layers.Add(name=f"{at}-add")([x, earlier])
            number += 1
    return normalised(convolved(x, HEAD, "conv_head"), "bn1")


def _rounded(channels: float) -> int:
    """Channels as a multiple of 8, and no less than nine tenths of what was asked for."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
