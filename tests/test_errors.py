from __future__ import annotations

import difflib
import errno
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from pipeline.errors import COMPARED, LONGEST_LINE, PipelineError, did_you_mean, require_extra, run


def _raise(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (PipelineError("labels.csv: row 3: bad"), 2, "error: labels.csv: row 3: bad\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            OSError(errno.ENOSPC, "No space left", "x.npy"),
            2,
            "space left on the disk while writing x",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "x.npy"), 2, "space left on the disk"),
        (OSError("4096 requested and 17 written"), 2, "no space left on the disk"),
        (
            RuntimeError(
                "file write failed: errno = 28, error message = 'No space left on device'"
            ),
            *(2, "no space left on the disk"),
        ),
        (ValueError("flush: No space left on device"), 2, "no space left on the disk"),
        (OSError(errno.EROFS, "Read-only file system", b"a/b"), 2, "error: a/b: Read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), 2, "give this user the right"),
        (FileNotFoundError(errno.ENOENT, "No such file", "data/x"), 2, "data/x: No such file"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "p"), 2, "p: Is a directory; a folder"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "p" * 300), 2, "choose a shorter name"),
        (OSError("something\nelse"), 2, "an output: something else; look at"),
        (
            MemoryError("Unable to allocate 9 GiB"),
            2,
            "not enough memory (Unable to allocate 9 GiB)",
        ),
    ],
)
def test_one_line_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(_raise(error))
    assert caught.value.code == code
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(_raise(ZeroDivisionError()))


def test_an_interrupt_while_packages_are_imported_is_one_line() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "pipeline.predict", "x.jpg"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:  # the time of each import, as it ends
            if line.endswith("| pipeline.errors\n") or "numpy" in line:
                process.send_signal(signal.SIGINT)
                break
        printed = process.stderr.read()
    assert process.returncode == 130
    assert [line for line in printed.splitlines() if not line.startswith("import time:")] == [
        "interrupted"
    ]


def test_an_interrupt_that_native_code_turns_into_an_error_is_one() -> None:
    code = (
        "import os, signal, sys; sys.argv[0] = '-m'; from pipeline.errors import run\n"
        "def main():\n"
        "    try: os.kill(os.getpid(), signal.SIGINT)\n"
        "    except KeyboardInterrupt: raise SystemError('error return without exception set')\n"
        "run(main)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted: run again") and done.stderr.count("\n") == 1


def test_no_error_is_longer_than_people_read(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise PipelineError(f"labels.csv: got {'x' * 9_000!r}, expected y; remove it")

    with pytest.raises(SystemExit):
        run(fails)
    line = capsys.readouterr().err.removeprefix("error: ").rstrip("\n")
    assert len(line) == LONGEST_LINE
    assert line.startswith("labels.csv: got 'xxx") and line.endswith("expected y; remove it")


def test_return_value_is_the_exit_code() -> None:
    for value, code in ((None, 0), (0, 0), (1, 1)):
        with pytest.raises(SystemExit) as caught:
            run(lambda value=value: value)
        assert caught.value.code == code


def test_a_mistyped_name_is_asked_after() -> None:
    assert did_you_mean("colur", ["size", "colour"]) == "did you mean 'colour'?"
    assert did_you_mean("colur", {"size": 1, "colour": 2}, "; ") == "did you mean 'colour'?; "
    assert did_you_mean("hat", ["size", "colour"], "; ") == ""
    assert did_you_mean("hat", []) == ""


def test_a_mistyped_name_among_many_is_compared_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [f"{number:06d}.jpg" for number in range(50_000)]
    original = difflib.get_close_matches

    def few(name: str, candidates: list[str], n: int) -> list[str]:
        assert len(candidates) <= COMPARED
        return original(name, candidates, n=n)

    monkeypatch.setattr(difflib, "get_close_matches", few)
    assert did_you_mean("04_9999.jpg", images) == "did you mean '049999.jpg'?"


def test_a_missing_extra_is_one_line_with_the_command() -> None:
    require_extra("tune", {"pytest": "pytest"}, "tune: not installed:")
    packages = {"no_such_module": "no-such-package", "errno": "errno", "nor_this": "nor-this"}
    with pytest.raises(PipelineError) as error:
        require_extra("tune", packages, "tune: not installed:", instead="leave it")
    assert str(error.value) == (
        "tune: not installed: no-such-package and nor-this; "
        "pip install -c constraints.txt -e '.[tune]', or leave it"
    )
