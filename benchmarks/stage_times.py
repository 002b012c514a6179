"""python -m benchmarks.stage_times: seconds and peak memory of every stage of the default run.

Runs the commands of dvc.yaml one after the other, in the order in which they depend on each other,
and writes benchmarks/stage_times.csv. The outputs are the same bytes as before.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

import pandas as pd
import yaml

from pipeline.files import write_csv

RESULT = Path("benchmarks/stage_times.csv")


def machine() -> str:
    """This machine in words: cores, processor, memory."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in cpuinfo if "model name" in line), "")
    flags = next((line for line in cpuinfo if line.startswith("flags")), "")
    bfloat16 = "with" if "avx512_bf16" in flags or "amx_bf16" in flags else "without"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = model or platform.machine()
    return f"{os.cpu_count()} cores ({name}, {bfloat16} bfloat16), {memory:.0f} GiB, no GPU"


def measure(command: str) -> tuple[float, float]:
    """Seconds and peak resident megabytes of ``command``."""
    started = time.perf_counter()
    process = subprocess.Popen(command.split())
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"error: {command} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    rows = []
    for name, stage in stages.items():
        seconds, megabytes = measure(stage["cmd"])
        rows.append({"stage": name, "seconds": round(seconds, 1), "peak_mb": round(megabytes)})
    total = round(sum(float(row["seconds"]) for row in rows), 1)
    rows.append({"stage": "all", "seconds": total, "peak_mb": max(row["peak_mb"] for row in rows)})
    frame = pd.DataFrame(rows)
    frame["machine"] = machine()
    write_csv(frame, RESULT)
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
