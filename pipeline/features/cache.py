"""Computed features by content, in a folder that serves runs to come.

The features of an image's view lie under a key that names the image's bytes, the view and the seed.
`missing` says what is still to be computed, `put` adds it, `assemble` makes the store of a run and
`keep` lets that store's files stand for what was put. Whatever is put is written whole or not at
all, into a shard (a subfolder) of its own with the hashes of its files, so that what an interrupted
run leaves is sound; `drop_damaged` removes what a failing disk has changed since. Any shard, or
the whole folder, may be deleted at any time.
"""

from __future__ import annotations

import errno
import fcntl
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
from pipeline.errors import PipelineError
from pipeline.features.store import FeatureWriter
from pipeline.files import NO_LINKS, changed, replace_file, to_disk, write_sums
from pipeline.npy import RowFile, save

KEY = np.dtype("S40")
"""40 hexadecimal digits."""
Keys = npt.NDArray[np.bytes_]

ROWS = 256
"""Rows in memory at a time."""
OPEN = 64
"""Shards whose files are kept open at a time."""
FOLDER = Path(".cache/features")
"""Where stage ``embed`` keeps a folder for each backbone, size and precision."""
KEPT = 3
"""Folders that are kept: of so many backbones, sizes and precisions."""
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP})
"""How a file system, of a network most often, says that it has no locks."""
FILES = KEYS, MAPS, POOLED = "keys.npy", "map.npy", "pooled.npy"
"""The files of a shard: [n] of type `KEY`, float16 [n, h, w, C] and float32 [n, C]."""
SUMS = "sha256.json"
"""The hash of each of a shard's files by its name."""
USED = "used"
"""In a folder of shards: a number that rises from run to run, whatever the clock says."""


@dataclass(frozen=True)
class Work(Request):
    """Views of one image whose features are to be computed, and the key of each."""

    keys: tuple[bytes, ...]


