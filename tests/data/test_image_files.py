"""The files that names stand for, and those in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import image_files, images
from pipeline.data.images import ImageError

COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]], dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "images"
    (inside / "sub").mkdir(parents=True)
    Image.fromarray(COLOURS).save(inside / "a.png")
    Image.fromarray(COLOURS).save(inside / "sub" / "b.png")
    Image.fromarray(COLOURS).save(tmp_path / "secret.png")
    return inside


@pytest.mark.parametrize("name", ["a.png", "sub/b.png", "sub/../a.png", "./a.png"])
def test_names_inside_the_folder(folder: Path, name: str) -> None:
    np.testing.assert_array_equal(
        images.resize(images.read(image_files.resolve(folder, name))[0], (2, 2)), COLOURS
    )


@pytest.mark.parametrize(
    "name", ["../secret.png", "sub/../../secret.png", "../images2/x.png", ".."]
)
def test_names_that_leave_the_folder(folder: Path, name: str) -> None:
    with pytest.raises(ImageError, match=r"'\.\.'") as caught:
        image_files.resolve(folder, name)
    assert caught.value.reason == "outside_folder"


def test_absolute_names_are_refused(folder: Path) -> None:
    for path in (folder / "a.png", folder.parent / "secret.png"):
        with pytest.raises(ImageError, match="absolute") as caught:
            image_files.resolve(folder, str(path))
        assert caught.value.reason == "outside_folder"


def test_symbolic_links(folder: Path, tmp_path: Path) -> None:
    (folder / "in.png").symlink_to("a.png")
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    (folder / "up").symlink_to(tmp_path)
    (folder / "broken.png").symlink_to("nothing.png")
    (folder / "loop.png").symlink_to("loop.png")
    (tmp_path / "link").symlink_to(folder)
    assert image_files.resolve(folder, "in.png").read_bytes() == (folder / "a.png").read_bytes()
    assert (
        image_files.resolve(folder, "out.png").read_bytes()
        == (tmp_path / "secret.png").read_bytes()
    )
    assert (
        image_files.resolve(folder, "sub/../out.png").read_bytes()
        == (tmp_path / "secret.png").read_bytes()
    )
    assert (
        image_files.resolve(tmp_path / "link", "a.png").read_bytes()
        == (folder / "a.png").read_bytes()
    )
    for name, reason in [
        ("up/secret.png", "outside_folder"),
        ("up/..", "outside_folder"),
        ("up", "missing"),
        ("broken.png", "missing"),
        ("loop.png", "missing"),
    ]:
        with pytest.raises(ImageError) as caught:
            image_files.resolve(folder, name)
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    "name", ["b.png", "", ".", "sub", "a.png/x", "x" * 5000, "a\0.png", "C:\\a"]
)
def test_missing_files(folder: Path, name: str) -> None:
    with pytest.raises(ImageError) as caught:
        image_files.resolve(folder, name)
    assert caught.value.reason == "missing"
    assert "\n" not in str(caught.value)


def test_a_missing_suffix_is_pointed_out(folder: Path) -> None:
    with pytest.raises(ImageError, match=r"^missing: 'a': .* ends in \.png$"):
        image_files.resolve(folder, "a")


@pytest.mark.skipif(os.name == "nt", reason="a backslash separates folders on Windows")
def test_a_backslash_is_part_of_a_name(folder: Path) -> None:
    (folder / "..\\secret.png").write_bytes((folder / "a.png").read_bytes())
    assert image_files.resolve(folder, "..\\secret.png").parent == folder


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders on Windows")
def test_a_pipe_is_no_image_and_does_not_block(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(ImageError, match="not a regular file"):
        image_files.resolve(folder, "pipe.png")
    with pytest.raises(ImageError, match="unreadable: not a regular file"):
        images.read(folder / "pipe.png")


def test_the_bytes_decide_and_not_the_suffix(folder: Path) -> None:
    for name in ("a.jpg", "a"):
        (folder / name).write_bytes((folder / "a.png").read_bytes())
        np.testing.assert_array_equal(
            images.resize(images.read(image_files.resolve(folder, name))[0], (2, 2)), COLOURS
        )


def test_list_images(folder: Path) -> None:
    for name in ("Z.JPG", "notes.txt", "._a.jpg", "sub/c.webp", "sub/c"):
        (folder / name).touch()
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "a.png").touch()
    (folder / "folder.png").mkdir()
    found = [path.relative_to(folder).as_posix() for path in image_files.list_images(folder)]
    assert found == ["Z.JPG", "a.png", "sub/b.png", "sub/c.webp"]


def test_links_to_nothing_are_listed(folder: Path) -> None:
    for name in ("gone.jpg", "gone", "loop.png"):
        (folder / name).symlink_to(name if name == "loop.png" else "nowhere")
    (folder / "linked.png").symlink_to("a.png")
    (folder / "linked").symlink_to("sub")
    found = [path.relative_to(folder).as_posix() for path in image_files.list_images(folder)]
    assert found == ["a.png", "gone.jpg", "linked.png", "loop.png", "sub/b.png"]
    assert len(image_files.list_files(folder)) == len(found) + 1


def test_list_images_has_every_ending_and_pictures_without_one(folder: Path) -> None:
    for name in ("b.heic", "c.HEIF", "d.jpe", "e.mpo", "f.jxl", "notes.txt", "README"):
        (folder / name).write_bytes(b"text of some length")
    (folder / "g").write_bytes((folder / "a.png").read_bytes())
    found = [path.relative_to(folder).as_posix() for path in image_files.list_images(folder)]
    assert found == ["a.png", "b.heic", "c.HEIF", "d.jpe", "e.mpo", "f.jxl", "g", "sub/b.png"]
    assert len(image_files.list_files(folder)) == len(found) + 2
