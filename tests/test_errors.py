from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from pipeline.errors import PipelineError, run


def _raise(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (PipelineError("labels.csv: row 3: bad"), 2, "error: labels.csv: row 3: bad\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left", "x.npy"), 2, "no space left on the disk"),
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
    with pytest.raises(FileNotFoundError):
        run(_raise(FileNotFoundError(errno.ENOENT, "gone")))


def test_return_value_is_the_exit_code() -> None:
    for value, code in ((None, 0), (0, 0), (1, 1)):
        with pytest.raises(SystemExit) as caught:
            run(lambda value=value: value)
        assert caught.value.code == code
