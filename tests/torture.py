"""python -m tests.torture: runs that are killed at random moments and resumed, byte for byte.

A small project is run by DVC. Then one stage after another, drawn at random, is run again and
killed with all its processes at a moment drawn at random, or interrupted as by Ctrl-C; after each
the pipeline is resumed, and every output must have the bytes that it had. Where the kill met DVC
while it wrote dvc.lock, that is removed first, as `make doctor` says. `make torture` calls it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from pipeline import doctor
from pipeline.files import leftovers
from tests.end_to_end import project

OUTPUTS = ("data", "models", "reports")


def main() -> int:
    """The command line; returns 1 where a resumed run differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="SIGKILLs; 20")
    parser.add_argument("--interrupts", type=int, default=5, metavar="N", help="SIGINTs; 5")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws; 0")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    signals = [signal.SIGKILL] * options.kills + [signal.SIGINT] * options.interrupts
    rng.shuffle(signals)
    with tempfile.TemporaryDirectory(prefix="torture.") as name:
        folder = Path(name)
        project.make(folder)
        expected = digests(folder)
        stages = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        seconds = {stage: duration(folder, stage) for stage in stages}
        print(f"{len(expected)} files; seconds: {seconds}", flush=True)
        good = 0
        for number, sign in enumerate(signals, 1):
            stage = rng.choice(list(stages))
            after = rng.uniform(0, seconds[stage])
            problems = trial(folder, stage, sign, after, expected)
            good += not problems
            verdict = "the same bytes" if not problems else "; ".join(problems)
            print(
                f"{number}: {stage}, {signal.Signals(sign).name} after {after:.1f} s: {verdict}",
                flush=True,
            )
    print(f"{good} of {len(signals)}")
    return int(good < len(signals))


def duration(folder: Path, stage: str) -> float:
    """Seconds of a run of the stage alone."""
    started = time.monotonic()
    done = project.run(folder, *again(stage))
    assert done.returncode == 0, done.stderr[-2000:]
    return round(time.monotonic() - started, 1)


def again(stage: str) -> list[str]:
    """The command that runs a stage although nothing has changed."""
    return ["dvc", "repro", "--single-item", "--force", "--no-run-cache", stage]


def trial(folder: Path, stage: str, sign: int, after: float, expected: dict[str, str]) -> list[str]:
    """Stop a run of ``stage``, resume, and say what is not as it should be."""
    if stage == "embed":  # else there would be nothing to compute
        shutil.rmtree(folder / ".cache", ignore_errors=True)
    process = subprocess.Popen(
        again(stage),
        cwd=folder,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # What runs in the background may have SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        printed, _ = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, sign)
        printed, _ = process.communicate()
    problems, record = [], folder / doctor.RECORD
    if any(one.advice for one in doctor.record(record)):
        record.unlink()  # as the doctor advises
        print("dvc.lock was cut off, and removed as the doctor says", flush=True)
    if "Traceback" in printed and "pipeline/" in printed:  # others are DVC's, as it starts
        problems.append("a traceback: " + printed[printed.index("Traceback") :][-300:])
    # By itself DVC would bring the outputs back from its cache.
    for command in (again(stage), ["dvc", "repro"]):
        resumed = project.run(folder, *command)
        if resumed.returncode:
            problems.append(f"not resumed: {(resumed.stdout + resumed.stderr)[-300:]}")
    found = digests(folder)
    other = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if other:
        problems.append(f"{len(other)} files differ, {other[0]} first")
    left = [path for one in OUTPUTS for path in leftovers(folder / one)]
    if left:
        problems.append(f"left behind: {left}")
    return problems


def digests(folder: Path) -> dict[str, str]:
    """The hash of every output by its name."""
    files = [p for one in OUTPUTS for p in (folder / one).rglob("*") if p.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


if __name__ == "__main__":
    sys.exit(main())
