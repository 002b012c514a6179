"""How far long work is: a bar in a terminal, a line now and then elsewhere, never silence.

Work is said in tasks, one inside the other: ``embed``, or ``impute`` and in it ``label models``. A
thread speaks for them, so that work which takes long over a single step is heard of, too.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

T = TypeVar("T")
Advance = Callable[[int], object]
EVERY = 25.0
"""Seconds between two lines: half a minute at most, however late the thread gets its turn."""
REDRAWN = 1.0
"""Seconds between two drawings of a bar that nothing moves."""


@dataclass
class _Task:
    name: str
    total: int | None
    unit: str
    started: float = field(default_factory=time.monotonic)
    done: int = 0
    bar: Any = None

    def advance(self, steps: int = 1) -> None:
        self.done += steps
        if self.bar is not None:
            self.bar.update(steps)


_lock = threading.Lock()
_open: list[_Task] = []
"""The tasks under way, the outermost first."""


@contextmanager
def task(name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
    """Tell of work that is under way, as a ``with`` block or as a decorator.

    Yields a function to be called with the number of steps just done, from any thread. On standard
    error: a bar where that is a terminal, else a line every `EVERY` seconds.

    Parameters
    ----------
    name : of the work; total : its number of steps, where it is known; unit : of one, for people.
    """
    mine = _Task(name, total, unit)
    with ExitStack() as stack:
        if sys.stderr.isatty():
            names = ": ".join([*(one.name for one in _open), name])
            mine.bar = stack.enter_context(_bar(mine, names))
        with _lock:
            outermost = not _open
            _open.append(mine)
        stack.callback(_close, mine)
        if outermost:
            stack.enter_context(_voice(terminal=mine.bar is not None))
        yield mine.advance


def track(items: Iterable[T], name: str, unit: str, total: int | None = None) -> Iterator[T]:
    """``items``, one after the other, as the steps of a `task`.

    Parameters
    ----------
    total : how many there are; by default their length, where they have one.
    """
    count = len(items) if total is None and isinstance(items, Sized) else total
    with task(name, count, unit) as advance:
        for item in items:
            yield item
            advance(1)


def say(text: str) -> None:
    """Print ``text`` on standard output, with no bar across it."""
    tqdm.write(text)


def line(name: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    """A task in words: what is done of it, how fast, and about how long it will take yet."""
    if total is None or not done:
        of = "" if total is None else f"0 of {_counted(total, unit)}, "
        return f"{name}: {of}{_span(seconds)} so far"
    rate = done / max(seconds, 1e-9)
    speed = f"{rate:.3g} per second" if rate >= 1 else f"{60 * rate:.2g} per minute"
    left = _span(max(total - done, 0) / rate)
    return f"{name}: {done} of {_counted(total, unit)}, {speed}, about {left} left"


def _counted(number: int, unit: str) -> str:
    """``12 images``, ``3 passes``."""
    plural = "" if number == 1 else "es" if unit.endswith(("s", "tch")) else "s"
    return f"{number} {unit}{plural}" if unit else str(number)


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    return f"{round(whole / 60)} min" if whole < 5400 else f"{whole / 3600:.1f} h"


def _close(mine: _Task) -> None:
    with _lock:
        _open.remove(mine)


def _bar(mine: _Task, description: str) -> Any:
    """A bar that goes when its work is done: what stays is the log."""
    columns = os.get_terminal_size(sys.stderr.fileno()).columns
    return tqdm(
        total=mine.total,
        desc=description,
        unit=mine.unit or "it",
        leave=False,
        bar_format="{desc}: {elapsed}" if mine.total is None else None,
        dynamic_ncols=columns > 0,
        ncols=None if columns else 80,  # a terminal that does not know its width
    )


@contextmanager
def _voice(terminal: bool) -> Iterator[None]:
    """Speak of the open tasks, every now and then, until the block ends."""
    ended = threading.Event()

    def speak() -> None:
        while not ended.wait(REDRAWN if terminal else EVERY):
            with _lock:
                tasks = list(_open)
            if terminal:
                for one in tasks:
                    one.bar.refresh()
            elif tasks:
                print(_told(tasks), file=sys.stderr, flush=True)

    thread = threading.Thread(target=speak, name="progress", daemon=True)
    thread.start()
    try:
        with logging_redirect_tqdm() if terminal and logging.root.handlers else ExitStack():
            yield
    finally:
        ended.set()
        thread.join()


def _told(tasks: list[_Task]) -> str:
    """One line for tasks inside each other: of those around the innermost only what is counted."""
    now = time.monotonic()
    parts, name = [], ""
    for one in tasks:
        name = f"{name}: {one.name}" if name else one.name
        if one.total is not None or one is tasks[-1]:
            parts.append(line(name, one.done, one.total, one.unit, now - one.started))
            name = ""
    return "; ".join(parts)
