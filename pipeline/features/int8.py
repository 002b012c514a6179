"""The backbone in 8-bit integers on the processor: OpenVINO's engine, quantised by NNCF.

An extra (``pip install '.[int8]'``). Weights and activations are quantised after training (Jacob et
al. 2018, CVPR, arXiv:1712.05877), their ranges seen on pictures of the user's own table, and the
shift that rounding leaves in each layer's mean is put right (Nagel et al. 2019, ICCV).
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import runtime
from pipeline.errors import PipelineError, require_extra
from pipeline.features.extract import FEW, batch_size, padded
from pipeline.files import changed, write_sums

PRECISION = "int8"
SAMPLE = 128
"""Pictures that show the ranges: the first of the table, so that rows added to it change none."""
FILES = ("int8.xml", "int8.bin")
"""The quantised network, in OpenVINO's format."""
SUMS = "int8.sha256.json"
"""The hash of each by its name."""
PACKAGES = ("openvino", "nncf")


def check_installed() -> None:
    """Raise a `PipelineError` that says what to install where the extra is not."""
    require_extra(
        *("int8", {name: name for name in PACKAGES}),
        "params.yaml: backbone.precision: got 'int8', which needs",
        instead="take auto, float32 or bfloat16",
    )


def circumstances(sha256: Sequence[str]) -> dict[str, str]:
    """What decides over the quantised network beside the backbone: pictures, code and versions.

    Parameters
    ----------
    sha256 : of the sample's pictures, in order.
    """
    return {
        "sample": hashlib.sha256("".join(sha256).encode()).hexdigest(),
        "sums": str(runtime.processor_sums_int8()),
        "quantized": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        **{name: version(name) for name in PACKAGES},
    }


def quantize(model: Any, pictures: np.ndarray, folder: Path) -> None:
    """Write the quantised network, `FILES`, into ``folder``.

    Parameters
    ----------
    model : keras.Model in float32, images [B, h, w, 3] with values 0 to 255 -> map [B, h', w', C].
    pictures : uint8 [n, h, w, 3], the sample.
    """
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
    import nncf
    import openvino

    logging.getLogger("nncf").setLevel(logging.ERROR)
    size = pictures.shape[1:3]
    with tempfile.TemporaryDirectory() as saved:
        model.export(saved, verbose=False)
        network = openvino.convert_model(saved)
    network.reshape([1, *size, 3])
    # Weights of seven bits where sums of eight would be cut off, as NNCF's manual advises.
    overflow = None if runtime.processor_sums_int8() else nncf.OverflowFix.ENABLE
    sample = nncf.Dataset([picture[None].astype(np.float32) for picture in pictures])
    network = nncf.quantize(
        network,
        sample,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(pictures),
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow),
    )
    prepared = openvino.preprocess.PrePostProcessor(network)
    prepared.input().tensor().set_element_type(openvino.Type.u8)
    network = prepared.build()
    network.reshape([batch_size(size), *size, 3])
    # Names made up on the way are numbered through all that the process has ever built.
    for number, operation in enumerate(network.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
    # Where the network lay for a moment is no part of it.
    network.set_rt_info("", ["conversion_parameters", "input_model"])
    openvino.save_model(network, folder / FILES[0], compress_to_fp16=False)
    write_sums(folder, FILES, SUMS)


def damaged(folder: Path) -> str | None:
    """What is wrong with the quantised network in ``folder``, or None."""
    return changed(folder, SUMS, FILES)


def copy(source: Path, target: Path) -> None:
    """Copy the quantised network from one folder to another."""
    for name in (*FILES, SUMS):
        shutil.copyfile(source / name, target / name)


class Encoder:
    """The quantised network, called as `pipeline.features.extract.Encoder` is.

    Parameters
    ----------
    folder : where `quantize` wrote it.
    few : see `extract.shapes`.
    """

    def __init__(self, folder: Path, few: bool = False):
        os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
        import openvino

        if problem := damaged(folder):
            raise PipelineError(f"{folder}: {problem}; run `dvc checkout`, or else `dvc repro`")
        self._core = openvino.Core()
        self._read = self._core.read_model(folder / FILES[0])
        self.batch, *size, _ = self._read.input().shape
        self.image_size = tuple(size)
        self.map_shape: tuple[int, int, int] = tuple(self._read.output().shape[1:])
        # Sums of integers are the same in any order: a lone picture is as it is among others.
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
                    network = self._read.clone()
                    network.reshape([step, *self.image_size, 3])
                    self._compiled[step] = self._core.compile_model(
                        network, "CPU", {"PERFORMANCE_HINT": "LATENCY"}
                    )
            own[step] = self._compiled[step].create_infer_request()
        return own[step]
