"""A weaker machine, emulated."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks import weaker


def test_a_weaker_machine_is_emulated_in_a_process_that_has_its_settings_from_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = []

    def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        started.append((command, env))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr("sys.argv", ["speed", "--as", "laptop", "--rows", "7"])
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_AMX")
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SystemExit) as stopped:
        weaker.become("laptop", "benchmarks.speed")
    [(command, environment)] = started
    assert command[1:] == ["-m", "benchmarks.speed", "--as", "laptop", "--rows", "7"]
    assert environment["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert environment["OMP_NUM_THREADS"] == "2"
    assert stopped.value.code == 3


def test_a_process_that_has_the_settings_goes_on_and_its_figures_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in weaker.EMULATED["laptop"].items():
        monkeypatch.setenv(name, value)
    assert ", emulated by ONEDNN_MAX_CPU_ISA=AVX2 " in weaker.become("laptop", "benchmarks.speed")


def test_this_machine_is_no_weaker_one() -> None:
    assert "emulated" not in weaker.become(None, "benchmarks.speed")
    path = Path("benchmarks/speed.csv")
    assert weaker.result(path, None) == path
    assert weaker.result(path, "laptop") == Path("benchmarks/speed_laptop.csv")
