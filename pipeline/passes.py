"""What is to be run through the network: each view of each image, named by its content.

A *pass* is one view of one image. Its key is a digest of the image's bytes and, for an augmented
view, of what draws its parameters, so that a renamed image, a new table or an interrupted run finds
what has been computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

KEY = np.dtype("S40")
"""40 hexadecimal digits."""
Keys = npt.NDArray[np.bytes_]


@dataclass(frozen=True)
class Work:
    """The passes of one image that are to be done: view numbers, and the key of each."""

    image: str
    sha256: str
    views: tuple[int, ...]
    keys: tuple[bytes, ...]


def keys(sha256: Sequence[str], views: int, seed: int) -> Keys:
    """The key of every pass, [N, views]; view 0, the plain one, does not depend on ``seed``.

    Parameters
    ----------
    sha256 : of each image's bytes, in hexadecimal.
    """
    names = np.empty((len(sha256), views), dtype=KEY)
    for row, digest in enumerate(sha256):
        for view in range(views):
            drawn = f"{digest}\0{seed}\0{view}" if view else digest
            names[row, view] = hashlib.sha256(drawn.encode()).hexdigest()[: KEY.itemsize].encode()
    return names


def missing(
    images: Sequence[str], sha256: Sequence[str], named: Keys, found: npt.NDArray[np.bool_]
) -> Iterator[Work]:
    """Work for the passes that are not ``found`` [N, views]; identical images count once."""
    seen: set[str] = set()
    for row in np.flatnonzero(~found.all(axis=1)).tolist():
        if sha256[row] in seen:
            continue
        seen.add(sha256[row])
        views = np.flatnonzero(~found[row])
        yield Work(
            image=images[row],
            sha256=sha256[row],
            views=tuple(views.tolist()),
            keys=tuple(named[row, views].tolist()),
        )
