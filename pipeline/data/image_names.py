"""Which file of the image folder each name of a table means, where it is not one to the letter."""

from __future__ import annotations

import os
import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path, PurePosixPath

from pipeline.data.image_files import SUFFIXES, resolve
from pipeline.data.images import ImageError

DEPTH = 5
"""Folders above a file of which any may be left out of its name; of deeper ones the outer ones."""
SEVERAL = 3
"""Files that a reason names where a name fits more than one."""
ALIKE = 0.5
"""Share of a name that the nearest file has to begin or end with to be worth naming."""

Key = Callable[[str], str]
_PARTED = re.compile(r"[/\\]")


@dataclass(frozen=True)
class Found:
    """What a name stands for.

    file : path below the folder, with slashes; the name itself where there is no such file.
    how : in what the name differs from ``file``; empty where it does not, or nothing was found.
    problem : a reason and its detail where no file, or not exactly one, fits; None else.
    """

    file: str
    how: str = ""
    problem: tuple[str, str] | None = None


class ImageNames:
    """The names of a table against the files of a folder.

    A name that is a file's to the letter is that file. Any other is resolved where exactly one
    picture fits: first among those in the same folder, then among those whose folders the name
    leaves out or that leave out folders of the name; each time by the same name, then by one in
    another case, then by one with another suffix or without. A file that fits two names differing
    in more than the spelling of a path is given to neither. No name leads out of the folder.

    Parameters
    ----------
    folder : the image folder; its files are listed when the first name needs it.

    Attributes
    ----------
    found : what the names that `locate` was asked for stand for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, Found] = {}
        self._indices: dict[tuple[Key, bool], dict[str, list[str]]] = {}
        self._roots = {os.path.abspath(folder), os.path.realpath(folder)}  # noqa: PTH100

    def exists(self, name: str) -> bool:
        """Whether ``name`` is a file's, to the letter or where exactly one fits."""
        return self._one(name).problem is None

    def is_named(self, name: str) -> bool:
        """Whether there is something of this very name in the folder."""
        return self._is_file(name)

    def locate(self, names: Iterable[str]) -> dict[str, Found]:
        """What each of ``names`` stands for."""
        found = {name: self._one(name) for name in dict.fromkeys(names)}
        if any(one.problem is None for one in found.values()):  # else the folder is another one
            found |= {
                name: self._with_nearest(one)
                for name, one in found.items()
                if one.problem is not None and one.problem[0] == "missing"
            }
        claims = defaultdict(list)
        for name, one in found.items():
            if one.problem is None:
                claims[one.file].append(name)
        for file, claimants in claims.items():
            if len(claimants) < 2:
                continue
            certain = [one for one in claimants if {*found[one].how.split(", ")} <= _SPELLINGS]
            for name in set(claimants) - set(certain):
                others = [other for other in claimants if other != name]
                detail = f"{name!r}: fits {file}, but so does {others[0]!r}; write the path"
                found[name] = Found(name, problem=("ambiguous", detail))
        self.found |= found
        return found

    def _one(self, name: str) -> Found:
        if "\0" in name:
            return Found(name, problem=("missing", f"{name!r}: no file name holds a NUL character"))
        inside = self._inside(name)
        if inside is None:
            return Found(name, problem=("outside_folder", f"{name!r}: an absolute path elsewhere"))
        if ".." in inside.split("/"):
            try:
                resolve(self.folder, inside)
            except ImageError as error:
                return Found(name, problem=(error.reason, error.detail))
            return Found(inside, _difference(name, inside, inside))
        if inside and self._is_file(inside):
            return Found(inside, _difference(name, inside, inside))
        found = self._fitting(inside)
        if len(found) == 1:
            return Found(found[0], _difference(name, inside, found[0]))
        if found:
            listed = ", ".join(found[:SEVERAL]) + (", ..." if len(found) > SEVERAL else "")
            return Found(name, problem=("ambiguous", f"{name!r}: fits {listed}; write the path"))
        return Found(name, problem=("missing", f"{name!r}: no such file"))

    def _is_file(self, name: str) -> bool:
        # What is no file is told when it is opened. False of a name that is too long.
        return os.path.exists(f"{self.folder}/{name}")  # noqa: PTH110 (a third of the time)

    def _inside(self, name: str) -> str | None:
        """``name`` as a path below the folder; None for an absolute one that is not below it."""
        if not _PARTED.search(name) and name != ".":
            return name
        path = name
        if "\\" in name and not self._is_file(name):  # else they belong to a file's name
            path = name.replace("\\", "/")
        if re.match(r"[A-Za-z]:/", path):
            return None
        if path.startswith("/"):
            roots = [root for root in self._roots if path.startswith(f"{root}/")]
            if not roots:
                return None
            path = path[len(roots[0]) :].lstrip("/")
        return "/".join(part for part in path.split("/") if part not in ("", "."))

    def _fitting(self, name: str) -> tuple[str, ...]:
        """The pictures, up to one more than `SEVERAL`, that fit best; empty where none does."""
        if not name or _stem(name.rsplit("/", 1)[-1]) not in self._stems:
            return ()
        for parts in (False, True):
            for key in (_composed, _caseless, _stem):
                own = key(name)
                found = list(self._index(key, parts).get(own, ()))
                if parts:
                    whole = self._index(key, False)
                    shorter = (whole.get(one, ()) for one in _shortened(own))
                    found += [file for files in shorter for file in files]
                if found:
                    return tuple(dict.fromkeys(found))
        return ()

    @cached_property
    def files(self) -> list[str]:
        """Paths of the folder's pictures, and of files without suffix, sorted."""
        found = []
        for parent, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            below = os.path.relpath(parent, self.folder)
            prefix = "" if below == "." else f"{below}/".replace(os.sep, "/")
            found += [
                prefix + name
                for name in names
                if not name.startswith(".") and ("." not in name or _suffix(name))
            ]
        return sorted(found)

    @cached_property
    def _stems(self) -> frozenset[str]:
        """The files' last parts without suffix: what is not among them fits no file."""
        return frozenset(_stem(file.rsplit("/", 1)[-1]) for file in self.files)

    def _index(self, key: Key, parts: bool) -> dict[str, list[str]]:
        """The files by their key, up to one more than `SEVERAL` each: by that of the whole path, or
        by those of the path without some of its folders."""
        if (key, parts) not in self._indices:
            found: dict[str, list[str]] = {}
            for file in self.files:
                own = key(file)
                for one in _shortened(own) if parts else (own,):
                    files = found.setdefault(one, [])
                    if len(files) <= SEVERAL:
                        files.append(file)
            self._indices[key, parts] = found
        return self._indices[key, parts]

    @cached_property
    def _sorted(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The files' last parts without suffix, sorted from their beginning and from their end."""
        pairs = [(_stem(PurePosixPath(file).name), file) for file in self.files]
        return sorted(pairs), sorted((last[::-1], file) for last, file in pairs)

    def _with_nearest(self, found: Found) -> Found:
        _, detail = found.problem or ("", "")
        near = self._nearest(found.file.replace("\\", "/"))
        hint = f"the nearest is {near}" if near else "none is alike"
        return Found(found.file, problem=("missing", f"{detail}; {hint}"))

    def _nearest(self, name: str) -> str | None:
        """The file whose last part shares most of its beginning and end with that of ``name``."""
        wanted = _stem(name.rsplit("/", 1)[-1])
        forward, backward = self._sorted
        near = {}
        for pairs, text in ((forward, wanted), (backward, wanted[::-1])):
            place = bisect_left(pairs, (text, ""))
            for _, file in pairs[max(0, place - 2) : place + 2]:
                last = _stem(file.rsplit("/", 1)[-1])
                start = _alike(last, wanted)
                end = _alike(last[start:][::-1], wanted[start:][::-1])
                near[file] = (start + end) / max(len(last), len(wanted), 1)
        best = max(sorted(near), key=lambda file: near[file], default=None)
        return best if best is not None and near[best] >= ALIKE else None


def _alike(one: str, other: str) -> int:
    """With how many equal characters two texts begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _suffix(name: str) -> str:
    """The ending of ``name`` where it is an image's, else nothing."""
    dot = name.rfind(".")
    return name[dot:] if dot > 0 and name[dot:].lower() in SUFFIXES else ""


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _caseless(name: str) -> str:
    return name.lower() if name.isascii() else _composed(_composed(name).casefold())


def _stem(name: str) -> str:
    last = name.rsplit("/", 1)[-1]
    return _caseless(name[: len(name) - len(_suffix(last))])


def _shortened(path: str) -> Iterator[str]:
    """``path`` without some or all of its folders, in their order."""
    *folders, last = path.split("/")
    if not folders:
        return
    kept = folders[-DEPTH:]
    for count in range(len(kept) + 1):
        for some in combinations(kept, count):
            if len(some) < len(folders):
                yield "/".join((*some, last))


_SPELLINGS = {"", "absolute path", "path written otherwise", "backslashes", "Unicode form"}
"""Differences with which a name still says the path of one file and no other."""


def _difference(name: str, inside: str, file: str) -> str:
    """In what ``name``, ``inside`` as a path below the folder, differs from ``file``, joined by
    commas; empty where in nothing."""
    if name == inside == file:
        return ""
    ways = []
    if name != inside:
        absolute = "absolute path" if name.startswith("/") else "path written otherwise"
        ways.append("backslashes" if "\\" in name and "\\" not in inside else absolute)
    (*above, last), (*folders, own) = inside.split("/"), file.split("/")
    if [_caseless(part) for part in above] != [_caseless(part) for part in folders]:
        ways.append("folder")
        above = folders
    if _suffix(last).lower() != _suffix(own).lower():
        ways.append("suffix")
        last, own = (one.removesuffix(_suffix(one)) for one in (last, own))
    if (given := [*above, last]) != (there := [*folders, own]):
        same = list(map(_composed, given)) == list(map(_composed, there))
        ways.append("Unicode form" if same else "case")
    return ", ".join(ways)
