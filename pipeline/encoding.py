"""Cells of categorical columns: texts to one column per value, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.categories import Attribute
from pipeline.files import write_csv

UNKNOWN = ("", "na", "nan", "?")
"""What stands for an unknown cell, in lower case."""
Texts = npt.NDArray[np.object_]


def codes(cells: np.ndarray) -> tuple[npt.NDArray[np.float32], list[str]]:
    """The number [N] of each cell's text among the sorted texts, NaN where unknown; these texts."""
    found, texts = pd.factorize(cells)
    stripped = [str(text).strip() for text in texts]
    known = sorted({text for text in stripped if text.lower() not in UNKNOWN})
    place = {text: float(number) for number, text in enumerate(known)}
    numbers = np.array([place.get(text, np.nan) for text in stripped], dtype=np.float32)
    return numbers[found], known


def decoded(numbers: np.ndarray, texts: Sequence[str]) -> Texts:
    """The inverse of `codes`, object [N]; empty where unknown."""
    return np.array(["" if np.isnan(n) else texts[int(n)] for n in numbers], dtype=object)


def frequent(cells: Texts, min_count: int) -> list[str]:
    """The texts that at least ``min_count`` cells have, the most frequent first."""
    counts = pd.Series(cells[cells != ""]).value_counts()
    found = [(-int(count), str(text)) for text, count in counts.items() if count >= min_count]
    return [text for _, text in sorted(found)]


def one_hot(cells: Texts, values: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32 [N, V]: 1 in the column of the cell's value, NaN throughout where unknown."""
    out = (cells[:, None] == np.array(values, dtype=object)[None, :]).astype(np.float32)
    out[cells == ""] = np.nan
    return out


def texts(columns: np.ndarray, values: Sequence[str], given: Texts) -> Texts:
    """The inverse of `one_hot`, object [N]; a known cell without a 1 is what was ``given``: a value
    that has no column."""
    out = np.array([values[k] for k in np.argmax(np.nan_to_num(columns), axis=1)], dtype=object)
    none = ~(columns == 1).any(axis=1)
    out[none] = given[none]
    out[np.isnan(columns).any(axis=1)] = ""
    return out


def write_values(categorical: Sequence[Attribute], path: Path) -> None:
    """The columns of each categorical attribute: attribute, value."""
    rows = [(one.name, value) for one in categorical for value in one.values]
    write_csv(pd.DataFrame(rows, columns=["attribute", "value"]), path)


def read_values(path: Path) -> dict[str, list[str]]:
    """The inverse of `write_values`: attribute -> values; empty where there is no such file."""
    if not path.is_file():
        return {}
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return {
        str(name): group["value"].tolist() for name, group in frame.groupby("attribute", sort=False)
    }
