"""Categorical attributes: one of several values in each cell, seen as binary columns side by side.

A column ``colour=red`` is 1 where the cell says red, 0 where it says another value, unknown where
the cell is. So every binary method serves; here is what ties the columns of one attribute together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp

SEPARATOR = "="
Spans = Sequence[tuple[int, int]]
"""(start, stop) of each categorical attribute's columns."""
Texts = npt.NDArray[np.object_]
"""Cells of a categorical attribute, empty where unknown."""


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


def texts(columns: np.ndarray, values: Sequence[str]) -> Texts:
    """The value [N] in whose column of [N, V] is a 1; empty where in none."""
    best = np.argmax(columns == 1, axis=1)
    found = np.array(values, dtype=object)[best]
    found[~(columns == 1).any(axis=1)] = ""
    return found


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
