"""Small JPEGs for the page, within a budget of bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.data import images, jpegs, loading

LONGEST_SIDE = 128
"""Pixels."""
QUALITY = 70
MARKUP = 600
"""Bytes that the page takes for a picture beside the picture itself, at most about."""


def thumbnail(folder: Path, name: str) -> str:
    """A picture as the address of a small JPEG in itself; empty where the file can't be read any
    more."""
    try:
        return jpegs.embedded(jpegs.small(folder, name, LONGEST_SIDE, QUALITY))
    except images.ImageError:
        return ""


def within(
    budget: int, folder: Path, wanted: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, str]]:
    """`thumbnail` of the images wanted by each group, as far as ``budget`` bytes go.

    The first image of every group comes before the second of any, so that a small budget shows
    something of each.

    Parameters
    ----------
    wanted : group -> names of images, the most wanted first.

    Returns
    -------
    Group -> name -> address, in the order of ``wanted``.
    """
    longest = max((len(names) for names in wanted.values()), default=0)
    turns = [
        (group, names[place])
        for place in range(longest)
        for group, names in wanted.items()
        if place < len(names)
    ]
    found: dict[str, dict[str, str]] = {group: {} for group in wanted}
    threads = len(os.sched_getaffinity(0))
    made = loading.ahead(lambda turn: thumbnail(folder, turn[1]), turns, threads, 4 * threads)
    for (group, name), address in made:
        budget -= len(address) + MARKUP
        if budget < 0:
            break
        found[group][name] = address
    return found
