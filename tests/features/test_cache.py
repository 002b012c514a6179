from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.features import cache
from pipeline.features.cache import KEY, Parts

NAMES = np.array([f"{i:040x}" for i in range(12)], dtype=KEY)
MAPS = np.random.default_rng(0).normal(size=(12, 2, 3, 4)).astype(np.float16)
POOLED = MAPS.astype(np.float32).mean(axis=(1, 2))


def fill(folder: Path) -> list[Path]:
    return [
        cache.write(folder, NAMES[part].tolist(), MAPS[part], POOLED[part])
        for part in (slice(0, 5), slice(5, 6), slice(6, 10))
    ]


def test_what_is_written_is_found_in_any_order(tmp_path: Path) -> None:
    fill(tmp_path)
    found = Parts(tmp_path)
    assert len(found) == 10
    assert found.map_shape == (2, 3, 4)
    assert found.has(NAMES.reshape(3, 4)).tolist() == [
        [True] * 4,
        [True] * 4,
        [True] * 2 + [False] * 2,
    ]
    order = np.array([9, 0, 5, 5, 3])
    maps, pooled = found.take(NAMES[order])
    np.testing.assert_array_equal(maps, MAPS[order])
    np.testing.assert_array_equal(pooled, POOLED[order])
    with pytest.raises(KeyError, match=NAMES[11].decode()):
        found.take(NAMES[[0, 11]])


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    nothing = Parts(tmp_path / "absent")
    assert (len(nothing), nothing.map_shape) == (0, None)
    assert not nothing.has(NAMES).any()
    with pytest.raises(KeyError):
        nothing.take(NAMES[:1])


def test_damage_and_unfinished_parts_count_as_absent_and_are_written_anew(tmp_path: Path) -> None:
    first, second, third = fill(tmp_path)
    whole = (first / "map.npy").read_bytes()
    (first / "map.npy").write_bytes(whole[:-3])
    (second / "pooled.npy").unlink()
    shutil.copytree(third, tmp_path / ".killed.123")
    assert Parts(tmp_path).has(NAMES[:10]).tolist() == [False] * 6 + [True] * 4
    fill(tmp_path)
    assert Parts(tmp_path).has(NAMES[:10]).all()
    cache.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([first, second, third])
    cache.remove(tmp_path, [first.name, second.name])
    assert [path.name for path in tmp_path.iterdir()] == [third.name]


def test_which_parts_hold_nothing_else(tmp_path: Path) -> None:
    first, second, third = fill(tmp_path)
    found = Parts(tmp_path)
    assert set(found.names_within(NAMES[:6])) == {first.name, second.name}
    assert set(found.names_within(NAMES)) == {first.name, second.name, third.name}
    assert found.names_within(NAMES[6:9]) == []


def test_links_take_no_room(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    np.save(tmp_path / "map_0.npy", MAPS)
    np.save(tmp_path / "pooled_0.npy", POOLED)
    name = cache.link(folder, NAMES, tmp_path / "map_0.npy", tmp_path / "pooled_0.npy")
    assert (folder / name / "map.npy").samefile(tmp_path / "map_0.npy")
    with pytest.raises(FileNotFoundError):
        cache.link(folder, NAMES[:2], tmp_path / "absent.npy", tmp_path / "pooled_0.npy")
    assert [path.name for path in folder.iterdir()] == [name], "nothing half-made is left"
    maps, pooled = Parts(folder).take(NAMES[::-1])
    np.testing.assert_array_equal(maps, MAPS[::-1])
    np.testing.assert_array_equal(pooled, POOLED[::-1])
