"""Stage demo: drawn where the run reads it, and not for data of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.demo import paths
from pipeline.stages import demo

Write = Callable[[dict[str, Any]], Path]
OWN = {"data.labels": "mine/labels.csv", "data.images": "mine/images"}


@pytest.mark.parametrize(
    ("own", "drawn"),
    [
        ({}, True),
        (OWN, False),
        ({"data.labels": "mine/labels.csv"}, True),
        ({"data.images": "mine/images"}, True),
    ],
)
def test_it_is_drawn_where_it_is_read(
    own: dict[str, Any],
    drawn: bool,
    write_params: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_params({"demo.rows": 50, **own})
    monkeypatch.chdir(tmp_path)
    demo.main()
    assert paths.LABELS.is_file() == drawn
    assert len(list(paths.FOLDER.rglob("*.jpg"))) == (47 if drawn else 0)


def test_an_earlier_demo_goes_when_the_data_is_ones_own(
    write_params: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params({"demo.rows": 50})
    demo.main()
    write_params({"demo.rows": 50, **OWN})
    demo.main()
    assert [file.name for file in paths.FOLDER.iterdir()] == ["off.txt"]
