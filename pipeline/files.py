"""Writing outputs whole or not at all, and byte-stable."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError, fail, is_about_space, one_line

_LEFTOVER = re.compile(r"\.[0-9a-f]{16}\.partial")


@contextmanager
def replace_directory(path: str | Path) -> Iterator[Path]:
    """Yield an empty staging directory that takes the place of ``path`` on success.

    If the block raises, the staging directory is removed and an earlier ``path`` stays untouched.
    What killed runs have left beside it is removed.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    earlier = target.with_name(f".{target.name}.earlier")
    if earlier.is_dir() and not target.exists():  # killed between the two renames below
        earlier.rename(target)
    with _temporary(target, Path.mkdir) as staging:
        yield staging
        if target.exists():
            _remove(earlier)
            target.rename(earlier)
            staging.rename(target)
            _remove(earlier)
        else:
            staging.rename(target)


@contextmanager
def temporary_directory(folder: str | Path) -> Iterator[Path]:
    """Yield an empty directory in ``folder``, with a random name, that is removed in the end.

    Those that killed runs have left there are removed, too.
    """
    with _temporary(Path(folder, "a temporary folder"), Path.mkdir) as staging:
        yield staging


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Yield an empty file beside ``path`` that takes its place on success.

    If the block raises, that file is removed and an earlier ``path`` stays untouched. Its name is
    drawn at random, so that no other run and no file of the user's is in the way. What killed runs
    have left beside it is removed.
    """
    target = Path(path)
    if target.is_dir():  # now, and not when all is computed
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    with suppress(FileNotFoundError, NotADirectoryError):
        target.lstat()  # a name that is too long
    with _temporary(target, lambda path: path.touch(exist_ok=False)) as staging:
        yield staging
        to_disk(staging)
        staging.replace(target)


def check_space(needs: Iterable[tuple[Path, int]], advice: str) -> None:
    """Check that the file systems have room for what is going to be written.

    Parameters
    ----------
    needs : folders, which need not be there yet, and bytes to be written below each.
    advice : what to do where there is too little room, for the end of the message.

    Raises
    ------
    PipelineError
        If one has not; it names the folders, what they need and what is free.
    """
    systems: dict[int, tuple[Path, list[tuple[Path, int]]]] = {}
    for folder, size in needs:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        systems.setdefault(there.stat().st_dev, (there, []))[1].append((folder, size))
    for there, parts in systems.values():
        free = shutil.disk_usage(there).free
        if free < sum(size for _, size in parts):
            shares = " and ".join(f"{readable(size)} in {folder}" for folder, size in parts if size)
            raise PipelineError(
                f"{parts[0][0]}: {shares} would be written, {readable(free)} are free on that "
                f"disk; {advice}"
            )


def check_room(folder: Path, size: int) -> None:
    """Make sure that a file of ``size`` bytes can be written in ``folder``; none is left.

    For HDF5, whose process does not survive a disk that is full in the middle of a file.

    Raises
    ------
    OSError
        If there is no room.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if is_about_space(error):
            error.filename = str(folder)
            raise


def readable(size: float) -> str:
    """A number of bytes in the unit that suits it: 512 B, 3.4 kB, 20 MB, 1.5 TB."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    power = 0
    while size >= 999.5 and power < len(units) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.{1 if power and size < 9.95 else 0}f} {units[power]}"


def to_disk(path: str | Path) -> None:
    """Wait until the content of a file, or the names in a folder, would outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):  # nothing to wait for
            raise
    finally:
        os.close(descriptor)


def sweep(folder: str | Path) -> list[Path]:
    """Remove the temporary files and directories in ``folder`` whose run was killed, as nobody
    holds them; returns those removed."""
    swept = []
    for path in leftovers(folder):
        _remove(path)
        swept.append(path)
    return swept


