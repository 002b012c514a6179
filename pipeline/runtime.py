"""TensorFlow made quiet, seeded and reproducible; imported by the stages that need it."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

NEWS = re.compile(r"I\d{4} |WARNING: All log messages before absl::InitializeLog\(\)")
"""How lines begin that TensorFlow writes on import whatever its log level is."""

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
"""The variable that turns TensorFlow's oneDNN kernels on and off; read when it is imported."""


def prepare(seed: int, to_train: bool = False) -> Any:
    """Import TensorFlow and set it up for a command; returns the module, see `tensorflow`.

    Every operation is deterministic, so that the same machine writes the same bytes again. GPU
    memory is taken as needed.

    Parameters
    ----------
    to_train : whether gradients are computed. Operations then run one after the other, each on all
        cores: deterministic ones are not enough, see below. To be asked for before TensorFlow
        computes anything.
    """
    tf = tensorflow()
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    if to_train:
        # Side by side, deterministic operations do not add up to a deterministic step: two fits of
        # one ResNet50 with clipped gradients differed after a few, first where the gradients of a
        # block's branches are summed, and only with the graph optimiser's arithmetic pass. One
        # order holds whatever it rewrites, for a tenth of such a network's speed.
        tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(seed)
    return tf


def tensorflow() -> Any:
    """TensorFlow, imported without its news.

    With TF_CPP_MIN_LOG_LEVEL=0 in the environment it says all; with TF_ENABLE_ONEDNN_OPTS=0 it
    computes without oneDNN, see `position_free`.
    """
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    choose_kernels()
    with contextlib.nullcontext() if level == "0" else without_news():
        import tensorflow as tf

    # A graph for each network of its own is meant, and no news.
    tf.get_logger().setLevel("ERROR")
    return tf


def choose_kernels() -> None:
    """Ask for oneDNN on x86-64, unless the environment says otherwise; before TensorFlow's import.

    By itself TensorFlow takes it only where a processor has instructions for networks
    (AVX512-VNNI, AMX and the like), Eigen elsewhere.
    """
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault(ONEDNN, "1")


@contextlib.contextmanager
def without_news() -> Iterator[None]:
    """Hold back what is written to standard error, by native code too; pass it on without NEWS."""
    sys.stderr.flush()
    earlier = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(earlier, 2)
            os.close(earlier)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines(keepends=True):
                if not NEWS.match(line):
                    sys.stderr.write(line)


def precision(requested: str, fast_in_bfloat16: bool = True) -> str:
    """What is ``requested``; for ``auto``, ``float32`` or ``bfloat16``, the faster one.

    On a processor that is bfloat16 where it has instructions for it (elsewhere it is emulated) and
    the network gains by them, see `backbones.Application`.
    """
    if requested != "auto":
        return requested
    if device() == "gpu":
        return "bfloat16"
    return "bfloat16" if fast_in_bfloat16 and processor_has_bfloat16() else "float32"


def device() -> str:
    """``gpu`` or ``cpu``: what TensorFlow computes on."""
    import tensorflow as tf

    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def onednn() -> bool:
    """Whether TensorFlow was asked to compute with oneDNN, see `prepare`."""
    return os.environ.get(ONEDNN, "0").lower() in ("1", "true")


def position_free() -> bool:
    """Whether a network gives a picture the same bytes wherever in a batch it stands.

    Not with Eigen on a processor: its convolutions multiply the pixels of the whole batch as one
    matrix, and with AVX2 at most the last picture of a batch came out otherwise in the last bits.
    """
    return device() == "gpu" or onednn()


def processor_has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 by itself, with AVX512 or AMX, and oneDNN may."""
    flags = ("avx512_bf16", "amx_bf16")
    return not kept_to_avx2() and any(map(processor_has, flags))


def processor_sums_int8() -> bool:
    """Whether the processor adds up products of 8-bit numbers without a bound that cuts them off.

    With VNNI or AMX it does. With AVX2 alone, or where ONEDNN_MAX_CPU_ISA keeps to that, two
    products are added in 16 bits and saturate.
    """
    flags = ("avx512_vnni", "avx_vnni", "amx_int8")
    return not kept_to_avx2() and any(map(processor_has, flags))


def kept_to_avx2() -> bool:
    """Whether ONEDNN_MAX_CPU_ISA keeps oneDNN from instructions for networks that are there."""
    kept_to = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return kept_to in ("SSE41", "AVX", "AVX2", "AVX512_CORE")


def processor_has(flag: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor lists ``flag`` (Linux on x86-64)."""
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return flag in flags


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The installed version of each of ``packages`` and of Python; those not installed are out."""
    found = {"Python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
