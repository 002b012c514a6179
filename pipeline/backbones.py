"""The registry of frozen backbones: a Keras application, its preprocessing and its weights.

Importing this module does not import TensorFlow; building a backbone does.
"""

from __future__ import annotations

import importlib
import socket
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import PipelineError

DOWNLOAD_TIMEOUT = 20.0
"""Seconds without an answer after which the download of ImageNet weights counts as impossible."""


class DownloadError(Exception):
    """The ImageNet weights can't be downloaded."""


@dataclass(frozen=True)
class Application:
    """A backbone from `keras.applications`.

    module, constructor : its module there and the constructor's name.
    preprocessing : what its ``preprocess_input`` does, in words, for the model cards.
    """

    module: str
    constructor: str
    preprocessing: str


REGISTRY: dict[str, Application] = {
    "vgg19": Application("vgg19", "VGG19", "BGR order, ImageNet channel means subtracted"),
    "mobilenet_v2": Application("mobilenet_v2", "MobileNetV2", "scaled to [-1, 1]"),
}


def application(name: str) -> Application:
    """The registry's entry; a `PipelineError` lists the valid names for an unknown one."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise PipelineError(
            f"params.yaml: backbone.name: got {name!r}, expected one of {', '.join(REGISTRY)}"
        ) from None


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

    entry = application(name)
    module = importlib.import_module(f"keras.applications.{entry.module}")
    network = getattr(module, entry.constructor)(
        include_top=False, weights=weights, input_shape=(*image_size, 3)
    )
    network.trainable = False
    images = keras.Input((*image_size, 3), dtype="float32", name="images")
    # A new tensor, since some applications preprocess in place.
    model = keras.Model(images, network(module.preprocess_input(images * 1.0)), name=name)
    model.network = network
    return model


def download_imagenet(name: str, image_size: tuple[int, int]) -> Any:
    """The backbone with ImageNet weights from Keras' cache or download.

    Raises
    ------
    DownloadError
        If they are neither cached nor can be fetched; the message says why.
    """
    earlier = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        return build(name, image_size, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception when a download fails
        if type(error) is not Exception and not isinstance(error, (OSError, ValueError)):
            raise
        raise DownloadError(" ".join(str(error).split())) from error
    finally:
        socket.setdefaulttimeout(earlier)


def load_weights(model: Any, path: str | Path) -> None:
    """Load a Keras weights file (``.weights.h5``, or an application's own ``.h5``).

    Raises
    ------
    PipelineError
        If there is no such file, it is no weights file, or its arrays don't fit the backbone.
    """
    if not Path(path).is_file():
        raise PipelineError(
            f"params.yaml: backbone.weights: got {str(path)!r}, expected imagenet, random or the "
            "path of a weights file; there is no such file"
        )
    if not str(path).endswith((".h5", ".hdf5")):
        raise PipelineError(
            f"{path}: not a Keras weights file by its name; expected one that ends in .weights.h5 "
            "or .h5"
        )
    # Keras only warns where a file lacks a layer's weights: what stays NaN was not in the file.
    for variable in model.network.variables:
        variable.assign(np.full(variable.shape, np.nan, dtype=variable.dtype))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.network.load_weights(str(path))
        left = [v.path for v in model.network.variables if np.isnan(v.numpy()).any()]
        if left:
            raise ValueError(f"{len(left)} of its arrays are not in the file, {left[0]} first")
    except Exception as error:  # h5py and Keras raise many kinds for a file that does not fit
        reason = " ".join(str(error).split())[:300]
        raise PipelineError(
            f"{path}: does not fit the backbone {model.name} without its top: {reason}; save it "
            f"with keras.applications.{application(model.name).constructor}(include_top=False)"
            ".save_weights(...)"
        ) from error


def load(
    name: str,
    image_size: tuple[int, int],
    precision: str,
    folder: str | Path = "models/backbone",
) -> Any:
    """The pipeline's own backbone, as stage ``backbone`` left it in ``folder``.

    ``precision`` ``bfloat16`` computes in bfloat16 and keeps the weights in float32 (Keras' policy
    ``mixed_bfloat16``).
    """
    import keras

    earlier = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        model = build(name, image_size)
    finally:
        keras.config.set_dtype_policy(earlier)
    load_weights(model, Path(folder) / "backbone.weights.h5")
    return model


def randomise(model: Any, seed: int) -> None:
    """Fill the kernels with seeded normal values that keep the variance of the signal.

    The standard deviation is sqrt(2 / fan-in) (He et al. 2015, arXiv:1502.01852), biases are 0 and
    batch normalisation is the identity. Each array has a generator of its own, seeded by its name.
    """
    for layer in model.network.layers:
        for variable in layer.weights:
            kind = variable.path.rsplit("/", 1)[-1]
            shape = tuple(variable.shape)
            if "kernel" in kind:
                depthwise = type(layer).__name__ == "DepthwiseConv2D"
                fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
                rng = np.random.default_rng([seed, zlib.crc32(f"{layer.name}/{kind}".encode())])
                value = rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)
            else:
                value = np.ones(shape) if kind in ("gamma", "moving_variance") else np.zeros(shape)
            variable.assign(value.astype("float32"))
