"""Weights of a backbone: downloaded, from a file, or drawn at random.

Importing this module does not import TensorFlow.
"""

from __future__ import annotations

import socket
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import PipelineError, fail
from pipeline.features import backbones
from pipeline.files import check_room, sha256

DOWNLOAD_TIMEOUT = 20.0
"""Seconds without an answer after which the download of ImageNet weights counts as impossible."""
DESCRIPTION = "backbone.json"
"""What stage ``backbone`` says of the weights in its folder, see `Description`."""
WAY_OUT = "make it again with `dvc repro`, or bring it back with `dvc checkout`"
"""What to do about a damaged backbone, for the end of a message."""
OVERHEAD = 8192
"""Bytes in a weights file beside those of an array, for each of them, at most."""
FILE, ARCHITECTURE = "backbone.weights.h5", "backbone.architecture.json"
"""Files of `save`; the second where a name alone does not say how the network is built."""


class DownloadError(Exception):
    """The published weights can't be downloaded."""


def download_imagenet(name: str, image_size: tuple[int, int]) -> Any:
    """The backbone with its published weights from Keras' cache or download, or from an extra.

    Raises
    ------
    DownloadError
        If they are neither cached nor can be fetched; the message says why.
    """
    earlier = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        return backbones.build(name, image_size, weights="imagenet")
    except PipelineError:
        raise
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
    floats = [v for v in model.network.variables if "float" in v.dtype]
    try:
        if problem := oversized(path, model.network.count_params()):
            raise ValueError(problem)
        # Keras only warns where a file lacks a layer's weights: what stays NaN was not in the file.
        for variable in floats:
            variable.assign(np.full(variable.shape, np.nan, dtype=variable.dtype))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.network.load_weights(str(path))
        left = [v.path for v in floats if np.isnan(v.numpy()).any()]
        if left:
            raise ValueError(f"{len(left)} of its arrays are not in the file, {left[0]} first")
    except Exception as error:  # h5py and Keras raise many kinds for a file that does not fit
        reason = " ".join(str(error).split())[:300]
        raise PipelineError(
            f"{path}: does not fit the backbone {model.backbone_name} without its top: {reason}; "
            f"{backbones.find(model.backbone_name).weights_file}"
        ) from error
    _mend_standardisation(model.network)


@dataclass(frozen=True)
class Description:
    """What stage ``backbone`` says of the weights beside it, in `DESCRIPTION`.

    map : (h, w, C) of its output.
    """

    name: str
    sha256: str
    pretrained: bool
    map: tuple[int, int, int]
    parameters: int


def description(folder: Path) -> Description:
    """What is said of the weights in ``folder``.

    Raises
    ------
    PipelineError
        If it is not there, is damaged, or is said of other weights than those in the folder.
    """
    path = folder / DESCRIPTION
    try:
        found = TypeAdapter(Description).validate_json(path.read_bytes())
        actual = sha256(folder / FILE)
    except OSError as error:
        fail(error.filename, f"{error.strerror}; {WAY_OUT}")
    except ValidationError as error:
        first = error.errors()[0]
        fail(path, f"{'.'.join(map(str, first['loc']))}: {first['msg'][:200]}; {WAY_OUT}")
    if actual != found.sha256:
        fail(
            folder / FILE,
            f"its SHA-256 {actual[:12]} is not {found.sha256[:12]}, that in {DESCRIPTION}; "
            f"{WAY_OUT}",
        )
    backbones.find(found.name)
    return found


def oversized(path: str | Path, most: int) -> str | None:
    """What array of a file has more than ``most`` numbers, which are all of its network's: read, it
    could fill the memory, however small it is on the disk; None where none has."""
    found: list[str] = []

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and (item.size or 0) > most:
            found.append(f"{name} has {item.size} numbers, the whole network {most}")

    try:
        with h5py.File(path) as file:
            file.visititems(look)
    except (OSError, RuntimeError, ValueError):
        return None  # whoever reads it says what it is
    return found[0] if found else None


def _mend_standardisation(network: Any) -> None:
    """Make EfficientNet's own standardisation right for ImageNet weights.

    Their files hold the standard deviations of ImageNet's channels in place of the variances. With
    ``weights="imagenet"`` Keras puts a layer behind that makes up for it, and which a network built
    without weights lacks: https://github.com/keras-team/keras/blob/v3.10.0/keras/src/applications/
    efficientnet.py
    """
    for layer in network.layers:
        # One that was given its moments has none to load.
        if type(layer).__name__ == "Normalization" and layer.input_mean is None:
            found = layer.adapt_variance.numpy()
            if np.allclose(np.ravel(found), (0.229, 0.224, 0.225), atol=1e-3):
                layer.adapt_variance.assign(np.square(np.ravel(found)))
            layer.finalize_state()


def write(network: Any, file: str | Path) -> None:
    """Write the weights of a keras.Model as ``*.weights.h5``, if there is room for them."""
    arrays = network.get_weights()
    check_room(Path(file).parent, sum(one.nbytes + OVERHEAD for one in arrays) + OVERHEAD)
    network.save_weights(file)


def save(model: Any, folder: str | Path) -> Path:
    """Write what `load` reads into ``folder``; returns the file of the weights."""
    file = Path(folder) / FILE
    write(model.network, file)
    if described := _described(model):
        (Path(folder) / ARCHITECTURE).write_text(described, encoding="utf-8")
    return file


def _described(model: Any) -> str:
    """See `hub.Preset`; empty where the name says all."""
    return str(getattr(model.network, "architecture", ""))


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
        described = Path(folder) / ARCHITECTURE
        text = described.read_text(encoding="utf-8") if described.is_file() else ""
        model = backbones.build(name, image_size, architecture=text)
    finally:
        keras.config.set_dtype_policy(earlier)
    load_weights(model, Path(folder) / FILE)
    return model


def randomise(model: Any, seed: int) -> None:
    """Fill the kernels with seeded normal values that keep the variance of the signal.

    The standard deviation is sqrt(2 / fan-in) (He et al. 2015, arXiv:1502.01852), that of tokens
    and embeddings .02; biases are 0 and normalisation is the identity. Each array has a generator
    of its own, seeded by its name, and by its place where others in its layer have the same; in
    Keras Hub's networks names count what was made before.
    """
    numbered = bool(_described(model))
    for number, layer in enumerate(model.network.layers):
        seen: Counter[str] = Counter()
        for variable in layer.weights:
            kind = variable.path.rsplit("/", 1)[-1]
            shape = tuple(variable.shape)
            place, seen[kind] = seen[kind], seen[kind] + 1
            key = f"{number if numbered else layer.name}/{kind}" + (f"/{place}" if place else "")
            rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
            if "kernel" in kind:
                depthwise = type(layer).__name__ == "DepthwiseConv2D" or "depthwise" in kind
                fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
                value = rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)
            elif "token" in kind or "embedding" in kind:
                value = rng.normal(0.0, 0.02, shape)
            else:
                ones = kind in ("gamma", "moving_variance", "variance")
                value = np.ones(shape) if ones else np.zeros(shape)
            variable.assign(value.astype(variable.dtype))
