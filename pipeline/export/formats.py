"""The formats that a classifier can be exported to: how each is written, and run to check it."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.export.graph import INPUT, OUTPUT

Run = Callable[[np.ndarray], np.ndarray]
"""Pictures uint8 [n, H, W, 3] -> probabilities float32 [n, A]."""
OPSET = 18


@dataclass(frozen=True)
class Format:
    """A format by its files and functions.

    file : what `write` makes in the export's folder, a file or a folder.
    packages : name that is imported -> name of the package, of the extra ``export``.
    any_size : whether it takes pictures of any height and width, see `graph.module`.
    write : (module, path of ``file``, metadata) writes it.
    open : (path of ``file``) makes a function of it, run by the format's own runtime.
    """

    file: str
    packages: Mapping[str, str]
    any_size: bool
    write: Callable[[Any, Path, Mapping[str, Any]], None]
    open: Callable[[Path], Run]


def write_onnx(module: Any, path: Path, metadata: Mapping[str, Any]) -> None:
    """ONNX; ``metadata`` goes into its ``metadata_props``, what is no text as JSON."""
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    call = _constant(module).__call__
    proto, _ = tf2onnx.convert.from_function(
        call, input_signature=call.input_signature, opset=OPSET
    )
    for tensor, name in ((proto.graph.input[0], INPUT), (proto.graph.output[0], OUTPUT)):
        if tensor.name != name:
            raise RuntimeError(f"tf2onnx called a tensor {tensor.name!r} in place of {name!r}")
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    onnx.helper.set_model_props(proto, texts)
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


def open_onnx(path: Path) -> Run:
    """By onnxruntime, on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda pictures: np.asarray(session.run([OUTPUT], {INPUT: pictures})[0])


def write_saved_model(module: Any, path: Path, metadata: Mapping[str, Any]) -> None:
    """TensorFlow's SavedModel; ``metadata`` goes into its ``assets.extra``."""
    import tensorflow as tf

    # The gradient of swish would drag tensors of another graph in, and nobody trains an export.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    signatures = {"serving_default": module.__call__}
    tf.saved_model.save(module, str(path), signatures=signatures, options=options)
    extra = path / "assets.extra"
    extra.mkdir()
    text = json.dumps(dict(metadata), indent=2, ensure_ascii=False)
    (extra / "metadata.json").write_text(text + "\n", encoding="utf-8")


def open_saved_model(path: Path) -> Run:
    """By TensorFlow."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    call = loaded.signatures["serving_default"]

    def run(pictures: np.ndarray) -> np.ndarray:
        # The signature itself keeps no reference to the variables that it reads.
        assert loaded is not None
        return np.asarray(call(**{INPUT: tf.constant(pictures)})[OUTPUT])

    return run


def write_litert(module: Any, path: Path, metadata: Mapping[str, Any]) -> None:
    """LiteRT (TensorFlow Lite), float32, with built-in operations alone."""
    import tensorflow as tf

    with _quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([_frozen(module)], module)
        path.write_bytes(converter.convert())


def open_litert(path: Path) -> Run:
    """By ai-edge-litert, on the processor."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(pictures: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(given["index"], pictures.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], pictures)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(result["index"]))

    return run


def write_openvino(module: Any, path: Path, metadata: Mapping[str, Any]) -> None:
    """OpenVINO's own format, float32; ``metadata`` goes into its ``rt_info``.

    Of one size: the squeeze, whose order depends on the picture, came out wrong in its runtime.
    """
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(_constant(module), Path(folder) / "saved", {})
        network = openvino.convert_model(Path(folder) / "saved")
    # Where the network lay for a moment is no part of it.
    network.set_rt_info("", ["conversion_parameters", "input_model"])
    network.input(0).get_tensor().set_names({INPUT})
    network.output(0).get_tensor().set_names({OUTPUT})
    for key, value in metadata.items():
        text = value if isinstance(value, str) else json.dumps(value)
        network.set_rt_info(text, ["model_info", key])
    openvino.save_model(network, path, compress_to_fp16=False)


def open_openvino(path: Path) -> Run:
    """By OpenVINO, on the processor, in float32 whatever that is fastest in."""
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda pictures: np.asarray(compiled(pictures)[0])


FORMATS: dict[str, Format] = {
    "onnx": Format(
        file="model.onnx",
        packages={"tf2onnx": "tf2onnx", "onnx": "onnx", "onnxruntime": "onnxruntime"},
        any_size=True,
        write=write_onnx,
        open=open_onnx,
    ),
    "saved_model": Format(
        file="saved_model",
        packages={},
        any_size=True,
        write=write_saved_model,
        open=open_saved_model,
    ),
    "litert": Format(
        file="model.tflite",
        packages={"ai_edge_litert": "ai-edge-litert"},
        any_size=False,
        write=write_litert,
        open=open_litert,
    ),
    "openvino": Format(
        file="openvino.xml",
        packages={"openvino": "openvino"},
        any_size=False,
        write=write_openvino,
        open=open_openvino,
    ),
}
"""Those that ``--to`` names."""


def _frozen(module: Any) -> Any:
    """The module's function with its weights as constants: converters don't find, or don't fill,
    variables of several networks that have one name."""
    from tensorflow.python.framework import convert_to_constants

    concrete = module.__call__.get_concrete_function()
    frozen = convert_to_constants.convert_variables_to_constants_v2
    return frozen(concrete, lower_control_flow=False)


def _constant(module: Any) -> Any:
    """The module with `_frozen` as its function: a constant of the preprocessing, as of VGG and
    ResNet, else counts as one more input."""
    import tensorflow as tf

    frozen, constant = _frozen(module), tf.Module()
    constant.__call__ = tf.function(
        lambda pictures: {OUTPUT: frozen(pictures)[0]},
        input_signature=module.__call__.input_signature,
    )
    return constant


@contextmanager
def _quiet() -> Iterator[None]:
    """The converter writes progress to standard error, native code too."""
    earlier = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(earlier, 2)
            os.close(earlier)
