"""The cache: what is put is found again by its content, and no store depends on how it was put."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.features import cache
from pipeline.features.store import FeatureStore, stored

DIGESTS = [f"{number:064x}" for number in (3, 1, 2, 1)]
IMAGES = list("abcd")
INDEX = pd.DataFrame({"image": IMAGES, "sha256": DIGESTS})
KEYS = cache.keys(DIGESTS, views=2, seed=0)
MAPS = np.random.default_rng(0).normal(size=(4, 2, 2, 3, 5)).astype(np.float32)
MAPS[3] = MAPS[1]
EVERY = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def put(folder: Path, cells: list[tuple[int, int]]) -> Path:
    """Put the (row, view) named, and say in which shard they are."""
    before = set(shards(folder))
    keys = [KEYS[row, view] for row, view in cells]
    cache.put(folder, keys, *stored(np.stack([MAPS[row, view] for row, view in cells])))
    (shard,) = set(shards(folder)) - before
    return shard


def shards(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir())


def due(folder: Path) -> list[tuple[str, tuple[int, ...]]]:
    work = cache.missing(folder, IMAGES, DIGESTS, KEYS)
    return [(one.image, one.views) for one in work]


def store(folder: Path, name: str, rows: int = 4, views: int = 2) -> FeatureStore:
    path = folder.with_name(name)
    path.mkdir()
    cache.assemble(folder, KEYS[:rows, :views], INDEX[:rows], {"grid": None}, path)
    return FeatureStore(path)


def assert_same_bytes(one: FeatureStore, other: FeatureStore) -> None:
    for file in one.folder.iterdir():
        assert file.read_bytes() == (other.folder / file.name).read_bytes()


def test_keys_name_content_view_and_seed() -> None:
    named = cache.keys(DIGESTS, views=3, seed=7)
    assert (named.shape, named.dtype) == ((4, 3), cache.KEY)
    # Identical images share their keys; every other key is a key of its own.
    assert (named[1] == named[3]).all()
    assert len(np.unique(named[:3])) == 9
    other = cache.keys(DIGESTS, views=3, seed=8)
    assert (other[:, 0] == named[:, 0]).all(), "the plain view depends on no seed"
    assert (other[:, 1:] != named[:, 1:]).all()
    assert (cache.keys(DIGESTS, views=2, seed=7) == named[:, :2]).all()


def test_only_what_is_missing_and_once(folder: Path) -> None:
    assert due(folder) == [("a", (0, 1)), ("b", (0, 1)), ("c", (0, 1))], "of an absent folder"
    work = cache.missing(folder, IMAGES, DIGESTS, KEYS)
    assert (work[1].sha256, work[1].keys) == (DIGESTS[1], tuple(KEYS[1].tolist()))
    put(folder, [(0, 0), (0, 1), (1, 0)])
    (second, third) = cache.missing(folder, IMAGES, DIGESTS, KEYS)
    assert (second.image, second.views, second.keys) == ("b", (1,), (KEYS[1, 1],))
    assert (third.image, third.views, third.keys) == ("c", (0, 1), tuple(KEYS[2].tolist()))
    put(folder, [(1, 1), (2, 0), (2, 1)])
    assert due(folder) == []


def test_the_store_depends_on_the_features_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "ROWS", 3)
    put(folder, [(0, 0), (0, 1), (1, 0)])
    put(folder, [(2, 1), (1, 1), (2, 0)])
    one = store(folder, "one")
    assert one.map_shape == (2, 3, 5)
    for view in (0, 1):
        half = MAPS[:, view].astype(np.float16)
        np.testing.assert_array_equal(one.maps(np.arange(4), view), half)
        pooled = half.astype(np.float32).mean(axis=(1, 2))
        np.testing.assert_array_equal(one.pooled(np.arange(4), view), pooled)
    shutil.rmtree(folder)
    for cell in [(3, 1), (2, 0), (2, 1), (3, 0), (0, 1), (0, 0)]:
        put(folder, [cell])
    assert_same_bytes(one, store(folder, "two"))


def test_no_store_of_features_that_are_not_there(folder: Path) -> None:
    with pytest.raises(KeyError, match=KEYS[0, 0].decode()):
        store(folder, "of nothing")
    put(folder, EVERY[:5])
    with pytest.raises(KeyError, match=KEYS[2, 1].decode()):
        store(folder, "of too little")


def test_damaged_and_unfinished_shards_count_as_absent_and_are_written_anew(folder: Path) -> None:
    cells = [[(0, 0), (0, 1)], [(1, 0)], [(1, 1), (2, 0), (2, 1)]]
    first, second, third = (put(folder, some) for some in cells)
    whole = (first / "map.npy").read_bytes()
    (first / "map.npy").write_bytes(whole[:-3])
    (second / "pooled.npy").unlink()
    shutil.copytree(third, folder / ".killed.123")
    assert due(folder) == [("a", (0, 1)), ("b", (0,))]
    for shard, some in zip((first, second), cells, strict=False):
        keys = [KEYS[row, view] for row, view in some]
        cache.put(folder, keys, *stored(np.stack([MAPS[row, view] for row, view in some])))
        assert shard.is_dir()
    assert due(folder) == []
    with cache.alone(folder):
        assert shards(folder) == sorted([first, second, third])


def test_only_one_run_at_a_time_in_a_folder(folder: Path) -> None:
    with (
        cache.alone(folder),
        pytest.raises(PipelineError, match="another embed with the same backbone is at work"),
        cache.alone(folder),
    ):
        pass
    with cache.alone(folder):
        pass


def test_a_store_serves_later_runs_by_links(folder: Path) -> None:
    put(folder, EVERY)
    one = store(folder, "one")
    assert cache.keep(folder, KEYS, one.folder)
    linked = shards(folder)
    assert len(linked) == 2, "one for each view, and those that they supersede are gone"
    assert {(path / "map.npy").stat().st_nlink for path in linked} == {2}
    assert_same_bytes(one, store(folder, "again"))
    assert cache.keep(folder, KEYS, one.folder), "and again"
    assert shards(folder) == linked


def test_what_a_smaller_store_is_without_is_kept(folder: Path) -> None:
    put(folder, EVERY)
    assert cache.keep(folder, KEYS, store(folder, "one").folder)
    fewer = store(folder, "two", rows=2, views=1)
    assert cache.keep(folder, KEYS[:2, :1], fewer.folder)
    assert due(folder) == []


def test_a_store_that_is_not_there_leaves_nothing_half_made(folder: Path) -> None:
    shard = put(folder, EVERY)
    with pytest.raises(FileNotFoundError):
        cache.keep(folder, KEYS, folder.with_name("absent"))
    assert list(folder.iterdir()) == [shard]


def test_without_hard_links_all_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(errno.EXDEV, "no links here")

    shard = put(folder, EVERY)
    one = store(folder, "one")
    monkeypatch.setattr(os, "link", refuse)
    assert not cache.keep(folder, KEYS, one.folder)
    assert shards(folder) == [shard]
    assert due(folder) == []


@pytest.mark.parametrize("file", [cache.KEYS, cache.MAPS, cache.POOLED, cache.SUMS])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "absent"])
def test_a_damaged_shard_counts_as_absent_and_is_said(folder: Path, file: str, damage: str) -> None:
    hit, sound = put(folder, EVERY[:2]), put(folder, EVERY[2:])
    content = bytearray((hit / file).read_bytes())
    content[-3] ^= 1
    new = {"flipped": content, "cut": content[:-1], "empty": b"", "absent": None}[damage]
    (hit / file).unlink()
    if new is not None:
        (hit / file).write_bytes(new)
    (line,) = cache.drop_damaged(folder, KEYS)
    assert str(hit) in line and "computed anew" in line
    assert shards(folder) == [sound]
    assert due(folder) == [("a", (0, 1))]
    assert cache.drop_damaged(folder, KEYS) == []


def test_shards_of_other_images_are_not_read(folder: Path) -> None:
    shard = put(folder, EVERY)
    with (shard / cache.MAPS).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert cache.drop_damaged(folder, cache.keys(["0" * 64], views=1, seed=0)) == []
    assert len(cache.drop_damaged(folder, KEYS[:1])) == 1


def test_what_was_used_last_is_kept_whatever_the_clock_says(tmp_path: Path) -> None:
    for age, name in enumerate("abcde"):
        with cache.alone(tmp_path / name):
            pass
        os.utime(tmp_path / name, (100 - age, 100 - age))
    with cache.alone(tmp_path / "b"):
        cache.forget(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "d", "e"]


def test_without_locks_it_works_and_sweeps_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (folder / ".staging").mkdir(parents=True)
    monkeypatch.setattr("fcntl.flock", refuse)
    with cache.alone(folder) as locked:
        assert not locked
    assert (folder / ".staging").is_dir()
    monkeypatch.undo()
    with cache.alone(folder) as locked:
        assert locked
    assert not (folder / ".staging").exists()


NUMBERS = st.lists(st.integers(0, 20), max_size=12)


@given(NUMBERS, NUMBERS)
def test_keys_are_found_among_ordered_ones(asked: list[int], there: list[int]) -> None:
    wanted, known = (np.array(list(map(str, part)), cache.KEY) for part in (asked, there))
    found = cache._among(wanted, np.unique(known))
    np.testing.assert_array_equal(found, np.isin(wanted, known))
