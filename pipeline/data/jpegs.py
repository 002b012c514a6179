"""Image files as small JPEGs, as pages show them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from pipeline.data import image_files, loading


def small(folder: Path, name: str, side: int, quality: int = 85) -> bytes:
    """An image file as a JPEG, upright, RGB, at most ``side`` pixels long, never enlarged, without
    what a camera wrote beside the pixels.

    Raises
    ------
    ImageError
        If the file can't be used.
    """
    picture, _ = loading.read(image_files.resolve(folder, name), (side, side))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.info.clear()
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality, optimize=True)
    return stream.getvalue()


def embedded(jpeg: bytes) -> str:
    """A JPEG as an address that holds it, ``data:image/jpeg;base64,...``."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
