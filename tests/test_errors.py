from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from pipeline.errors import PipelineError, did_you_mean, require_extra, run


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


def test_a_mistyped_name_is_asked_after() -> None:
    assert did_you_mean("colur", ["size", "colour"]) == "did you mean 'colour'?"
    assert did_you_mean("colur", {"size": 1, "colour": 2}, "; ") == "did you mean 'colour'?; "
    assert did_you_mean("hat", ["size", "colour"], "; ") == ""
    assert did_you_mean("hat", []) == ""


def test_a_missing_extra_is_one_line_with_the_command() -> None:
    require_extra("tune", {"pytest": "pytest"}, "tune: not installed:")
    packages = {"no_such_module": "no-such-package", "errno": "errno", "nor_this": "nor-this"}
    with pytest.raises(PipelineError) as error:
        require_extra("tune", packages, "tune: not installed:", instead="leave it")
    assert str(error.value) == (
        "tune: not installed: no-such-package and nor-this; "
        "pip install -c constraints.txt -e '.[tune]', or leave it"
    )