def leftovers(folder: str | Path) -> list[Path]:
    """The temporary files and directories in ``folder`` that a killed run has left, sorted."""
    try:
        found = sorted(path for path in Path(folder).iterdir() if _LEFTOVER.fullmatch(path.name))
    except OSError:  # whoever writes there will say so
        return []
    return [path for path in found if not _is_held(path)]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def _temporary(target: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    """Make a file or directory with a random name beside ``target``, locked as long as the block
    and the process last, and remove it where it then still is.

    Errors of the operating system name ``target``; those of a write name nothing by themselves.
    """
    sweep(target.parent)
    path, descriptor = target, -1
    try:
        while descriptor < 0:
            path = target.with_name(f".{secrets.token_hex(8)}.partial")
            make(path)
            descriptor = os.open(path, os.O_RDONLY)
            with suppress(OSError):  # no locks on this file system: then nothing is swept, either
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists():  # another run swept it before it was locked
                os.close(descriptor)
                descriptor = -1
        yield path
    except OSError as error:
        if error.filename is not None or is_about_space(error):
            error.filename = str(error.filename or target).replace(str(path), str(target))
        raise
    finally:
        if descriptor >= 0:
            _remove(path)
            os.close(descriptor)


def _is_held(path: Path) -> bool:
    """Whether a run that lives holds ``path``, or that can't be known."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path, names: Iterable[str], out: str) -> None:
    """Write the SHA-256 of each of the files in ``folder`` into the file ``out`` beside them, and
    wait until all of them would outlive a power cut."""
    sums = {name: sha256(folder / name) for name in names}
    write_json(sums, folder / out)
    for path in (*(folder / name for name in sums), folder):
        to_disk(path)


def changed(folder: Path, sums: str, names: Iterable[str] | None = None) -> str | None:
    """What is wrong with files that `write_sums` has left, or None where they are as they were.

    Parameters
    ----------
    names : which; None for all that it was asked for.
    """
    try:
        expected = json.loads((folder / sums).read_text(encoding="utf-8"))
        wanted = expected.keys() if names is None else names
        other = [name for name in wanted if sha256(folder / name) != expected[name]]
    except OSError as error:
        return f"{Path(error.filename or folder).name}: {error.strerror}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"{sums} does not hold the files' hashes"
    return f"{other[0]} has other bytes than were written" if other else None


NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK})
"""How a file system says that it has no hard links, or none between two places."""


def link(source: str | Path, target: str | Path) -> None:
    """Make the file ``source`` appear as ``target``, too: by a hard link, or else by a copy."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copyfile(source, target)


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How texts begin that spreadsheets take for a formula and compute."""


def escape_formula(text: str) -> str:
    """``text`` as spreadsheets show it and compute nothing: after an apostrophe where it begins as
    a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""
    return f"'{text}" if text.startswith(FORMULA) else text


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with its texts and the names of its columns as of `escape_formula`."""
    return frame.rename(columns=escape_formula).map(
        lambda cell: escape_formula(cell) if isinstance(cell, str) else cell
    )


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write ``frame`` without its index, with ``\\n`` line ends on every platform."""
    with replace_file(path) as staging:
        frame.to_csv(staging, index=False, lineterminator="\n")


def read_csv(path: str | Path, texts: Collection[str] = ("image", "attribute")) -> pd.DataFrame:
    """What `write_csv` wrote; an attribute may be called NA, an empty number is NaN.

    Parameters
    ----------
    texts : columns whose cells are text, whatever they look like. An empty cell of theirs, and of
        a column ``value``, is an empty text.

    Raises
    ------
    PipelineError
        If there is no such file or no table in it.
    """
    try:
        head = pd.read_csv(path, nrows=0).columns
        empty = {column: [""] for column in head if column not in (*texts, "value")}
        types = {column: str for column in texts if column in head}
        return pd.read_csv(path, dtype=types, keep_default_na=False, na_values=empty)
    except (OSError, ValueError) as error:
        fail(path, f"can't be read as a table ({one_line(error)}); run `dvc repro`")


def write_json(content: Mapping[str, Any], path: str | Path) -> None:
    """Write ``content`` indented, in its own key order.

    Raises
    ------
    ValueError
        If a number is NaN or infinite: such a file is not JSON and breaks ``dvc metrics diff``.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with replace_file(path) as staging:
        staging.write_text(text + "\n", encoding="utf-8")
