"""The backbone in 8-bit integers on the processor: OpenVINO's engine, quantised by NNCF.

An extra (``pip install '.[int8]'``). Weights and activations are quantised after training (Jacob et
al. 2018, CVPR, arXiv:1712.05877), their ranges seen on pictures of the user's own table, and the
shift that rounding leaves in each layer's mean is put right (Nagel et al. 2019, ICCV).
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import runtime
from pipeline.errors import PipelineError, require_extra
from pipeline.features import openvino_network
from pipeline.features.extract import batch_size
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
    openvino = openvino_network.quiet()
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    size = pictures.shape[1:3]
    network = openvino_network.converted(model, 1)
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
    network = openvino_network.of_bytes(network)
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


def encoder(folder: Path, few: bool = False) -> openvino_network.Encoder:
    """The quantised network that `quantize` wrote into ``folder``.

    Sums of integers are the same in any order: a lone picture is as it is among others.

    Parameters
    ----------
    few : see `extract.shapes`.

    Raises
    ------
    PipelineError
        If the network is damaged.
    """
    if problem := damaged(folder):
        raise PipelineError(f"{folder}: {problem}; run `dvc checkout`, or else `dvc repro`")
    network = openvino_network.quiet().Core().read_model(folder / FILES[0])
    return openvino_network.Encoder(network, few)
