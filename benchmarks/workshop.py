"""A folder of its own for measured runs of the pipeline's stages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import pandas as pd
import psutil
import yaml

from pipeline.files import write_csv
from pipeline.report.machine import machine


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


class Cost(NamedTuple):
    """Of a command: seconds, peak resident megabytes of its largest process, processor seconds."""

    seconds: float
    megabytes: float
    processor: float


def timed(command: list[str], folder: Path) -> Cost:
    """What a command of this project costs that is run in ``folder``.

    Raises
    ------
    SystemExit
        With the command, where it fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"error: {' '.join(command)} failed")
    seconds, processor = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return Cost(seconds, usage.ru_maxrss / 1024, processor)


class CostOfAll(NamedTuple):
    """Of a command: `Cost`, and peak resident megabytes of all of its processes together, memory
    that they share counted once."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    all_processes_mb: float


def costs(command: list[str], folder: Path) -> CostOfAll:
    """`timed` with the memory of all processes, looked at twice a second."""
    ended, most = Event(), [0.0]

    def watch() -> None:
        while not ended.wait(0.5):
            most[0] = max(most[0], _together(os.getpid()))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        found = timed(command, folder)
    finally:
        ended.set()
        watcher.join()
    together = max(most[0], found.megabytes)
    return CostOfAll(found.seconds, found.processor, found.megabytes, together)


def _together(process: int) -> float:
    """Megabytes of the processes below one."""
    total = 0
    for one in psutil.Process(process).children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            total += one.memory_full_info().pss
    return total / 2**20


def stage(folder: Path, name: str) -> CostOfAll:
    """`costs` of a stage."""
    return costs([sys.executable, "-m", f"pipeline.stages.{name}"], folder)


def run_in(folder: Path, module: str, *arguments: str) -> str:
    """What a module of this project prints when it is run in ``folder``.

    Raises
    ------
    SystemExit
        With what it says of the error, where it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"error: {module} failed: {done.stderr[-1000:]}")
    return done.stdout


def measure(folder: Path, stage: str) -> Cost:
    """`timed` for a stage."""
    return timed([sys.executable, "-m", f"pipeline.stages.{stage}"], folder)


def record(rows: Sequence[Mapping[str, Any]], path: Path, where: str | None = None) -> None:
    """Write measured rows with the machine (this one, unless ``where`` says otherwise) as their
    last column."""
    write_csv(pd.DataFrame(rows).assign(machine=where or machine()), path)
