"""Categorical attributes: one of several values in each cell, seen as binary columns side by side.

A column ``colour=red`` is 1 where the cell says red, 0 where it says another value, unknown where
the cell is. So every binary method serves; here is what ties the columns of one attribute together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp

from pipeline.files import write_csv

SEPARATOR = "="
Spans = Sequence[tuple[int, int]]
"""(start, stop) of each categorical attribute's columns."""


@dataclass(frozen=True)
class Attribute:
    """An attribute as the user sees it, and the columns that stand for it.

    values : of a categorical one those that have a column, the most frequent first; empty of a
        binary one.
    start : its first column in the table.
    """

    name: str
    values: tuple[str, ...]
    start: int

    @property
    def stop(self) -> int:
        """One past its last column."""
        return self.start + max(1, len(self.values))

    @property
    def span(self) -> tuple[int, int]:
        """(start, stop)."""
        return self.start, self.stop

    @property
    def columns(self) -> list[str]:
        """Names of its columns."""
        return [f"{self.name}{SEPARATOR}{value}" for value in self.values] or [self.name]


def attributes(columns: Sequence[str], categorical: Sequence[Attribute]) -> list[Attribute]:
    """The user's attributes in the order of their ``columns``."""
    by_start = {one.start: one for one in categorical}
    found: list[Attribute] = []
    while (start := found[-1].stop if found else 0) < len(columns):
        found.append(by_start.get(start) or Attribute(columns[start], (), start))
    return found


def spans(categorical: Sequence[Attribute]) -> tuple[tuple[int, int], ...]:
    """(start, stop) of each."""
    return tuple(one.span for one in categorical)


def binary_columns(count: int, softmax: Spans) -> npt.NDArray[np.intp]:
    """The columns among ``count`` that belong to no categorical attribute."""
    inside = np.zeros(count, dtype=bool)
    for start, stop in softmax:
        inside[start:stop] = True
    return np.flatnonzero(~inside)


def log_odds(logits: np.ndarray, softmax: Spans) -> np.ndarray:
    """``logits`` [n, K] with those of each categorical attribute as log-odds of their softmax.

    So the sigmoid of every column is its probability.
    """
    if not softmax:
        return logits
    out = np.array(logits)
    for start, stop in softmax:
        part = logits[:, start:stop].astype(np.float64)
        others = np.empty_like(part)
        for k in range(stop - start):
            rest = np.delete(part, k, axis=1)
            others[:, k] = logsumexp(rest, axis=1) if rest.shape[1] else -np.inf
        # A value that nothing competes with is certain, as far as a float can say.
        out[:, start:stop] = np.clip(part - others, -30, 30)
    return out


def chosen(scores: np.ndarray) -> npt.NDArray[np.intp]:
    """The value [n] with the highest score of [n, V]."""
    return np.asarray(np.argmax(scores, axis=1))


def decide(
    probability: np.ndarray, thresholds: np.ndarray, softmax: Spans
) -> npt.NDArray[np.bool_]:
    """Decisions [n, K]: from its threshold on for a binary column, the most probable value of a
    categorical attribute.

    Parameters
    ----------
    probability : [n, K]; thresholds : [K].
    """
    out = np.asarray(probability >= np.asarray(thresholds))
    for start, stop in softmax:
        out[:, start:stop] = np.eye(stop - start, dtype=bool)[chosen(probability[:, start:stop])]
    return out


def truth(labels: np.ndarray) -> npt.NDArray[np.intp]:
    """The value [n] that one-hot ``labels`` [n, V] name, or lean to where they are shares.

    -1 where the cell is unknown, -2 where it has a value without a column.
    """
    unknown = np.isnan(labels).any(axis=1)
    none = ~unknown & ~(labels > 0).any(axis=1)
    value = np.argmax(np.nan_to_num(labels), axis=1)
    return np.asarray(np.where(unknown, -1, np.where(none, -2, value)))


def macro_f1(true: np.ndarray, given: np.ndarray) -> float:
    """Mean F1 over the values that are true or given somewhere; NaN where there is no cell.

    A value without a column (-2) is never given: as it can't be learned, its F1 is 0.
    """
    found = np.union1d(true, given)
    hits = [2 * ((true == v) & (given == v)).sum() for v in found]
    counts = [(true == v).sum() + (given == v).sum() for v in found]
    ones = [hit / count for hit, count in zip(hits, counts, strict=True)]
    return float(np.mean(ones)) if ones else float("nan")


def scores(targets: np.ndarray, logits: np.ndarray, softmax: Spans) -> dict[str, float]:
    """``accuracy_g`` and ``f1_g`` of the g-th categorical attribute over its known cells."""
    found: dict[str, float] = {}
    for g, (start, stop) in enumerate(softmax):
        true = truth(targets[:, start:stop])
        known = true != -1
        given = chosen(logits[known, start:stop])
        right = true[known] == given
        found[f"accuracy_{g}"] = float(right.mean()) if len(right) else float("nan")
        found[f"f1_{g}"] = macro_f1(true[known], given)
    return found


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
