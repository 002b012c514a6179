from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import runtime


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512_bf16 sse", True),
        ("fpu amx_bf16", True),
        ("fpu avx2 avx512f", False),
        ("fpu not_avx512_bf16", False),
    ],
)
def test_bfloat16_by_the_processors_flags(tmp_path: Path, flags: str, expected: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\nbugs : none\n")
    assert runtime.processor_has_bfloat16(cpuinfo) is expected


def test_no_cpuinfo_means_no(tmp_path: Path) -> None:
    assert runtime.processor_has_bfloat16(tmp_path / "absent") is False


def test_a_wish_is_granted_and_auto_is_one_of_both() -> None:
    assert runtime.precision("float32") == "float32"
    assert runtime.precision("bfloat16") == "bfloat16"
    assert runtime.precision("auto") in ("float32", "bfloat16")
