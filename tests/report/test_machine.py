from __future__ import annotations

from pipeline.report.machine import machine


def test_the_machine_in_one_line() -> None:
    words = machine()
    assert "cores (" in words
    assert "GiB" in words
    assert "\n" not in words
