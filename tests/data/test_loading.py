from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import augment, images
from pipeline.data.images import ImageError
from pipeline.data.loading import Pictures, read
from pipeline.errors import PipelineError

SIZE = (32, 24)


def saved(folder: Path, count: int) -> Pictures:
    """Noisy PNG files and the pictures of them."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    names, sha256 = [], []
    for i in range(count):
        content = io.BytesIO()
        values = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(values).save(content, "PNG")
        names.append(f"{i}.png")
        sha256.append(hashlib.sha256(content.getvalue()).hexdigest())
        (folder / names[-1]).write_bytes(content.getvalue())
    return Pictures(folder, names, sha256, SIZE, seed=3)


def expected(pictures: Pictures, row: int, view: int) -> np.ndarray:
    with Image.open(pictures.folder / pictures.names[row]) as image:
        return augment.views(image, SIZE, (view,), 3, pictures.sha256[row])[0]


@pytest.mark.parametrize(
    ("batch", "sizes"), [(2, [2, 2, 1]), (5, [5]), (8, [5]), (1, [1] * 5), (4, [4, 1])]
)
def test_batches_are_full_but_for_the_last(tmp_path: Path, batch: int, sizes: list[int]) -> None:
    pictures = saved(tmp_path / "p", 5)
    rows = np.array([4, 0, 0, 2, 1])
    found = list(pictures.batches(rows, batch))
    assert [one.shape for one in found] == [(n, *SIZE, 3) for n in sizes]
    assert {one.dtype for one in found} == {np.dtype("uint8")}
    for picture, row in zip(np.concatenate(found), rows, strict=True):
        assert (picture == expected(pictures, row, 0)).all()


def test_no_rows_are_no_batches(tmp_path: Path) -> None:
    assert list(saved(tmp_path / "p", 1).batches(np.zeros(0, dtype=int), 4)) == []


def test_views_are_those_of_the_feature_store(tmp_path: Path) -> None:
    pictures = saved(tmp_path / "p", 3)
    rows = np.arange(3)
    plain, first, second = (next(pictures.batches(rows, 3, view)) for view in (0, 1, 2))
    for row in rows:
        assert (first[row] == expected(pictures, row, 1)).all()
        assert (first[row] != plain[row]).any()
        assert (first[row] != second[row]).any()
    with Image.open(pictures.folder / "0.png") as image:
        assert (plain[0] == images.resize(image, SIZE)).all()


def test_a_changed_or_broken_file_is_named(tmp_path: Path) -> None:
    pictures = saved(tmp_path / "p", 3)
    (pictures.folder / "1.png").write_bytes((pictures.folder / "2.png").read_bytes())
    with pytest.raises(PipelineError, match=r"1\.png: has changed since the clean stage read it"):
        list(pictures.batches(np.arange(3), 2))
    (pictures.folder / "1.png").write_bytes(b"no picture")
    with pytest.raises(PipelineError, match=r"1\.png: .*run `dvc repro` again"):
        list(pictures.batches(np.arange(3), 2))
    (pictures.folder / "1.png").unlink()
    with pytest.raises(PipelineError, match=r"1\.png"):
        list(pictures.batches(np.arange(3), 2))


def test_a_reader_that_stops_early_leaves_no_thread_waiting(tmp_path: Path) -> None:
    stream = saved(tmp_path / "p", 6).batches(np.tile(np.arange(6), 50), 2)
    assert next(stream).shape[0] == 2
    stream.close()  # type: ignore[attr-defined]


def test_a_picture_is_read_with_the_hash_of_its_bytes(tmp_path: Path) -> None:
    Image.new("RGB", (640, 320), (9, 9, 9)).save(tmp_path / "a.jpg")
    whole, sha256 = read(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    assert (whole.size, sha256) == ((640, 320), hashlib.sha256(content).hexdigest())
    small, _ = read(tmp_path / "a.jpg", (40, 40))
    assert small.size == (160, 80), "no larger than twice what it is resized to"


@pytest.mark.parametrize("name", ["folder", "gone.png", "x" * 300])
def test_a_file_that_can_not_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageError, match=r"^unreadable: ") as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)
