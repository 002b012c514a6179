"""The one error that users see, and how a command line ends on it."""

from __future__ import annotations

import difflib
import errno
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


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


def did_you_mean(name: str, known: Iterable[str], end: str = "") -> str:
    """A question after the one of ``known`` that is most like a mistyped ``name``, then ``end``;
    nothing at all where none is alike."""
    close = difflib.get_close_matches(name, list(known), n=1)
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


def run(main: Callable[[], int | None]) -> NoReturn:
    """Call ``main`` and leave the process with its exit code.

    A `PipelineError` and a full disk end in one line on standard error and exit code 2, an
    interrupt in exit code 130; anything else is a defect and keeps its traceback.
    """
    try:
        sys.exit(main() or 0)
    except BrokenPipeError:
        # The reader, as `head`, has had enough; Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(
            f"error: no space left on the disk while writing {error.filename or 'an output'}; "
            "free some space and run again; what DVC removed before the stage comes back with "
            "`dvc checkout`",
            file=sys.stderr,
        )
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        print(
            "interrupted: run again (embed goes on where it was, other stages begin anew), or "
            "bring back what DVC removed before the stage with `dvc checkout`",
            file=sys.stderr,
        )
        sys.exit(EXIT_INTERRUPTED)
