"""From parts to the feature store, and back: what a finished store holds serves later runs."""

from __future__ import annotations

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
    """Make a finished store the parts of ``folder``, by hard links, in place of those there.

    Returns
    -------
    Whether the file system could; if not, ``folder`` stays as it is.
    """
    links = [f"view_{view}" for view in range(named.shape[1])]
    try:
        for view, name in enumerate(links):
            maps, pooled = store / f"map_{view}.npy", store / f"pooled_{view}.npy"
            parts.link(folder, name, named[:, view], maps, pooled)
    except OSError:
        return False
    parts.remove(folder, but=links)
    return True


def forget(cache: Path) -> None:
    """Delete all but the `KEPT` folders of parts that were used last."""
    folders = [path for path in cache.iterdir() if path.is_dir()] if cache.is_dir() else []
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
