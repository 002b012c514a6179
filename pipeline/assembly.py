"""From parts to the feature store, and back: what a finished store holds serves later runs."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import parts
from pipeline.features import FeatureWriter
from pipeline.parts import Parts
from pipeline.passes import Keys

ROWS = 256
"""Rows in memory at a time."""
NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK})
"""How a file system says that it has no hard links, or none between two places."""
KEPT = 3
"""Folders of parts that are kept: of so many backbones, sizes and precisions."""


def assemble(
    source: Parts, named: Keys, index: pd.DataFrame, meta: Mapping[str, Any], folder: Path
) -> None:
    """Write the store of ``index`` (image, sha256) into an empty ``folder``.

    Its bytes depend on the features alone, not on the parts that they come from.

    Parameters
    ----------
    named : key of every pass, [N, views]; all of them in ``source``.
    """
    shape = source.map_shape
    if shape is None:
        raise ValueError("no part to assemble from")
    images, views = named.shape
    with FeatureWriter(folder, images, views, shape) as writer:
        for start in range(0, images, ROWS):
            for view in range(views):
                writer.append(view, *source.take(named[start : start + ROWS, view]))
        writer.finish(index, meta)


def remember(store: Path, named: Keys, folder: Path) -> bool:
    """Keep a finished store's features as parts of ``folder``, by hard links, in place of the parts
    that hold nothing else; parts with other passes, of images or views that this store is without,
    stay.

    Returns
    -------
    Whether the file system could link; if not, ``folder`` keeps its parts.
    """
    superseded = Parts(folder).names_within(named)
    linked = []
    for view in range(named.shape[1]):
        maps, pooled = store / f"map_{view}.npy", store / f"pooled_{view}.npy"
        try:
            linked.append(parts.link(folder, named[:, view], maps, pooled))
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return False
    parts.remove(folder, [name for name in superseded if name not in linked])
    return True


def forget(cache: Path) -> None:
    """Delete all but the `KEPT` folders of parts that were used last."""
    folders = [path for path in cache.iterdir() if path.is_dir()] if cache.is_dir() else []
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
