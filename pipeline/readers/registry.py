"""The readers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.readers import styles, voc


@dataclass(frozen=True)
class Reader:
    """Turns one layout into a label table.

    layout : what it reads, for people.
    arguments : an example of its command line's.
    main : its command line, called with the arguments after the reader's name.
    """

    layout: str
    arguments: str
    main: Callable[[Sequence[str]], None]


READERS = {
    "voc": Reader("PASCAL VOC", "VOCdevkit/VOC2007 --out labels.csv", voc.main),
    "styles": Reader("Kaggle's Fashion Product Images", "styles.csv --out labels.csv", styles.main),
}
"""Everything that names readers is made from this: the command line, its help, docs/data.md."""
