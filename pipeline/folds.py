"""The cross-fitting folds of a table's training images, and where the attribute heads keep them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.files import write_csv
from pipeline.label_table import LabelTable

FOLDER = Path("models/attributes")


def write(table: LabelTable, fold: np.ndarray, folder: Path) -> None:
    """``folds.csv``: image, split, fold (-1 outside training)."""
    write_csv(
        pd.DataFrame({"image": table.images, "split": table.split, "fold": fold}),
        folder / "folds.csv",
    )


def read(folder: Path = FOLDER) -> np.ndarray:
    """Fold numbers [N] in the order of the clean table."""
    fold: np.ndarray = pd.read_csv(folder / "folds.csv")["fold"].to_numpy()
    return fold
