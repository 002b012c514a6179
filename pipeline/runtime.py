"""TensorFlow made quiet, seeded and reproducible; imported by the stages that need it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def prepare(seed: int) -> Any:
    """Import and set up TensorFlow; returns the module.

    Every operation is deterministic, so that the same machine writes the same bytes again. GPU
    memory is taken as needed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    # A graph for each network of its own is meant, and no news.
    tf.get_logger().setLevel("ERROR")
    tf.keras.utils.set_random_seed(seed)
    return tf


def precision(requested: str) -> str:
    """What is ``requested``; for ``auto``, ``float32`` or ``bfloat16`` by the machine.

    bfloat16 is emulated, and slower than float32, where the processor has no instructions for it.
    """
    if requested != "auto":
        return requested
    if device() == "gpu":
        return "bfloat16"
    return "bfloat16" if processor_has_bfloat16() else "float32"


def device() -> str:
    """``gpu`` or ``cpu``: what TensorFlow computes on."""
    import tensorflow as tf

    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def processor_has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor lists AVX512-BF16 or AMX-BF16 (Linux on x86-64)."""
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags
