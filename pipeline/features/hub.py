"""Backbones of Keras Hub (DINOv2, DINOv3, SigLIP, CLIP, ViT, ...), by a preset's name or folder.

Importing this module imports neither TensorFlow nor Keras Hub.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import PipelineError, one_line, require_extra

PACKAGES = {"keras_hub": "keras-hub"}
PLAIN = (bool, int, float, str, type(None))
"""What a network is described by, singly or in lists."""


@dataclass(frozen=True)
class Preset:
    """A preset; what else is known of it as of `backbones.Backbone`.

    preset : as ``keras_hub.models.Backbone.from_preset`` takes it.
    architecture
        JSON of the network's class and configuration and of its image converter's scale and offset;
        empty before the preset is read.
    """

    preset: str
    architecture: str = ""
    preprocessing: str = "as the preset's image converter does it"
    bfloat16: bool = True
    least_side: int = 32
    pretrained: bool = True
    licence: str = "the preset's own"

    @property
    def weights_file(self) -> str:  # noqa: D102
        return f"save it with keras_hub.models.Backbone.from_preset({self.preset!r})"

    def check_installed(self, weights: str) -> None:
        """Raise a `PipelineError` where Keras Hub is not installed."""
        require_extra(
            "hub", PACKAGES, f"params.yaml: backbone.name: hub:{self.preset}: not installed:"
        )

    def layers(self, images: Any, weights: str | None) -> tuple[Any, Any]:
        """The image encoder, a keras.Model, and its map [B, h', w', C] of ``images``, as of
        `backbones.Backbone.layers`.

        Tokens that stand for no part of the picture (class, registers) are left out; an encoder
        that pools by itself (SigLIP) gives a map of 1 x 1.

        Raises
        ------
        PipelineError
            If there is no such preset or it can't be downloaded, it encodes no images, or it can't
            take that size.
        """
        self.check_installed("")
        size: tuple[int, int] = tuple(images.shape[1:3])
        if self.architecture:
            described = json.loads(self.architecture)
            network = _make(described, size)
        else:
            network = self._published(size, weights == "imagenet")
            described = self._describe(network)
        scale, offset = (described[key] for key in ("scale", "offset"))
        samples = images * 1.0 if scale is None else images * _of_channels(scale)
        samples = samples if offset is None else samples + _of_channels(offset)
        if isinstance(network.input, Mapping):
            samples = dict.fromkeys(network.input, samples)
        maps = _on_grid(network(samples), network, size)
        network.architecture = json.dumps(described, indent=2) + "\n"
        return network, maps

    def _published(self, size: tuple[int, int], weights: bool) -> Any:
        """The preset's encoder for that size."""
        encoder = self._read(load_weights=False)
        own = tuple(encoder.image_shape[:2])
        if own in (size, (None, None)):
            return self._read(load_weights=True) if weights else encoder
        try:
            encoder = self._read(load_weights=weights, image_shape=(*size, 3))
            if tuple(encoder.image_shape[:2]) != size:
                raise PipelineError("its encoder keeps its own size")
        except PipelineError as error:
            raise PipelineError(
                f"params.yaml: image_size: got {list(size)}, which hub:{self.preset} can't take; "
                f"expected {list(own)}, its own ({error})"
            ) from error
        return encoder

    def _read(self, **options: Any) -> Any:
        """What encodes images in the preset."""
        import keras_hub

        name = f"params.yaml: backbone.name: hub:{self.preset}"
        try:
            whole = keras_hub.models.Backbone.from_preset(self.preset, dtype="float32", **options)
        except Exception as error:  # each host's client, and Keras, raise kinds of their own
            raise PipelineError(
                f"{name}: can't be had ({one_line(error)[:300]}); expected a preset of Keras Hub "
                "that can be downloaded here, or a preset's folder; where hosts of models are "
                "blocked, the package registry has the weights of backbone.name=efficientnet_lite0"
            ) from error
        encoder = getattr(whole, "vision_encoder", whole)
        if not hasattr(encoder, "image_shape"):
            raise PipelineError(
                f"{name} is a {type(whole).__name__}, which encodes no images; expected one such "
                "as hub:dinov2_small"
            )
        return encoder

    def _describe(self, network: Any) -> dict[str, Any]:
        import keras
        import keras_hub

        config = {k: v for k, v in network.get_config().items() if k not in ("dtype", "trainable")}
        try:
            converter = keras_hub.layers.ImageConverter.from_preset(self.preset)
            scale, offset = converter.scale, converter.offset
        except (FileNotFoundError, ValueError):
            # A folder may have a network alone; its own layers then take 0 to 255, or are told so
            # by nobody.
            scale, offset = None, None
        return {
            "class": keras.saving.get_registered_name(type(network)),
            "config": config,
            "scale": scale,
            "offset": offset,
        }


def _make(described: Mapping[str, Any], size: tuple[int, int]) -> Any:
    """The network of an architecture; nothing is made but Keras Hub's own classes, of numbers and
    texts."""
    import keras
    import keras_hub

    kind = keras.saving.get_registered_object(str(described["class"]))
    config = described["config"]
    plain = all(
        isinstance(one, PLAIN)
        for value in config.values()
        for one in (value if isinstance(value, list) else [value])
    )
    if not (isinstance(kind, type) and issubclass(kind, keras_hub.models.Backbone) and plain):
        raise PipelineError(
            f"backbone.architecture.json: got class {described['class']!r}, expected an image "
            "encoder of Keras Hub described by numbers and texts; run `dvc repro -f backbone`"
        )
    made: Any = kind
    return made.from_config({**config, "dtype": keras.config.dtype_policy()})


def _of_channels(value: Any) -> Any:
    """A number, or three of them, as float32 that goes with [B, h, w, 3]."""
    import numpy as np

    return np.asarray(value, dtype=np.float32)


def _on_grid(out: Any, network: Any, size: tuple[int, int]) -> Any:
    """The map [B, h', w', C] of a network's output: tokens [B, n, C], pooled [B, C], or a map."""
    import keras

    if not keras.backend.is_keras_tensor(out) or len(out.shape) not in (2, 3, 4):
        raise PipelineError(
            f"params.yaml: backbone.name: a {type(network).__name__} gives several tensors; "
            "expected a preset that gives one, such as hub:dinov2_small"
        )
    if len(out.shape) == 4:
        return out
    channels = out.shape[-1]
    if len(out.shape) == 2:
        return keras.layers.Reshape((1, 1, channels), name="map")(out)
    patch = network.patch_size
    sides = (patch, patch) if isinstance(patch, int) else tuple(patch)
    rows, columns = (length // side for length, side in zip(size, sides, strict=True))
    return keras.layers.Reshape((rows, columns, channels), name="map")(out[:, -rows * columns :, :])
