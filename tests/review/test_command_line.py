from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.review.__main__ import main
from tests import finished_run
from tests.conftest import ROOT


def test_it_prints_the_address_serves_and_ends_with_what_to_do_next(tmp_path: Path) -> None:
    finished_run.make(tmp_path, images=20)
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline.review", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        found = re.search(
            r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}$", process.stdout.readline().strip()
        )
        assert found
        with urllib.request.urlopen(found[0]) as reply:
            assert reply.status == 200
        process.send_signal(signal.SIGINT)
        try:
            rest, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert rest.splitlines()[-1] == (
        "0 answers in data/corrections.csv; they count from the next `dvc repro` on"
    )
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], r"--host 0\.0\.0\.0: other machines reach it; .* --token"),
        (["--host", "::"], "--host ::: other machines reach it"),
        (["--host", ""], "--host : other machines reach it"),
        (["--token", "short"], "--token: expected 16 or more letters"),
        (["--token", "with spaces in between"], "--token: expected 16 or more letters"),
        (["--port", "65536"], "--port 65536: expected 1 to 65535"),
        (["--host", "host.invalid", "--token", "a" * 16], r"--host host\.invalid: "),
        (["--host", "192.0.2.1", "--token", "a" * 16], r"--host 192\.0\.2\.1: "),
    ],
)
def test_addresses_that_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    finished_run.make(tmp_path, images=20)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match=f"^{message}"):
        main(arguments)


def test_without_a_finished_run_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished_run.make(tmp_path, images=20)
    shutil.rmtree(tmp_path / "data/imputed")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match="no finished run; run `dvc repro` first"):
        main([])
