"""Fonts that have the letters of the user's names."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

DEFAULT = "DejaVu Sans"
"""Comes with matplotlib: the same everywhere."""
SHOWN = 10
log = logging.getLogger("plots")


def families(texts: Iterable[str]) -> list[str]:
    """`DEFAULT`, and after it installed fonts that have characters of ``texts`` that it lacks.

    Matplotlib takes each character from the first that has it. What no installed font has is said
    once, and shows as boxes.
    """
    wanted = {ord(one) for text in texts for one in text if not _invisible(one)}
    missing = wanted - _characters(_default())
    found = [DEFAULT]
    if not missing:
        return found
    for name, path in _installed():
        if here := missing & _characters(path):
            found.append(name)
            missing -= here
        if not missing:
            return found
    _tell("".join(map(chr, sorted(missing)[:SHOWN])))
    return found


@cache
def _tell(letters: str) -> None:
    log.warning(
        "no installed font has %s: in pictures such names show as boxes; install one that does, as "
        "the package fonts-noto-cjk",
        letters,
    )


def _invisible(character: str) -> bool:
    """Space, joiners, marks of variants: nothing that a font would have to show."""
    return character.isspace() or unicodedata.category(character) in ("Cf", "Cc", "Mn", "Cs")


def _default() -> str:
    return str(font_manager.findfont(DEFAULT))


@cache
def _installed() -> Sequence[tuple[str, str]]:
    """Name and file of each font, in an order that does not depend on the machine's folders."""
    fonts = font_manager.fontManager.ttflist
    own = {(font.name, font.fname) for font in fonts if font.style == "normal"}
    # The last resort has a box for everything.
    return sorted(one for one in own if one[0] != DEFAULT and "Last Resort" not in one[0])


@cache
def _characters(path: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a font that can't be read has nothing
        return frozenset()
