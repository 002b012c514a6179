"""The one error that users see, and how a command line ends on it."""

from __future__ import annotations

import difflib
import errno
import heapq
import importlib.util
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import pipeline

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
LONGEST = 200
"""Characters of a list of names in a message."""
LONGEST_LINE = 500
"""Characters of an error's line: names and lists in it may be of any length."""
COMPARED = 200
"""Names that a mistyped one is compared with character by character."""


class PipelineError(Exception):
    """Bad input or an impossible request.

    The message is one line: the file, row, column or param, the value found, what is allowed and
    what to do about it.
    """


def fail(path: str | Path, what: str) -> NoReturn:
    """Raise the PipelineError about ``path``."""
    raise PipelineError(f"{path}: {what}") from None


def one_line(error: BaseException) -> str:
    """The message of ``error`` without line breaks."""
    return " ".join(str(error).split())


def shortened(line: str) -> str:
    """``line`` with something left out of its middle where it is longer than `LONGEST_LINE`: what
    is wrong stands at its begin, what to do about it at its end."""
    if len(line) <= LONGEST_LINE:
        return line
    end = LONGEST_LINE // 2
    return f"{line[: LONGEST_LINE - end - 5]} ... {line[-end:]}"


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names in quotes, joined by commas; of more than ``most`` the number of the others."""
    quoted = [repr(name if len(name) <= 60 else f"{name[:57]}...") for name in names]
    more = f" and {len(quoted) - most} more" if len(quoted) > most else ""
    shown = quoted[:most]
    while len(shown) > 1 and len(", ".join(shown)) > LONGEST:
        shown.pop()
        more = f" and {len(quoted) - len(shown)} more"
    return ", ".join(shown) + more


def did_you_mean(name: str, known: Iterable[str], end: str = "") -> str:
    """A question after the one of ``known`` that is most like a mistyped ``name``, then ``end``;
    nothing at all where none is alike."""
    candidates = list(known)
    if len(candidates) > COMPARED:  # difflib takes seconds for as many as a table has images
        pairs = {name[i : i + 2] for i in range(len(name) - 1)}
        candidates = heapq.nlargest(
            COMPARED, candidates, key=lambda one: sum(pair in one for pair in pairs) - len(one) / 99
        )
    close = difflib.get_close_matches(name, candidates, n=1)
    return f"did you mean {close[0]!r}?{end}" if close else ""


def require_extra(
    extra: str, packages: Mapping[str, str], wanted: str, instead: str | None = None
) -> None:
    """Check that what an optional extra of this project brings is installed.

    Parameters
    ----------
    extra : as in ``pip install -e '.[extra]'``.
    packages : name that is imported -> name of the package.
    wanted : the begin of the message, before the lacking packages.
    instead : what else would do, for the end of the message.

    Raises
    ------
    PipelineError
        If one is not; it names the package and says what to install.
    """
    lacking = [name for module, name in packages.items() if not importlib.util.find_spec(module)]
    if lacking:
        advice = f", or {instead}" if instead else ""
        raise PipelineError(
            f"{wanted} {' and '.join(lacking)}; "
            f"pip install -c constraints.txt -e '.[{extra}]'{advice}"
        )


def explained(error: OSError, instead: str = "an output") -> str:
    """One line on what the operating system refused, and what to do about it.

    Parameters
    ----------
    instead : names the file where the error does not.
    """
    name = error.filename
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    path = name if isinstance(name, str) and name else instead
    if is_about_space(error):
        return (
            f"no space left on the disk while writing {path}; free some space and run again; what "
            "DVC removed before the stage comes back with `dvc checkout`"
        )
    found = error.strerror or one_line(error)[:300] or type(error).__name__
    advice = _ADVICE.get(error.errno or 0, "look at the file and its folder, and run again")
    return f"{path}: {found}; {advice}"


def is_about_space(error: OSError) -> bool:
    """Whether the disk or the user's share of it is full."""
    # NumPy raises an error without a number where fewer bytes were written than it asked for.
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or bool(_SHORT_WRITE.search(str(error)))


_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_HDF5 = re.compile(r"errno = (\d+), error message = '([^']*)'")
_ADVICE = {
    errno.EROFS: "its file system can't be written to: choose another place, or mount it anew",
    errno.EACCES: "give this user the right to it (`ls -ld` shows whose it is)",
    errno.EPERM: "give this user the right to it (`ls -ld` shows whose it is)",
    errno.ENOENT: "make it, or bring it back with `dvc repro` or `dvc checkout`",
    errno.EISDIR: "a folder is where a file is expected: remove it, or choose another name",
    errno.ENOTDIR: "a file is where a folder is expected: remove it, or choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk, or the connection to it, may be failing",
    errno.EMFILE: "allow more open files with `ulimit -n`",
}


def _refused(error: BaseException) -> OSError | None:
    """What the operating system refused where ``error`` is about that, else None."""
    if isinstance(error, OSError):
        return error
    # HDF5 and TensorFlow wrap it into errors of their own.
    found = _HDF5.search(str(error))
    if found is not None:
        return OSError(int(found[1]), found[2])
    full = os.strerror(errno.ENOSPC)
    return OSError(errno.ENOSPC, full) if full in str(error) else None


def run(main: Callable[[], int | None]) -> NoReturn:
    """Call ``main`` and leave the process with its exit code.

    A `PipelineError`, whatever the operating system refuses and a lack of memory end in one line on
    standard error and exit code 2, an interrupt in one line and exit code 130; anything else is a
    defect and keeps its traceback. With ``python -X dev`` all of them do.
    """
    stop = signal.getsignal(signal.SIGINT)
    interrupts: list[int] = []

    def interrupt(number: int, _: object) -> NoReturn:
        interrupts.append(number)
        raise KeyboardInterrupt

    try:
        if stop is getattr(pipeline, "_stop", None):
            signal.signal(signal.SIGINT, interrupt)
        code = main() or 0
        if stop is not None:
            signal.signal(signal.SIGINT, stop)
    except BaseException as error:
        if stop is not None:
            signal.signal(signal.SIGINT, stop)
        # Native code makes errors of its own of an interrupt.
        _end(KeyboardInterrupt() if interrupts else error)
    sys.exit(code)


def _end(error: BaseException) -> NoReturn:
    """Leave the process as ``error`` asks for."""
    if isinstance(error, KeyboardInterrupt):
        print(
            "interrupted: run again (embed goes on where it was, other stages begin anew), or "
            "bring back what DVC removed before the stage with `dvc checkout`",
            file=sys.stderr,
        )
        sys.exit(EXIT_INTERRUPTED)
    if isinstance(error, BrokenPipeError):
        # The reader, as `head`, has had enough; Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)
    if sys.flags.dev_mode and not isinstance(error, PipelineError):
        raise error
    if isinstance(error, PipelineError):
        line = shortened(one_line(error))
    elif isinstance(error, MemoryError):
        line = (
            f"not enough memory ({one_line(error) or 'all of it is in use'}); stop other programs"
        )
    elif refused := _refused(error):
        line = explained(refused)
    else:
        raise error
    print(f"error: {line}", file=sys.stderr)
    sys.exit(EXIT_BAD_INPUT)
