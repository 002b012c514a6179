"""Image files: the one that a name stands for, and those in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.data import images
from pipeline.data.images import ImageError

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jxl"}
    | {".mpo", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Lower-case endings by which `list_images` knows an image, among them formats that can't be
decoded, so that nobody misses them; `images.decode` looks at bytes only."""


def resolve(folder: Path, name: str) -> Path:
    """The file that an image name stands for.

    Parameters
    ----------
    folder : the image folder; may itself be a symbolic link.
    name : path relative to ``folder``.

    Raises
    ------
    ImageError
        ``outside_folder`` for an absolute name and for one that leaves the folder through ``..``
        or a link to a folder; ``missing`` where there is no regular file. A file in the folder may
        itself be a link to anywhere, as from a store or DVC's cache.
    """
    if "\0" in name:
        raise ImageError("missing", f"{name!r}: a file name cannot hold a NUL character")
    if Path(name).is_absolute():
        raise ImageError("outside_folder", f"{name!r} is an absolute path")
    path = folder / name
    # Not Path.resolve, which raises on a loop of links.
    root, real = Path(os.path.realpath(folder)), Path(os.path.realpath(path))
    parent = Path(os.path.realpath(path.parent))
    linked = Path(name).name not in ("", "..") and parent.is_relative_to(root)
    if not (linked or real.is_relative_to(root)):
        lexical = Path(os.path.normpath(root / name))
        through = "a symbolic link" if lexical.is_relative_to(root) else "'..'"
        raise ImageError("outside_folder", f"{name!r} leaves the image folder through {through}")
    try:
        problem = None if real.is_file() else _why_missing(path)
    except OSError as error:  # a name that is too long, a folder that may not be searched
        problem = error.strerror
    if problem is not None:
        raise ImageError("missing", f"{name!r}: {problem}")
    return path


def _why_missing(path: Path) -> str:
    if path.exists():
        return "is a folder" if path.is_dir() else "is not a regular file"
    for suffix in sorted(SUFFIXES):
        if Path(f"{path}{suffix}").is_file():
            return f"no such file, but there is one that ends in {suffix}"
    return "no such file"


def list_images(folder: Path) -> list[Path]:
    """The images below a folder, sorted: files that end in one of `SUFFIXES`, in any case, and
    those without an ending whose first bytes are an image's."""
    return [path for path in list_files(folder) if is_image(path)]


def is_image(path: Path) -> bool:
    """Whether a file's ending, or without one its first bytes, are those of an image."""
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError:
        return False
    return images.has_signature(start)


def list_files(folder: Path) -> list[Path]:
    """The files below a folder, sorted; links to nothing, too, so that nobody misses them.

    Hidden files and folders are passed over (``._x.jpg`` and ``.ipynb_checkpoints`` hold no
    images of the user's), and links to folders are not followed.
    """
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(parent, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.is_file() or not path.exists()]
    return sorted(found)
