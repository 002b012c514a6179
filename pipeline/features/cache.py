"""Computed features by content: a folder of parts, each holding some passes under their keys.

A part is written whole or not at all, so that whatever an interrupted run leaves is sound. Parts
serve runs to come: a run takes from them what it needs and computes the rest. Any part, or the
whole folder, may be deleted at any time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data.loading import Request
from pipeline.features.store import FeatureWriter
from pipeline.npy import RowFile

KEY = np.dtype("S40")
"""40 hexadecimal digits."""
Keys = npt.NDArray[np.bytes_]


@dataclass(frozen=True)
class Work(Request):
    """Views of one image that are to be passed through the network, and the key of each pass."""

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


OPEN = 64
"""Parts whose files are kept open at a time."""
FILES = ("keys.npy", "map.npy", "pooled.npy")


def write(folder: Path, keys: Sequence[bytes], maps: np.ndarray, pooled: np.ndarray) -> Path:
    """Add a part of n passes.

    Parameters
    ----------
    maps : float16 [n, h, w, C].
    pooled : float32 [n, C].
    """
    names = np.array(keys, dtype=KEY)
    part = folder / _name(names)
    with _staged(part) as staging:
        for name, array in zip(FILES, (names, maps, pooled), strict=True):
            np.save(staging / name, array)
    return part


def link(folder: Path, keys: Keys, maps: Path, pooled: Path) -> str:
    """Add a part whose arrays are those of two files, by hard links: no byte is written twice.

    Returns
    -------
    Its name.

    Raises
    ------
    OSError
        If the file system has no hard links between the two places.
    """
    name = _name(keys.astype(KEY))
    with _staged(folder / name) as staging:
        np.save(staging / FILES[0], keys.astype(KEY))
        for target, source in zip(FILES[1:], (maps, pooled), strict=True):
            os.link(source, staging / target)
    return name


def remove(folder: Path, names: Sequence[str]) -> None:
    """Delete the parts named."""
    for name in names:
        shutil.rmtree(folder / name, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Delete what killed runs left unfinished; no other run may be at work in the folder."""
    for path in folder.glob(".*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


class Parts:
    """What the parts of a folder hold, as it is now; a part that is damaged counts as absent."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._folders: list[Path] = []
        names, part, row = [np.empty(0, KEY)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        self._arrays = lru_cache(maxsize=OPEN)(self._open)
        for candidate in _listed(folder):
            try:
                keys = np.load(candidate / FILES[0])
                for name in FILES[1:]:
                    file = RowFile(candidate / name)
                    file.close()
                    if len(file) != len(keys):
                        raise ValueError("as many rows as keys")
            except (OSError, ValueError, EOFError):
                continue
            names.append(keys.astype(KEY))
            part.append(np.full(len(keys), len(self._folders)))
            row.append(np.arange(len(keys)))
            self._folders.append(candidate)
        everything = np.concatenate(names)
        self._keys, first = np.unique(everything, return_index=True)
        self._part, self._row = np.concatenate(part)[first], np.concatenate(row)[first]

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def map_shape(self) -> tuple[int, int, int] | None:
        """(h, w, C) of the maps; None where there is no part."""
        if not self._folders:
            return None
        h, w, channels = self._arrays(0)[0].shape[1:]
        return h, w, channels

    def has(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Whether each pass is there; bool of the shape of ``keys``."""
        return np.isin(keys, self._keys)

    def names_within(self, keys: Keys) -> list[str]:
        """The parts that hold nothing but passes among ``keys``."""
        inside = np.isin(self._keys, keys)
        other = np.unique(self._part[~inside])
        return [part.name for n, part in enumerate(self._folders) if n not in other]

    def take(self, keys: Keys) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
        """Maps float16 [n, h, w, C] and pooled features float32 [n, C] of keys [n].

        Raises
        ------
        KeyError
            If one is not there.
        """
        place = np.searchsorted(self._keys, keys)
        place = np.minimum(place, len(self._keys) - 1)
        absent = self._keys[place] != keys if len(self._keys) else np.ones(len(keys), dtype=bool)
        if absent.any():
            raise KeyError(keys[absent][0].decode())
        shape = self.map_shape
        assert shape is not None
        maps = np.empty((len(keys), *shape), dtype=np.float16)
        pooled = np.empty((len(keys), shape[-1]), dtype=np.float32)
        part, row = self._part[place], self._row[place]
        for number in np.unique(part):
            inside = part == number
            files = self._arrays(int(number))
            maps[inside], pooled[inside] = (file.take(row[inside]) for file in files)
        return maps, pooled

    def _open(self, number: int) -> tuple[RowFile, RowFile]:
        folder = self._folders[number]
        return RowFile(folder / FILES[1]), RowFile(folder / FILES[2])


def _name(keys: Keys) -> str:
    return hashlib.sha256(keys.tobytes()).hexdigest()[:16]


def _listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[!.]*") if path.is_dir())


@contextmanager
def _staged(part: Path) -> Iterator[Path]:
    """A folder to write a part in; it gets its name in the end, the same part there makes way."""
    part.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{part.name}.", dir=part.parent))
    try:
        staging.chmod(0o755)  # as any other folder: workers may belong to several users
        yield staging
        earlier = staging.with_name(f"{staging.name}.earlier")
        with suppress(FileNotFoundError):
            part.rename(earlier)
        staging.rename(part)
        shutil.rmtree(earlier, ignore_errors=True)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


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
            linked.append(link(folder, named[:, view], maps, pooled))
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return False
    remove(folder, [name for name in superseded if name not in linked])
    return True


def forget(cache: Path) -> None:
    """Delete all but the `KEPT` folders of parts that were used last."""
    folders = [path for path in cache.iterdir() if path.is_dir()] if cache.is_dir() else []
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
