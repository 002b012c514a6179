"""A folder of its own for measured runs of the pipeline's stages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def params(folder: Path, changes: Mapping[str, Any]) -> None:
    """The project's params.yaml with ``changes`` (dotted keys), as params.yaml of ``folder``."""
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = content
        for parent in parents:
            section = section[parent]
        section[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def measure(folder: Path, stage: str) -> tuple[float, float]:
    """Seconds of a stage run in ``folder``, and peak resident megabytes of its largest process."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"pipeline.stages.{stage}"], cwd=folder, env=environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"error: {stage} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024