def keys(sha256: Sequence[str], views: int, seed: int) -> Keys:
    """The key of every image and view, [N, views]; view 0, the plain one, has no ``seed`` in it.

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


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Make ``folder`` and hold it: nobody else may delete what killed runs left unfinished there.

    Yields whether the file system has locks; without, what killed runs left stays.

    Raises
    ------
    PipelineError
        If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        locked = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PipelineError(
                f"{folder}: another embed with the same backbone is at work in this project; "
                "wait for it, or stop it"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            locked = False
        for path in folder.glob(".*"):
            if locked and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
        with replace_file(folder / USED) as staging:
            last = max([used for used, _ in _others(folder)], default=0)
            staging.write_text(f"{last + 1}\n", encoding="utf-8")
        yield locked


def drop_damaged(folder: Path, keys: Keys) -> list[str]:
    """Remove shards with some of ``keys`` whose files are not as they were written; a line each."""
    found = damaged(folder, keys)
    for shard in found:
        shutil.rmtree(shard, ignore_errors=True)
    return [f"{line}; it is computed anew" for line in found.values()]


def damaged(folder: Path, keys: Keys | None = None) -> dict[Path, str]:
    """The shards whose files are not as they were written, and a line on each.

    Parameters
    ----------
    keys : where given, sound shards with none of them are passed over unread.
    """
    found = {}
    wanted = None if keys is None else np.unique(keys)
    for shard in _shards(folder):
        problem = changed(shard, SUMS, [KEYS])
        if problem is None and (wanted is None or _among(np.load(shard / KEYS), wanted).any()):
            problem = changed(shard, SUMS, FILES)
        if problem:
            found[shard] = f"{shard}: damaged ({problem})"
    return found


def missing(folder: Path, images: Sequence[str], sha256: Sequence[str], keys: Keys) -> list[Work]:
    """What has still to be computed for ``keys`` [N, views]; identical images count once."""
    due = ~_Shards(folder).has(keys)
    first = {digest: row for row, digest in reversed(list(enumerate(sha256)))}
    return [
        Work(
            image=images[row],
            sha256=sha256[row],
            views=tuple(np.flatnonzero(due[row]).tolist()),
            keys=tuple(keys[row, due[row]].tolist()),
        )
        for row in np.flatnonzero(due.any(axis=1)).tolist()
        if first[sha256[row]] == row
    ]


def put(folder: Path, keys: Sequence[bytes], maps: np.ndarray, pooled: np.ndarray) -> None:
    """Add the features of n images and views.

    Parameters
    ----------
    maps : float16 [n, h, w, C].
    pooled : float32 [n, C].
    """
    with _new_shard(folder, np.array(keys, dtype=KEY)) as shard:
        save(shard / MAPS, maps)
        save(shard / POOLED, pooled)


def assemble(
    folder: Path, keys: Keys, index: pd.DataFrame, meta: Mapping[str, Any], store: Path
) -> None:
    """Write the store of ``index`` (image, sha256) into the empty folder ``store``.

    Its bytes depend on the features alone, not on how they were put into ``folder``.

    Parameters
    ----------
    keys : of every image and view, [N, views].

    Raises
    ------
    KeyError
        If the features of one are not there.
    """
    source = _Shards(folder)
    images, views = keys.shape
    shape = source.take(keys[:1, 0])[0].shape[1:]
    with FeatureWriter(store, images, views, shape) as writer:
        for start in range(0, images, ROWS):
            for view in range(views):
                writer.append(view, *source.take(keys[start : start + ROWS, view]))
        writer.finish(index, meta)


def keep(folder: Path, keys: Keys, store: Path) -> bool:
    """Let the finished ``store`` of ``keys`` stand for what was put, by hard links.

    Shards that hold nothing but features of the store go; those with features of other images or
    views stay.

    Returns
    -------
    Whether the file system could link; if not, ``folder`` stays as it is.
    """
    superseded = _Shards(folder).within(keys)
    for view in range(keys.shape[1]):
        try:
            with _new_shard(folder, keys[:, view]) as shard:
                os.link(store / f"map_{view}.npy", shard / MAPS)
                os.link(store / f"pooled_{view}.npy", shard / POOLED)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return False
        superseded.discard(folder / _name(keys[:, view]))
    for path in superseded:
        shutil.rmtree(path, ignore_errors=True)
    return True


def forget(folder: Path) -> None:
    """Delete the folders beside ``folder`` but for the `KEPT` - 1 that were used last."""
    for _, path in _others(folder)[: -(KEPT - 1)]:
        shutil.rmtree(path, ignore_errors=True)


def _others(folder: Path) -> list[tuple[int, Path]]:
    """The folders beside ``folder`` after their number in `USED`, rising."""
    others = (path for path in folder.parent.iterdir() if path.is_dir() and path != folder)
    return sorted((_used(path), path) for path in others)


def _used(folder: Path) -> int:
    try:
        return int((folder / USED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


class _Shards:
    """What the shards of a folder hold, as it is now; one that is damaged counts as absent."""

    def __init__(self, folder: Path):
        self._folders: list[Path] = []
        keys, shard, row = [np.empty(0, KEY)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        self._arrays = lru_cache(maxsize=OPEN)(self._open)
        for candidate in _shards(folder):
            try:
                own = np.load(candidate / KEYS)
                for name in (MAPS, POOLED):
                    file = RowFile(candidate / name)
                    file.close()
                    if len(file) != len(own):
                        raise ValueError("as many rows as keys")
            except Exception:  # NumPy raises many kinds for a damaged header
                continue
            keys.append(own.astype(KEY))
            shard.append(np.full(len(own), len(self._folders)))
            row.append(np.arange(len(own)))
            self._folders.append(candidate)
        self._keys, first = np.unique(np.concatenate(keys), return_index=True)
        self._shard, self._row = np.concatenate(shard)[first], np.concatenate(row)[first]

    def has(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Whether each is there; bool of the shape of ``keys``."""
        return _among(keys, self._keys)

    def within(self, keys: Keys) -> set[Path]:
        """The shards that hold nothing but some of ``keys``."""
        others = np.unique(self._shard[~np.isin(self._keys, keys)])
        return {path for number, path in enumerate(self._folders) if number not in others}

    def take(self, keys: Keys) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
        """Maps [n, h, w, C] and pooled features [n, C] of keys [n], or a KeyError."""
        absent = ~self.has(keys)
        if absent.any():
            raise KeyError(keys[absent][0].decode())
        place = np.searchsorted(self._keys, keys)
        shard, row = self._shard[place], self._row[place]
        shape = self._arrays(int(shard[0]))[0].shape[1:]
        maps = np.empty((len(keys), *shape), dtype=np.float16)
        pooled = np.empty((len(keys), shape[-1]), dtype=np.float32)
        for number in np.unique(shard):
            inside = shard == number
            files = self._arrays(int(number))
            maps[inside], pooled[inside] = (file.take(row[inside]) for file in files)
        return maps, pooled

    def _open(self, number: int) -> tuple[RowFile, RowFile]:
        folder = self._folders[number]
        return RowFile(folder / MAPS), RowFile(folder / POOLED)


def _among(keys: Keys, ordered: Keys) -> npt.NDArray[np.bool_]:
    """Whether each of ``keys`` is among the ``ordered`` ones; bool of the shape of ``keys``.

    `np.isin` sorts both anew for every few keys, which takes hours among a million.
    """
    place = np.searchsorted(ordered, keys)
    found = np.zeros(keys.shape, dtype=bool)
    inside = place < len(ordered)
    found[inside] = ordered[place[inside]] == keys[inside]
    return found


def _shards(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9a-f]" * 16) if path.is_dir())


def _name(keys: Keys) -> str:
    return hashlib.sha256(keys.tobytes()).hexdigest()[:16]


@contextmanager
def _new_shard(folder: Path, keys: Keys) -> Iterator[Path]:
    """A folder for a shard's maps and pooled features; in the end it gets its place and name, from
    which an earlier one with the same keys makes way."""
    folder.mkdir(parents=True, exist_ok=True)
    shard = folder / _name(keys)
    staging = Path(tempfile.mkdtemp(prefix=f".{shard.name}.", dir=folder))
    try:
        staging.chmod(0o755)  # as any other folder: workers may belong to several users
        save(staging / KEYS, keys)
        yield staging
        write_sums(staging, FILES, SUMS)
        earlier = staging.with_name(f"{staging.name}.earlier")
        with suppress(FileNotFoundError):
            shard.rename(earlier)
        staging.rename(shard)
        to_disk(folder)
        shutil.rmtree(earlier, ignore_errors=True)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
