"""Pictures unlike all training pictures are those far from the nearest of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.training import familiarity


def cloud(n: int, seed: int) -> np.ndarray:
    """Features [n, 8] about one direction."""
    rng = np.random.default_rng(seed)
    return np.r_[4.0, np.zeros(7)] + rng.normal(0, 0.5, (n, 8))


def test_what_is_like_training_pictures_is_seldom_called_unlike() -> None:
    found = familiarity.fit(cloud(800, 0), seed=0)
    assert found.unlike(cloud(2000, 1)).mean() < 0.04
    others = np.random.default_rng(2).normal(0, 1, (100, 8))
    others[:, 0] = -np.abs(others[:, 0])
    assert found.unlike(others).all()


def test_the_limit_is_what_99_of_100_have_to_each_other() -> None:
    x = cloud(150, 0)
    found = familiarity.fit(x, seed=0)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    distance = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert found.limit == pytest.approx(np.quantile(distance.min(axis=1), 0.99), abs=2e-3)


def test_a_large_table_keeps_a_seeded_draw(tmp_path: Path) -> None:
    x = cloud(familiarity.MOST + 50, 0)
    found, again = familiarity.fit(x, seed=3), familiarity.fit(x, seed=3)
    assert len(found.reference) == familiarity.MOST
    for folder, one in ((tmp_path / "a", found), (tmp_path / "b", again)):
        folder.mkdir()
        familiarity.write(one, folder)
    name = familiarity.NAME
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    read = familiarity.read(tmp_path / "a")
    assert read is not None and read.limit == found.limit
    np.testing.assert_array_equal(read.reference, found.reference)


def test_a_folder_without_has_none(tmp_path: Path) -> None:
    assert familiarity.read(tmp_path) is None


def test_a_picture_without_features_is_unlike_all() -> None:
    """A dark unit everywhere: no direction to compare."""
    assert familiarity.fit(cloud(50, 0), seed=0).unlike(np.zeros((1, 8))).all()


@pytest.mark.parametrize("damage", ["empty", "flipped", "other", "not finite", "no archive"])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, damage: str) -> None:
    reference = np.ones((3, 4), dtype=np.float16)
    if damage == "not finite":
        reference[0, 0] = np.nan
    familiarity.write(familiarity.Familiarity(reference, 0.5), tmp_path)
    path = tmp_path / familiarity.NAME
    content = bytearray(path.read_bytes())
    content[content.index(b"NUMPY") + 130] ^= 1
    if damage == "other":
        np.savez(path, reference=np.ones(3))
    elif damage != "not finite":
        path.write_bytes({"empty": b"", "flipped": bytes(content)}.get(damage, b"{}"))
    with pytest.raises(PipelineError, match=r"familiar\.npz: can't be read .*dvc checkout"):
        familiarity.read(tmp_path)
