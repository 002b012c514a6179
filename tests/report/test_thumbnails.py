from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.report import thumbnails


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, size in (("wide.jpg", (600, 300)), ("small.png", (20, 10))):
        noise = Image.fromarray(rng.integers(0, 256, (10, 20, 3), dtype=np.uint8)).resize(size)
        exif = Image.Exif()
        exif[0x010F] = "a camera"
        noise.save(tmp_path / name, exif=exif)
    return tmp_path


def decoded(address: str) -> Image.Image:
    head, _, content = address.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_small_jpegs_in_their_own_proportions(folder: Path) -> None:
    assert decoded(thumbnails.thumbnail(folder, "wide.jpg")).size == (128, 64)
    assert decoded(thumbnails.thumbnail(folder, "small.png")).size == (20, 10), "never enlarged"


def test_what_a_camera_wrote_stays_out(folder: Path) -> None:
    assert Image.open(folder / "wide.jpg").getexif()
    assert not decoded(thumbnails.thumbnail(folder, "wide.jpg")).getexif()


def test_a_file_that_is_gone_is_an_empty_address(folder: Path) -> None:
    assert thumbnails.thumbnail(folder, "away.jpg") == ""
    assert thumbnails.thumbnail(folder, "../wide.jpg") == ""


def test_a_budget_gives_every_group_its_first_before_any_its_second(folder: Path) -> None:
    wanted = {"a": ["wide.jpg", "small.png"], "b": ["small.png"], "c": []}
    whole = thumbnails.within(10**6, folder, wanted)
    assert {group: list(own) for group, own in whole.items()} == wanted
    sizes = [len(whole["a"]["wide.jpg"]), len(whole["b"]["small.png"])]
    enough = sum(sizes) + 2 * thumbnails.MARKUP
    assert thumbnails.within(enough, folder, wanted) == {
        "a": {"wide.jpg": whole["a"]["wide.jpg"]},
        "b": whole["b"],
        "c": {},
    }
    assert thumbnails.within(0, folder, wanted) == {"a": {}, "b": {}, "c": {}}
