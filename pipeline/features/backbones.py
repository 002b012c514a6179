"""Backbones by name: a Keras application or a plain network, its preprocessing and weights.

Importing this module does not import TensorFlow; building a backbone does.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import PipelineError


@dataclass(frozen=True)
class Application:
    """A backbone from `keras.applications`.

    module, constructor : its module there and the constructor's name.
    preprocessing : what its ``preprocess_input`` does, in words, for the model cards.
    bfloat16 : whether a processor with bfloat16 instructions is faster in it than in float32; not
        where much of the work is depthwise convolutions (``python -m benchmarks.rates``).
    """

    module: str
    constructor: str
    preprocessing: str
    bfloat16: bool


MEANS_SUBTRACTED = "BGR order, ImageNet channel means subtracted"
SCALED = "scaled to [-1, 1]"
STANDARDISED = "standardised by layers of its own"
REGISTRY: dict[str, Application] = {
    "vgg19": Application("vgg19", "VGG19", MEANS_SUBTRACTED, bfloat16=True),
    "resnet50": Application("resnet50", "ResNet50", MEANS_SUBTRACTED, bfloat16=True),
    "mobilenet": Application("mobilenet", "MobileNet", SCALED, bfloat16=False),
    "mobilenet_v2": Application("mobilenet_v2", "MobileNetV2", SCALED, bfloat16=False),
    "efficientnet_b0": Application("efficientnet", "EfficientNetB0", STANDARDISED, bfloat16=False),
    "xception": Application("xception", "Xception", SCALED, bfloat16=True),
}
PLAIN = re.compile(r"cnn((?:-[1-9][0-9]{0,3}){1,8})")
"""A plain convolutional network by its blocks' channels, as ``cnn-32-64-128``."""
MIN_SIDE = {"xception": 71}
"""Pixels in height and width that an application insists on, where more than 32."""


def check(name: str, image_size: tuple[int, int], weights: str) -> None:
    """Raise a `PipelineError` for an unknown backbone, listing the valid names, for pictures that
    are too small for it, and for weights that can't exist."""
    plain = PLAIN.fullmatch(name)
    if name not in REGISTRY and not plain:
        raise PipelineError(
            f"params.yaml: backbone.name: got {name!r}, expected one of {', '.join(REGISTRY)}, or "
            "cnn and the channels of 1 to 8 blocks, as cnn-32-64-128"
        )
    least = 2 ** len(blocks(name)) if plain else MIN_SIDE.get(name, 32)
    if min(image_size) < least:
        raise PipelineError(
            f"params.yaml: image_size: got {list(image_size)}, expected at least {least} pixels "
            f"in height and width for backbone.name {name}"
        )
    if plain and weights == "imagenet":
        raise PipelineError(
            f"params.yaml: backbone.weights: got 'imagenet', which {name} does not have; expected "
            "random or the path of a weights file"
        )


def blocks(name: str) -> list[int]:
    """Channels of each block of a plain network; none for an application."""
    match = PLAIN.fullmatch(name)
    return [int(count) for count in match[1].split("-")[1:]] if match else []


def preprocessing(name: str) -> str:
    """What is done to the samples before the first layer, in words."""
    return SCALED if blocks(name) else REGISTRY[name].preprocessing


def fast_in_bfloat16(name: str) -> bool:
    """See `Application`; plain networks are."""
    return name not in REGISTRY or REGISTRY[name].bfloat16


def build(name: str, image_size: tuple[int, int], weights: str | None = None) -> Any:
    """The frozen network without its top: uint8-valued images [B, h, w, 3] -> map [B, h', w', C].

    The network's own preprocessing is part of the model, so images go in as they are decoded.

    Parameters
    ----------
    image_size
        (height, width) in pixels.
    weights
        None leaves Keras' initial values; ``"imagenet"`` lets Keras download and cache them.
    """
    import keras

    images = keras.Input((*image_size, 3), dtype="float32", name="images")
    if plain := blocks(name):
        network, samples = _plain(image_size, plain), images / 127.5 - 1.0
    else:
        entry = REGISTRY[name]
        module = importlib.import_module(f"keras.applications.{entry.module}")
        network = getattr(module, entry.constructor)(
            include_top=False, weights=weights, input_shape=(*image_size, 3)
        )
        # A new tensor, since some applications preprocess in place.
        samples = module.preprocess_input(images * 1.0)
    network.trainable = False
    model = keras.Model(images, network(samples), name=name)
    model.network = network
    return model


def _plain(image_size: tuple[int, int], channels: Sequence[int]) -> Any:
    """Blocks of a 3 x 3 convolution, ReLU and 2 x 2 maximum pooling."""
    import keras

    images = keras.Input((*image_size, 3), name="samples")
    x = images
    for number, count in enumerate(channels):
        convolve = keras.layers.Conv2D(
            count, 3, padding="same", activation="relu", name=f"block{number}_conv"
        )
        x = keras.layers.MaxPooling2D(2, name=f"block{number}_pool")(convolve(x))
    return keras.Model(images, x, name="cnn")
