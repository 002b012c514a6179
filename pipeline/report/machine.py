"""The machine in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> str:
    """This machine: cores, processor, memory, graphics processors."""
    cpuinfo = _lines(Path("/proc/cpuinfo"))
    model = next((line.split(":")[1].strip() for line in cpuinfo if "model name" in line), "")
    flags = next((line for line in cpuinfo if line.startswith("flags")), "")
    bfloat16 = "with" if "avx512_bf16" in flags or "amx_bf16" in flags else "without"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = model or platform.machine()
    drivers = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    cards = [
        next((x.split(":")[1].strip() for x in _lines(path) if x.startswith("Model")), "GPU")
        for path in drivers
    ]
    gpus = ", ".join(cards) or "no GPU"
    return f"{os.cpu_count()} cores ({name}, {bfloat16} bfloat16), {memory:.0f} GiB, {gpus}"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
