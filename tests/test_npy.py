from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pipeline.npy import RowFile, RowWriter, save


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    array = np.random.default_rng(0).normal(size=(50, 3, 2)).astype(np.float16)
    path = tmp_path_factory.mktemp("rows") / "a.npy"
    np.save(path, array)
    return path, array


@given(rows=npst.arrays(np.int64, st.integers(0, 40), elements=st.integers(0, 49)))
def test_any_rows(saved: tuple[Path, np.ndarray], rows: np.ndarray) -> None:
    path, array = saved
    file = RowFile(path)
    assert (file.shape, file.dtype, len(file)) == ((50, 3, 2), np.float16, 50)
    found = file.take(rows)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array[rows])
    out = np.full((len(rows), 3, 2), -1, dtype=np.float16)
    assert file.take(rows, out) is out
    np.testing.assert_array_equal(out, array[rows])
    file.close()


def test_into_memory_with_gaps_or_of_another_type(saved: tuple[Path, np.ndarray]) -> None:
    path, array = saved
    gaps = np.zeros((4, 6, 2), dtype=np.float16)[:, ::2]
    wide = np.zeros((4, 3, 2), dtype=np.float32)
    for out in (gaps, wide):
        RowFile(path).take(np.array([7, 8, 0, 7]), out)
        np.testing.assert_array_equal(out, array[[7, 8, 0, 7]])


def test_scattered(saved: tuple[Path, np.ndarray]) -> None:
    path, array = saved
    out = np.full((5, 3, 2), -1, dtype=np.float16)
    RowFile(path).scatter(np.array([7, 8, 0]), np.array([4, 0, 2]), out)
    np.testing.assert_array_equal(out[[4, 0, 2]], array[[7, 8, 0]])
    assert (out[[1, 3]] == -1).all()
    with pytest.raises(IndexError, match="of 50"):
        RowFile(path).scatter(np.array([50]), np.array([0]), out)


@pytest.mark.parametrize("row", [-1, 50])
def test_rows_that_are_not_there(saved: tuple[Path, np.ndarray], row: int) -> None:
    with pytest.raises(IndexError, match="of 50"):
        RowFile(saved[0]).take(np.array([3, row]))


def test_a_file_that_was_cut_off(saved: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    cut = tmp_path / "cut.npy"
    cut.write_bytes(saved[0].read_bytes()[:-1])
    with pytest.raises(ValueError, match="not an array of shape"):
        RowFile(cut)
    cut.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="magic"):
        RowFile(cut)


@given(cuts=st.lists(st.integers(0, 50), max_size=4))
def test_written_in_pieces_are_the_bytes_of_numpy(
    saved: tuple[Path, np.ndarray], cuts: list[int]
) -> None:
    path, array = saved
    other = path.with_name("pieces.npy")
    with RowWriter(other, array.shape, array.dtype) as writer:
        for piece in np.split(array.astype(np.float64), sorted(cuts)):
            writer.append(piece)
        assert writer.rows == 50
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("shape", [(51, 3, 2), (1, 2, 3)])
def test_rows_that_do_not_fit_are_not_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with (
        RowWriter(tmp_path / "a.npy", (50, 3, 2), np.float16) as writer,
        pytest.raises(ValueError, match="after 0 of an array"),
    ):
        writer.append(np.zeros(shape))


@pytest.mark.parametrize("dtype", ["S40", np.float16, np.float32])
def test_saved_bytes_are_numpys(tmp_path: Path, dtype: str | type) -> None:
    array = np.arange(24).reshape(4, 3, 2).astype(dtype).swapaxes(1, 2)
    np.save(tmp_path / "a.npy", np.ascontiguousarray(array))
    save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
