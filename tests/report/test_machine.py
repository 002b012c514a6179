from __future__ import annotations

import platform

from pipeline.report.machine import machine, versions


def test_the_machine_in_one_line() -> None:
    words = machine()
    assert "cores (" in words
    assert "GiB" in words
    assert "\n" not in words


def test_versions_of_what_is_installed() -> None:
    found = versions(["pandas", "no-such-package"])
    assert found["Python"] == platform.python_version()
    assert list(found) == ["Python", "pandas"]
