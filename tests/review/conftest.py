"""A server of the page over a small finished run."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from pipeline.data import answers
from pipeline.data.answers import Cell, Reading
from pipeline.review import session
from pipeline.review.pictures import Pictures
from pipeline.review.server import Run, Server
from tests import finished_run

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Site:
    """url : of the page, with its token; run : its stamp; truth : as `finished_run.make`."""

    url: str
    port: int
    run: str
    folder: Path
    truth: pd.DataFrame
    load: Callable[[], Run]

    @property
    def path(self) -> Path:
        return self.folder / "data/corrections.csv"

    def said(self) -> dict[Cell, str]:
        return answers.read(self.path, Reading({"colour"}))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """A finished run to copy, and its truth."""
    folder = tmp_path_factory.mktemp("template")
    return folder, finished_run.make(folder)


@pytest.fixture
def site(tmp_path: Path, template: tuple[Path, pd.DataFrame]) -> Iterator[Site]:
    shutil.copytree(template[0], tmp_path, dirs_exist_ok=True)

    def load() -> Run:
        reviewed = session.load(
            tmp_path / "data/images",
            folder=tmp_path / "data",
            path=tmp_path / "data/corrections.csv",
        )
        return Run(reviewed, Pictures(tmp_path / "data/images", reviewed.lists.table.given.images))

    server = Server(load(), TOKEN, "127.0.0.1", 0, load)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    stamp = server.run.session.stamp
    yield Site(server.url, server.server_address[1], stamp, tmp_path, template[1], load)
    server.shutdown()
    server.server_close()
