from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.features import cache
from pipeline.features.cache import Parts, keys
from pipeline.features.store import FeatureStore, stored

DIGESTS = [f"{number:064x}" for number in (3, 1, 2, 1)]
INDEX = pd.DataFrame({"image": list("abcd"), "sha256": DIGESTS})
NAMED = keys(DIGESTS, views=2, seed=0)
MAPS = np.random.default_rng(0).normal(size=(4, 2, 2, 3, 5)).astype(np.float32)
MAPS[3] = MAPS[1]


def write(folder: Path, cells: list[tuple[int, int]]) -> None:
    names = [NAMED[row, view] for row, view in cells]
    cache.write(folder, names, *stored(np.stack([MAPS[row, view] for row, view in cells])))


def store(space: Path, name: str) -> FeatureStore:
    (space / name).mkdir()
    cache.assemble(Parts(space / "parts"), NAMED, INDEX, {"grid": None}, space / name)
    return FeatureStore(space / name)


def test_the_store_does_not_depend_on_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "ROWS", 3)
    write(tmp_path / "parts", [(0, 0), (0, 1), (1, 0)])
    write(tmp_path / "parts", [(2, 1), (1, 1), (2, 0)])
    one = store(tmp_path, "one")
    for view in (0, 1):
        np.testing.assert_array_equal(
            one.maps(np.arange(4), view), MAPS[:, view].astype(np.float16)
        )
    cache.remove(tmp_path / "parts", [path.name for path in (tmp_path / "parts").iterdir()])
    for cell in [(3, 1), (2, 0), (2, 1), (3, 0), (0, 1), (0, 0)]:
        write(tmp_path / "parts", [cell])
    two = store(tmp_path, "two")
    for file in one.folder.iterdir():
        assert file.read_bytes() == (two.folder / file.name).read_bytes()


def test_a_store_serves_later_runs_by_links(tmp_path: Path) -> None:
    write(tmp_path / "parts", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)])
    one = store(tmp_path, "one")
    assert cache.remember(one.folder, NAMED, tmp_path / "parts")
    linked = sorted((tmp_path / "parts").iterdir())
    assert len(linked) == 2, "one for each view, and the parts that they supersede are gone"
    assert {(one / "map.npy").stat().st_nlink for one in linked} == {2}
    again = store(tmp_path, "again")
    for file in one.folder.iterdir():
        assert file.read_bytes() == (again.folder / file.name).read_bytes()


def test_what_a_smaller_store_is_without_is_not_forgotten(tmp_path: Path) -> None:
    write(tmp_path / "parts", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)])
    assert cache.remember(store(tmp_path, "one").folder, NAMED, tmp_path / "parts")
    fewer = NAMED[:2, :1]
    (tmp_path / "two").mkdir()
    cache.assemble(Parts(tmp_path / "parts"), fewer, INDEX[:2], {}, tmp_path / "two")
    assert cache.remember(tmp_path / "two", fewer, tmp_path / "parts")
    assert Parts(tmp_path / "parts").has(NAMED).all()


def test_without_hard_links_the_parts_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(errno.EXDEV, "no links here")

    write(tmp_path / "parts", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)])
    one = store(tmp_path, "one")
    monkeypatch.setattr(os, "link", refuse)
    assert not cache.remember(one.folder, NAMED, tmp_path / "parts")
    assert Parts(tmp_path / "parts").has(NAMED).all()


def test_the_folders_used_last_are_kept(tmp_path: Path) -> None:
    for age, name in enumerate(["a", "b", "c", "d", "e"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (100 - age, 100 - age))
    cache.forget(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    cache.forget(tmp_path / "absent")
