"""Long work is heard of: lines elsewhere, a bar in a terminal, nothing when it is over."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from contextlib import redirect_stderr

import pytest

from pipeline import progress


@pytest.mark.parametrize(
    ("done", "total", "unit", "seconds", "expected"),
    [
        (12, 60, "image", 6.0, "embed: 12 of 60 images, 2 per second, about 24 s left"),
        (1, 3, "attribute", 120.0, "embed: 1 of 3 attributes, 0.5 per minute, about 4 min left"),
        (1, 1, "pass", 2.0, "embed: 1 of 1 pass, 30 per minute, about 0 s left"),
        (0, 5, "trial", 31.2, "embed: 0 of 5 trials, 31 s so far"),
        (0, None, "", 131.0, "embed: 2 min so far"),
        (1, 5000, "", 7200.0, "embed: 1 of 5000, 0.0083 per minute, about 9998.0 h left"),
    ],
)
def test_a_line_by_hand(
    done: int, total: int | None, unit: str, seconds: float, expected: str
) -> None:
    assert progress.line("embed", done, total, unit, seconds) == expected


class Ear(io.StringIO):
    """A standard error that is no terminal and knows when something is said."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def write(self, text: str) -> int:
        self.heard.set()
        return super().write(text)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.01)


def test_a_step_that_takes_long_is_heard_of() -> None:
    with redirect_stderr(Ear()) as ear:
        with progress.task("impute"), progress.task("label models", 7, "attribute") as advance:
            advance(2)
            assert ear.heard.wait(30)
        told = ear.getvalue()
        assert told.splitlines()[0].startswith("impute: label models: 2 of 7 attributes, ")
        assert not [one for one in threading.enumerate() if one.name == "progress"]


def test_what_is_counted_around_the_innermost_is_told_too() -> None:
    with (
        redirect_stderr(Ear()) as ear,
        progress.task("classify", 3, "attribute") as advance,
    ):
        advance(1)
        with progress.task("epochs", 20, "epoch"):
            for _ in range(2):  # the first may have been begun before
                ear.heard.clear()
                assert ear.heard.wait(30)
    outer, inner = ear.getvalue().splitlines()[-1].split("; ")
    assert outer.startswith("classify: 1 of 3 attributes, ")
    assert inner.startswith("epochs: 0 of 20 epochs, ")


def test_a_decorator_and_an_error_leave_nothing_open() -> None:
    @progress.task("demo")
    def main() -> None:
        assert ear.heard.wait(30)
        raise ValueError("no")

    for _ in range(2):
        with redirect_stderr(Ear()) as ear, pytest.raises(ValueError, match="no"):
            main()
        assert set(ear.getvalue().splitlines()) == {"demo: 0 s so far"}


def test_items_are_tracked_in_order_and_a_loop_that_is_left_ends_the_task() -> None:
    assert list(progress.track("abc", "letters", "letter")) == ["a", "b", "c"]
    for item in progress.track(iter(range(5)), "numbers", "number", total=5):
        if item == 2:
            break
    assert not [one for one in threading.enumerate() if one.name == "progress"]


@pytest.mark.parametrize("columns", [0, 60])
def test_a_terminal_has_a_bar_and_lines_of_log_stay_whole(columns: int) -> None:
    code = (
        "import logging; from pipeline import progress\n"
        "logging.basicConfig(level='INFO', format='%(name)s: %(message)s')\n"
        "with progress.task('classify', 2, 'attribute') as advance:\n"
        "    advance(1); logging.getLogger('classify').info('a line'); advance(1)\n"
    )
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    done = subprocess.run([sys.executable, "-c", code], stderr=slave, timeout=60, check=False)
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 4096):
            shown += part
    except OSError:  # the terminal's other end is closed
        pass
    os.close(master)
    text = shown.decode()
    assert done.returncode == 0, text
    assert "classify: " in text and "attribute" in text and "1/2" in text
    assert any(part.strip() == "classify: a line" for part in text.replace("\r", "\n").split("\n"))
