"""Pictures of a table by row number, as browsers show them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image

from pipeline.data import image_files, loading

SIDES = (240, 1200)
"""Longest sides in pixels: of a sheet's pictures, and of one alone."""
KEPT = 400
"""Pictures that are kept in memory."""


class Pictures:
    """JPEGs of image files, upright, RGB, no larger than asked for.

    folder, names : where the files are, and each one's name [N].
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, names
        self.jpeg = lru_cache(maxsize=KEPT)(self._jpeg)

    def _jpeg(self, row: int, side: int) -> bytes:
        """The picture of a row.

        Raises
        ------
        ImageError
            If the file can't be used.
        """
        picture, _ = loading.read(image_files.resolve(self._folder, self._names[row]), (side, side))
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        picture.info.clear()  # what a camera wrote beside the pixels stays out
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=85)
        return out.getvalue()
