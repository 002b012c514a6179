"""TensorFlow made quiet, seeded and reproducible; imported by the stages that need it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NEWS = re.compile(r"I\d{4} |WARNING: All log messages before absl::InitializeLog\(\)")
"""How lines begin that TensorFlow writes on import whatever its log level is."""


def prepare(seed: int) -> Any:
    """Import and set up TensorFlow; returns the module.

    Every operation is deterministic, so that the same machine writes the same bytes again. GPU
    memory is taken as needed. With TF_CPP_MIN_LOG_LEVEL=0 in the environment TensorFlow says all.
    """
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if level == "0" else without_news():
        import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    # A graph for each network of its own is meant, and no news.
    tf.get_logger().setLevel("ERROR")
    tf.keras.utils.set_random_seed(seed)
    return tf


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


def precision(requested: str) -> str:
    """What is ``requested``; for ``auto``, ``float32`` or ``bfloat16`` by the machine.

    bfloat16 is emulated, and slower than float32, where the processor has no instructions for it.
    """
    if requested != "auto":
        return requested
    if device() == "gpu":
        return "bfloat16"
    return "bfloat16" if processor_has_bfloat16() else "float32"


def training_precision(requested: str, computed: str, depthwise: bool) -> str:
    """In which precision a whole network is trained.

    On a processor the gradients of depthwise convolutions are slower in bfloat16 than in float32,
    by more than the other layers gain (``python -m benchmarks.training_precision``). With AMX they
    may gain more, so there ``auto`` stays what it is.

    Parameters
    ----------
    requested : as for `precision`; computed : what that came to for the features.
    depthwise : whether the network has depthwise convolutions.
    """
    if requested == "auto" and depthwise and device() == "cpu" and not processor_has("amx_bf16"):
        return "float32"
    return computed


def device() -> str:
    """``gpu`` or ``cpu``: what TensorFlow computes on."""
    import tensorflow as tf

    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def processor_has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 by itself, with AVX512 or AMX."""
    return processor_has("avx512_bf16") or processor_has("amx_bf16")


def processor_has(flag: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor lists ``flag`` (Linux on x86-64)."""
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return flag in flags
