"""Backbones by name: a Keras application or a plain network, its preprocessing and weights.

Importing this module does not import TensorFlow; building a backbone does.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any

from pipeline.errors import PipelineError

MEANS_SUBTRACTED = "BGR order, ImageNet channel means subtracted"
SCALED = "scaled to [-1, 1]"
STANDARDISED = "standardised by layers of its own"


@dataclass(frozen=True)
class Application:
    """A backbone from `keras.applications`.

    module, constructor : its module there and the constructor's name.
    preprocessing : what is done to the samples before the first layer, in words.
    bfloat16 : whether a processor with bfloat16 instructions is faster in it than in float32; not
        where much of the work is depthwise convolutions (``python -m benchmarks.rates``).
    least_side : pixels that it insists on in height and width.
    pretrained : whether there are ImageNet weights for it.
    """

    module: str
    constructor: str
    preprocessing: str
    bfloat16: bool
    least_side: int = 32
    pretrained: bool = True

    @property
    def weights_file(self) -> str:
        """How to come by a file of weights that fits, in words."""
        made = f"keras.applications.{self.constructor}(include_top=False)"
        return f"save it with {made}.save_weights(...)"

    def layers(self, images: Any, weights: str | None) -> tuple[Any, Any]:
        """The network, a keras.Model, and the samples that it takes of ``images``.

        Parameters
        ----------
        images : symbolic [B, h, w, 3] of values 0 to 255.
        weights : as of `build`.
        """
        module = importlib.import_module(f"keras.applications.{self.module}")
        network = getattr(module, self.constructor)(
            include_top=False, weights=weights, input_shape=tuple(images.shape[1:])
        )
        # A new tensor, since some applications preprocess in place.
        return network, module.preprocess_input(images * 1.0)


@dataclass(frozen=True)
class Plain:
    """Blocks of a 3 x 3 convolution, ReLU and 2 x 2 maximum pooling, with so many channels; what is
    known of it and what it makes as of `Application`."""

    channels: tuple[int, ...]
    preprocessing: str = SCALED
    bfloat16: bool = True
    pretrained: bool = False
    weights_file: str = (
        "take the one that a run with the same backbone.name left in models/backbone"
    )

    @property
    def least_side(self) -> int:  # noqa: D102
        return 1 << len(self.channels)

    def layers(self, images: Any, weights: str | None) -> tuple[Any, Any]:  # noqa: D102
        import keras

        x = samples = keras.Input(tuple(images.shape[1:]), name="samples")
        for number, count in enumerate(self.channels):
            convolve = keras.layers.Conv2D(
                count, 3, padding="same", activation="relu", name=f"block{number}_conv"
            )
            x = keras.layers.MaxPooling2D(2, name=f"block{number}_pool")(convolve(x))
        return keras.Model(samples, x, name="cnn"), images / 127.5 - 1.0


Backbone = Application | Plain
BACKBONES: dict[str, Backbone] = {
    "vgg19": Application("vgg19", "VGG19", MEANS_SUBTRACTED, bfloat16=True),
    "resnet50": Application("resnet50", "ResNet50", MEANS_SUBTRACTED, bfloat16=True),
    "mobilenet": Application("mobilenet", "MobileNet", SCALED, bfloat16=False),
    "mobilenet_v2": Application("mobilenet_v2", "MobileNetV2", SCALED, bfloat16=False),
    "efficientnet_b0": Application("efficientnet", "EfficientNetB0", STANDARDISED, bfloat16=False),
    "xception": Application("xception", "Xception", SCALED, bfloat16=True, least_side=71),
}
"""All but the plain networks, which are made of their names, as `Plain` (32, 64) of cnn-32-64."""
PLAIN = re.compile(r"cnn((?:-[1-9][0-9]{0,3}){1,8})")


def find(name: str) -> Backbone:
    """The backbone of that name, or a `PipelineError` that lists the valid ones."""
    if name in BACKBONES:
        return BACKBONES[name]
    if match := PLAIN.fullmatch(name):
        return Plain(tuple(int(count) for count in match[1].split("-")[1:]))
    raise PipelineError(
        f"params.yaml: backbone.name: got {name!r}, expected one of {', '.join(BACKBONES)}, or "
        "cnn and the channels of 1 to 8 blocks, as cnn-32-64-128"
    )


def check(name: str, image_size: tuple[int, int], weights: str) -> None:
    """Raise a `PipelineError` for an unknown backbone, for pictures that are too small for it, and
    for weights that can't exist."""
    backbone = find(name)
    if min(image_size) < backbone.least_side:
        raise PipelineError(
            f"params.yaml: image_size: got {list(image_size)}, expected at least "
            f"{backbone.least_side} pixels in height and width for backbone.name {name}"
        )
    if weights == "imagenet" and not backbone.pretrained:
        raise PipelineError(
            f"params.yaml: backbone.weights: got 'imagenet', which {name} does not have; expected "
            "random or the path of a weights file"
        )


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
    network, samples = find(name).layers(images, weights)
    network.trainable = False
    model = keras.Model(images, network(samples), name=name)
    model.network = network
    return model
