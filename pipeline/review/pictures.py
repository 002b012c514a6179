"""Pictures of a table by row number, as browsers show them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pipeline.data import jpegs

SIDES = (240, 1200)
"""Longest sides in pixels: of a sheet's pictures, and of one alone."""
KEPT = 400
"""Pictures that are kept in memory."""


class Pictures:
    """Small JPEGs of image files.

    folder, names : where the files are, and each one's name [N].
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, names
        self.jpeg = lru_cache(maxsize=KEPT)(self._jpeg)

    def _jpeg(self, row: int, side: int) -> bytes:
        """The picture of a row, see `jpegs.small`."""
        return jpegs.small(self._folder, self._names[row], side)
