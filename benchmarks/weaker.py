"""A weaker machine than this one, emulated by what keeps libraries to its instructions and threads.

Code that asks the processor itself, as Eigen in TensorFlow and NumPy do, still uses what is there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.report.machine import machine

EMULATED = {
    "laptop": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "TF_NUM_INTRAOP_THREADS": "2",
        "TF_NUM_INTEROP_THREADS": "2",
    }
}
"""By machine: what oneDNN (in TensorFlow, OpenVINO and PyTorch), OpenBLAS and PyTorch's own kernels
read in the environment."""


def add_option(parser: argparse.ArgumentParser) -> None:
    """``--as MACHINE``, kept as ``weaker``."""
    parser.add_argument("--as", dest="weaker", choices=sorted(EMULATED), help="a weaker machine")


def become(weaker: str | None, module: str) -> str:
    """The machine in words, in a process that passes for the ``weaker`` one, if any.

    The libraries read the settings once, when they are loaded. Where this process lacks them, its
    command is run in another that has them, and this one ends with the same status.
    """
    settings = EMULATED.get(weaker or "", {})
    if not settings.items() <= os.environ.items():
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, env={**os.environ, **settings}).returncode)
    return emulated(machine(), settings) if settings else machine()


def emulated(real: str, settings: Mapping[str, str]) -> str:
    """The machine ``real`` in words, with the settings that make it pass for a weaker one."""
    return f"{real}, emulated by {' '.join(f'{k}={v}' for k, v in settings.items())}"


def result(path: Path, weaker: str | None) -> Path:
    """Where the figures of the ``weaker`` machine go: a file of their own beside ``path``."""
    return path.with_stem(f"{path.stem}_{weaker}") if weaker else path
