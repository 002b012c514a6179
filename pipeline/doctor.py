"""python -m pipeline.doctor: locks, leftovers, room on the disks, versions and damage, looked at.

It tells and changes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import params
from pipeline.errors import PipelineError, run
from pipeline.features import cache
from pipeline.files import leftovers, readable

DISTRIBUTION = "fill-image-attributes"
WRITTEN = (Path("data"), Path("models"), Path("reports"), Path(".cache/features"))
"""Folders in which runs write."""
LOCK = Path(".dvc/tmp/rwlock")
"""DVC's list of who reads and writes what, in JSON."""
RECORD = Path("dvc.lock")
"""DVC's record of what every stage read and wrote, in YAML."""
SCARCE = 1_000_000_000
"""Free bytes below which a disk is said to be nearly full."""


@dataclass(frozen=True)
class Finding:
    """What was seen, and what to do about it; nothing where all is well."""

    seen: str
    advice: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 1 where something is to be done, else 0."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.doctor", description=__doc__)
    parser.parse_args(arguments)
    found = [*versions(), *settings(), *locks(), *record(), *unfinished(), *space(), *damage()]
    for one in found:
        print(f"PROBLEM  {one.seen}; {one.advice}" if one.advice else f"ok       {one.seen}")
    return int(any(one.advice for one in found))


def versions() -> Iterator[Finding]:
    """Python and the packages that this project needs."""
    yield Finding(f"Python {platform.python_version()} on {platform.system()}")
    try:
        needed = [Requirement(one) for one in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:
        yield Finding(
            f"{DISTRIBUTION} is not installed", "run `make install` or `pip install -e .`"
        )
        return
    for one in (one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})):
        try:
            found = version(one.name)
        except PackageNotFoundError:
            yield Finding(f"{one} is not installed", "run `pip install -c constraints.txt -e .`")
            continue
        if one.specifier.contains(found, prereleases=True):
            yield Finding(f"{one.name} {found}")
        else:
            yield Finding(
                f"{one.name} {found}, where {one} is needed",
                "run `pip install -c constraints.txt -e .`",
            )


def settings() -> Iterator[Finding]:
    """Whether params.yaml can be used."""
    try:
        params.load()
    except PipelineError as error:
        yield Finding(str(error), "mend params.yaml")
    else:
        yield Finding("params.yaml is valid")


def locks(file: Path = LOCK) -> Iterator[Finding]:
    """DVC's file of locks: a full disk or a kill may have cut it off, and then DVC does nothing."""
    remove = f"see that no DVC is at work in this project, then run `rm {file}`"
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        holders = {
            int(one["pid"])
            for by_path in (entries.get("read", {}), entries.get("write", {}))
            for held in by_path.values()
            for one in (held if isinstance(held, list) else [held])
        }
    except FileNotFoundError:
        yield Finding("no lock of DVC's is held")
    except OSError as error:
        yield Finding(f"{file} can't be read ({error.strerror})", "mend its rights with chmod")
    except (ValueError, LookupError, TypeError, AttributeError):
        yield Finding(f"{file} is damaged, as a full disk leaves it: DVC will not run", remove)
    else:
        alive = sorted(pid for pid in holders if _is_alive(pid))
        dead = sorted(holders - set(alive))
        if dead:
            yield Finding(f"{file} names processes that are gone: {dead}", remove)
        elif alive:
            yield Finding(f"DVC is at work: processes {alive}")
        else:
            yield Finding("no lock of DVC's is held")


def record(file: Path = RECORD) -> Iterator[Finding]:
    """DVC's record, which it writes in place: a kill at that moment cuts it off."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe", pure=True).load(file.read_text("utf-8")))
    except FileNotFoundError:
        yield Finding(f"no {file} yet")
    except OSError as error:
        yield Finding(f"{file} can't be read ({error.strerror})", "mend its rights with chmod")
    except (ValueError, YAMLError, Invalid):
        yield Finding(
            f"{file} is damaged, as a kill leaves it while DVC writes it: DVC will not run",
            f"run `rm {file}`, then `dvc repro`, which takes outputs from its cache; or bring back "
            f"the committed one with `git checkout {file}`",
        )
    else:
        yield Finding(f"{file} is valid")


def unfinished() -> Iterator[Finding]:
    """What killed runs have left."""
    inside = [path for folder in WRITTEN if folder.is_dir() for path in folder.iterdir()]
    folders = [Path(), *WRITTEN, *(path for path in inside if path.is_dir())]
    left = [path for folder in folders for path in leftovers(folder)]
    if left:
        yield Finding(
            f"{len(left)} leftovers of killed runs: {', '.join(map(str, left[:5]))}",
            "the next run that writes there removes them; so may you",
        )
    else:
        yield Finding("no leftovers of killed runs")


def space() -> Iterator[Finding]:
    """Room on every file system that a run writes to."""
    seen: dict[int, Path] = {}
    for folder in (*WRITTEN, Path(".dvc/cache"), Path(tempfile.gettempdir())):
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not os.access(there, os.W_OK):
            yield Finding(f"{there} can't be written to", "give this user the right to it")
        if seen.setdefault(there.stat().st_dev, folder) is not folder:
            continue
        free = shutil.disk_usage(there).free
        scarce = "free some space before a run" if free < SCARCE else ""
        yield Finding(f"{readable(free)} free on the disk of {folder}", scarce)


def damage() -> Iterator[Finding]:
    """Cached features whose bytes are not those that were written."""
    folders = [path for path in cache.FOLDER.glob("*") if path.is_dir()]
    found = [line for folder in folders for line in cache.damaged(folder).values()]
    if found:
        yield Finding(
            f"{len(found)} parts of {cache.FOLDER} are damaged, as {found[0]}",
            "the next embed computes them anew; look whether the disk is failing",
        )
    else:
        yield Finding(f"no damage in {cache.FOLDER}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


if __name__ == "__main__":
    run(main)
