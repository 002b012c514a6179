"""Arrays of the filled table: one file, the same bytes each time, one line where it is broken."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import imputed_arrays
from pipeline.data.imputed_arrays import ImputedArrays
from pipeline.errors import PipelineError


def some() -> ImputedArrays:
    numbers = np.random.default_rng(0).random((4, 5, 2)).astype(np.float32)
    return ImputedArrays(*numbers, verdicts=np.array(["yes", "too few labels"]))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    imputed_arrays.write(some(), tmp_path)
    found = imputed_arrays.read(tmp_path)
    for name, array in vars(some()).items():
        np.testing.assert_array_equal(getattr(found, name), array)
        assert getattr(found, name).dtype == array.dtype


def test_the_same_arrays_are_the_same_bytes(tmp_path: Path) -> None:
    path, found = tmp_path / imputed_arrays.NAME, []
    for _ in range(2):
        imputed_arrays.write(some(), tmp_path)
        found.append(path.read_bytes())
    assert found[0] == found[1]
    with zipfile.ZipFile(path) as archive:
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_only_a_yes_is_learnable() -> None:
    assert some().learnable.tolist() == [True, False]


@pytest.mark.parametrize("broken", ["missing", "cut", "text", "another"])
def test_a_file_that_is_not_there_or_broken_is_one_line(broken: str, tmp_path: Path) -> None:
    path = tmp_path / imputed_arrays.NAME
    imputed_arrays.write(some(), tmp_path)
    if broken == "missing":
        path.unlink()
    elif broken == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif broken == "text":
        path.write_text("none of ours")
    else:
        np.savez(path, scores=np.zeros(2))
    with pytest.raises(PipelineError, match=r"arrays\.npz: can't be read .*dvc repro impute") as e:
        imputed_arrays.read(tmp_path)
    assert "\n" not in str(e.value)
