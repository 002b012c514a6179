from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import runtime


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512_bf16 sse", True),
        ("fpu avx2 avx512f", False),
        ("fpu not_avx512_bf16", False),
    ],
)
def test_a_processor_has_the_flags_that_it_lists(
    tmp_path: Path, flags: str, expected: bool
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\nbugs : none\n")
    assert runtime.processor_has("avx512_bf16", cpuinfo) is expected


@pytest.mark.parametrize(
    ("flags", "kept_to", "expected"),
    [
        ({"avx2", "avx_vnni"}, "", True),
        ({"avx512_vnni"}, "ALL", True),
        ({"avx512_vnni"}, "avx2", False),
        ({"avx2", "avx512f"}, "", False),
    ],
)
def test_sums_of_8_bit_products(
    flags: set[str], kept_to: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "processor_has", lambda flag: flag in flags)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", kept_to)
    assert runtime.processor_sums_int8() is expected


def test_no_cpuinfo_means_no(tmp_path: Path) -> None:
    assert runtime.processor_has("avx512_bf16", tmp_path / "absent") is False


@pytest.mark.parametrize(
    ("flags", "fast", "device", "expected"),
    [
        ({"avx512_bf16"}, True, "cpu", "bfloat16"),
        ({"amx_bf16"}, True, "cpu", "bfloat16"),
        ({"avx512f"}, True, "cpu", "float32"),
        ({"avx512_bf16"}, False, "cpu", "float32"),
        ({"avx512f"}, False, "gpu", "bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], fast: bool, device: str, expected: str
) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(runtime, "device", lambda: device)
    monkeypatch.setattr(runtime, "processor_has", lambda flag: flag in flags)
    assert runtime.precision("auto", fast) == expected


def test_a_wish_is_granted_and_auto_is_one_of_both() -> None:
    assert runtime.precision("float32") == "float32"
    assert runtime.precision("bfloat16") == "bfloat16"
    assert runtime.precision("auto") in ("float32", "bfloat16")


@pytest.mark.parametrize(
    ("machine", "asked", "expected"),
    [
        ("x86_64", None, True),
        ("AMD64", None, True),
        ("x86_64", "0", False),
        ("aarch64", None, False),
        ("aarch64", "1", True),
    ],
)
def test_onednn_is_asked_for_on_x86_unless_turned_off(
    monkeypatch: pytest.MonkeyPatch, machine: str, asked: str | None, expected: bool
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setenv(runtime.ONEDNN, asked or "")
    if asked is None:
        monkeypatch.delenv(runtime.ONEDNN)
    runtime.choose_kernels()
    assert runtime.onednn() is expected
    assert os.environ.get(runtime.ONEDNN) == (asked or ("1" if expected else None))


@pytest.mark.parametrize(
    ("device", "onednn", "expected"),
    [("cpu", "1", True), ("cpu", "0", False), ("gpu", "0", True)],
)
def test_only_eigen_on_a_processor_minds_the_place_in_a_batch(
    monkeypatch: pytest.MonkeyPatch, device: str, onednn: str, expected: bool
) -> None:
    monkeypatch.setattr(runtime, "device", lambda: device)
    monkeypatch.setenv(runtime.ONEDNN, onednn)
    assert runtime.position_free() is expected


def test_what_is_no_news_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), runtime.without_news():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are\n")
        os.write(2, b"I0000 00:00:1 port.cc:153] oneDNN custom operations are on.\n")
        os.write(2, b"E0000 00:00:1 cuda.cc:1] the driver is broken\n")
        print("In Python", file=sys.stderr)
        raise ImportError
    os.write(2, b"I0000 later\n")
    kept = {"E0000 00:00:1 cuda.cc:1] the driver is broken", "In Python", "I0000 later"}
    assert set(capfd.readouterr().err.splitlines()) == kept


@pytest.mark.parametrize(("level", "quiet"), [(None, True), ("0", False)])
def test_tensorflow_starts_without_a_word_unless_asked(level: str | None, quiet: bool) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    done = subprocess.run(
        [sys.executable, "-c", "from pipeline import runtime; runtime.prepare(0)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    assert (done.stderr == "") is quiet, done.stderr


def test_versions_of_what_is_installed() -> None:
    found = runtime.versions(["pandas", "no-such-package"])
    assert found["Python"] == platform.python_version()
    assert list(found) == ["Python", "pandas"]
