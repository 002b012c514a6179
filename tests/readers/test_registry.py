"""Every registered reader behind the one command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.readers.__main__ import main
from pipeline.readers.registry import READERS


def test_the_help_lists_every_reader(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    listed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for name, reader in READERS.items():
        assert f"{name} {reader.layout}" in listed


@pytest.mark.parametrize("name", READERS)
def test_a_reader_says_what_its_own_arguments_are(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    usage = capsys.readouterr().out
    assert usage.startswith(f"usage: python -m pipeline.readers {name} ")
    assert "--out FILE" in usage


@pytest.mark.parametrize("name", READERS)
def test_an_example_names_what_is_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = READERS[name].arguments.split()
    with pytest.raises(PipelineError, match=rf"^{arguments[0]}: "):
        main([name, *arguments])


def test_an_unknown_reader_is_asked_after() -> None:
    with pytest.raises(PipelineError) as error:
        main(["style", "styles.csv"])
    assert str(error.value) == (
        f"no reader 'style'; did you mean 'styles'? expected one of {', '.join(READERS)}"
    )


def test_both_command_lines_write_the_same_table(
    tmp_path: Path, run_module: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "styles.csv").write_text("id,gender,usage\n1,Men,Casual\n2,,Formal\n")
    columns = ("styles.csv", "--columns", "gender,usage", "--out")
    new = run_module("pipeline.readers", "styles", *columns, "new.csv")
    old = run_module("pipeline.readers.styles", *columns, "old.csv")
    assert (new.returncode, new.stderr) == (old.returncode, old.stderr) == (0, "")
    assert (tmp_path / "new.csv").read_bytes() == (tmp_path / "old.csv").read_bytes()
    assert new.stdout == old.stdout.replace("old.csv", "new.csv")
    unknown = run_module("pipeline.readers", "no-such-layout")
    assert (unknown.returncode, unknown.stderr) == (
        2, f"error: no reader 'no-such-layout'; expected one of {', '.join(READERS)}\n"
    )  # fmt: skip
