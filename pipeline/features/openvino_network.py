"""A backbone computed by OpenVINO on the processor, instead of by TensorFlow.

An extra. OpenVINO fuses a network's operations and keeps its maps in the order that the processor's
kernels read, which makes networks of many small steps, as of depthwise convolutions, about twice as
fast; large convolutions are the same kernels in both (``python -m benchmarks.rates``).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import runtime
from pipeline.errors import require_extra
from pipeline.features.extract import FEW, batch_size, padded

PACKAGE = "openvino"
HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""Precisions to compute in; by itself OpenVINO takes what the processor is fastest in."""


def installed() -> bool:
    """Whether the package is there."""
    return find_spec(PACKAGE) is not None


def check_installed() -> None:
    """Raise a `PipelineError` that says what to install where the package is not there."""
    require_extra(
        *("openvino", {PACKAGE: PACKAGE}),
        "params.yaml: backbone.runtime: got 'openvino', which needs",
        instead="take auto or keras",
    )


def chosen(requested: str, precision: str, gains: bool, local: bool) -> bool:
    """Whether OpenVINO computes the features.

    The choice rests on the processor and the network alone and not on a trial, which would come out
    otherwise on a busy machine: features must have the same bytes again.

    Parameters
    ----------
    requested : ``auto``, ``keras`` or ``openvino``.
    precision : to compute in, see `runtime.precision`; OpenVINO is for float32 and, where the
        processor has instructions for it, bfloat16.
    gains : whether the network is faster by it.
    local : whether this machine computes, and not a cluster.
    """
    if requested != "auto":
        return requested == PACKAGE
    computes = precision == "float32" or (
        precision == "bfloat16" and runtime.processor_has_bfloat16()
    )
    return gains and computes and runtime.device() == "cpu" and local and installed()


def circumstances() -> dict[str, str]:
    """What decides over the features beside the backbone: code and version."""
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return {"converted": code, PACKAGE: version(PACKAGE)}


def quiet() -> Any:
    """The package, imported without asking the network whether it may count its users."""
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
    import openvino

    return openvino


def converted(model: Any, batch: int) -> Any:
    """``model`` as an OpenVINO network for float32 images [batch, h, w, 3].

    Parameters
    ----------
    model : keras.Model in float32, images [B, h, w, 3] with values 0 to 255 -> map [B, h', w', C].
    """
    import tensorflow as tf

    shape = (batch, *model.input_shape[1:])
    images = tf.TensorSpec(shape, tf.float32)
    graph = tf.function(lambda x: model(x, training=False), autograph=False)
    network = quiet().convert_model(graph.get_concrete_function(images))
    network.reshape(list(shape))
    return network


def of_bytes(network: Any) -> Any:
    """``network`` with images of uint8 instead of float32."""
    prepared = quiet().preprocess.PrePostProcessor(network)
    prepared.input().tensor().set_element_type(quiet().Type.u8)
    return prepared.build()


def encoder(model: Any, precision: str = "float32") -> Encoder:
    """``model``, as of `converted`, computed in one of `HINTS`."""
    size = tuple(model.input_shape[1:3])
    settings = {"INFERENCE_PRECISION_HINT": HINTS[precision]}
    return Encoder(of_bytes(converted(model, batch_size(size))), settings=settings)


class Encoder:
    """An OpenVINO network, called as `pipeline.features.extract.Encoder` is.

    Parameters
    ----------
    network : images uint8 [B, h, w, 3] -> map [B, h', w', C].
    few : see `extract.shapes`.
    settings : of OpenVINO's processor plugin.
    """

    def __init__(self, network: Any, few: bool = False, settings: Mapping[str, str] | None = None):
        self._core = quiet().Core()
        self._network = network
        self._settings = {"PERFORMANCE_HINT": "LATENCY", **(settings or {})}
        self.batch, *size, _ = network.input().shape
        self.image_size = tuple(size)
        self.map_shape: tuple[int, int, int] = tuple(network.output().shape[1:])
        self._shapes = (*(step for step in FEW if few and step < self.batch), self.batch)
        self._compiled: dict[int, Any] = {}
        self._compiling = threading.Lock()
        self._own = threading.local()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, 3], n at most ``batch`` -> float32 [n, h', w', C]."""
        maps = np.empty((len(images), *self.map_shape), dtype=np.float32)
        for where, some in padded(images, self._shapes):
            maps[where] = self._request(len(some)).infer(some)[0][: where.stop - where.start]
        return maps

    def _request(self, step: int) -> Any:
        """What computes ``step`` pictures; it serves one thread at a time."""
        own: dict[int, Any] = vars(self._own).setdefault("requests", {})
        if step not in own:
            with self._compiling:
                if step not in self._compiled:
                    network = self._network.clone()
                    network.reshape([step, *self.image_size, 3])
                    self._compiled[step] = self._core.compile_model(network, "CPU", self._settings)
            own[step] = self._compiled[step].create_infer_request()
        return own[step]
