"""The filled table as arrays, in one file, for the stages that follow; its CSVs are for people."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.data.verdicts import LEARNABLE
from pipeline.errors import PipelineError

FOLDER = Path("data/imputed")
NAME = "arrays.npz"
TABLES = (
    *("promises", "budget", "prevalence", "suspects", "label_noise", "review", "audit_by_people"),
)
"""CSVs beside it that are for people: the reports show them as they are."""


@dataclass(frozen=True)
class ImputedArrays:
    """Rows and columns are those of the clean table.

    scores : float32 [N, A], logits before calibration.
    image_scores : float32 [N, A], those of the pictures alone.
    probability : float32 [N, A] of 1, calibrated.
    weight : float32 [N, A], how far a cell is to be believed in training, 0 to 1.
    verdicts : str [A] of `pipeline.data.verdicts`, on each column's attribute.
    """

    scores: npt.NDArray[np.float32]
    image_scores: npt.NDArray[np.float32]
    probability: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    verdicts: npt.NDArray[np.str_]

    @property
    def learnable(self) -> npt.NDArray[np.bool_]:
        """bool [A], whether the attribute is learnable."""
        return np.asarray(self.verdicts == LEARNABLE)


def write(arrays: ImputedArrays, folder: Path) -> None:
    """The same arrays give the same bytes: NumPy dates a member of the archive 1980."""
    np.savez(folder / NAME, **vars(arrays))


def read(folder: Path = FOLDER) -> ImputedArrays:
    """The arrays of the filled table in ``folder``.

    Raises
    ------
    PipelineError
        If the file is missing, is none of ours or lacks an array.
    """
    path = folder / NAME
    try:
        with np.load(path, allow_pickle=False) as file:
            return ImputedArrays(**{name: file[name] for name in ImputedArrays.__annotations__})
    except (OSError, ValueError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise PipelineError(
            f"{path}: can't be read as arrays {', '.join(ImputedArrays.__annotations__)} "
            f"({type(error).__name__}); run `dvc repro impute`"
        ) from error
