"""How many of the most doubtful filled cells a person has to look at until few of the others are
wrong.

PAC labelling (Candès, Ilyas and Zrnic 2025, arXiv:2506.10908): known cells that were decided
without their label show how many wrong ones are left below each doubt, and an upper confidence
bound of that share chooses the doubt from which on people look. The share falls with every cell
that is looked at, so one bound serves for all numbers of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import hypergeom

from pipeline.data.categories import Attribute
from pipeline.impute.fill import Filled

LEVEL = 0.95
POINTS = 50
"""Of a curve, in equal steps."""
TABLE, ATTRIBUTE = "table", "attribute"
COLUMNS = (*("scope", "attribute", "looked_at", "of", "wrong_left", "wrong_left_high", "chosen"),)
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Doubts:
    """Filled cells [m] and known ones [n] that were decided without their label, by doubt.

    rank, known_rank : the higher the more doubtful, on one scale.
    attribute, known_attribute : numbers of the cells' attributes.
    known_row : of the known cells' images; wrong : bool [n].
    importance : [n], how often a known cell stands for a filled one.
    """

    rank: Ints
    attribute: Ints
    known_rank: Ints
    known_attribute: Ints
    known_row: Ints
    wrong: npt.NDArray[np.bool_]
    importance: Floats

    def of(self, attributes: Sequence[int]) -> Doubts:
        """Those of some attributes."""
        own, known = np.isin(self.attribute, attributes), np.isin(self.known_attribute, attributes)
        return Doubts(
            *(self.rank[own], self.attribute[own], self.known_rank[known]),
            *(self.known_attribute[known], self.known_row[known], self.wrong[known]),
            self.importance[known],
        )


def ranks(correctness: np.ndarray, confidence: np.ndarray) -> Ints:
    """Rank of doubt [n] from 0 up, equal for equal cells: low expected correctness first in doubt,
    then low confidence in the value."""
    keys = np.stack([-np.round(correctness, 9), -np.round(confidence, 9)], axis=1)
    _, found = np.unique(keys, axis=0, return_inverse=True)
    return found.ravel().astype(np.int64)


def upper_bound(wrong: np.ndarray, known: int, unknown: int, level: float = LEVEL) -> Floats:
    """The largest share of wrong ones among ``unknown`` cells with which ``wrong`` [k] or fewer of
    ``known`` exchangeable ones have a chance of more than 1 - ``level``.

    Exact: all cells together have some number of wrong ones, of which those found among the known
    are hypergeometric.
    """
    wrong = np.asarray(wrong, dtype=np.int64)
    if not unknown:
        return np.zeros(len(wrong))
    total = known + unknown
    low, high = wrong.copy(), wrong + unknown
    while (low < high).any():
        middle = (low + high + 1) // 2
        possible = hypergeom.cdf(wrong, total, middle, known) > 1 - level
        low, high = np.where(possible, middle, low), np.where(possible, high, middle - 1)
    return np.asarray((low - wrong) / unknown)


@dataclass(frozen=True)
class Curve:
    """looked_at : [k] numbers of most doubtful cells; of : filled cells; wrong_left,
    wrong_left_high : share of wrong ones among all filled cells that is then left, and its upper
    bound; enough : the smallest number whose bound meets the target, None where no known cell
    can tell."""

    looked_at: Ints
    of: int
    wrong_left: Floats
    wrong_left_high: Floats
    enough: int | None


def curve(doubts: Doubts, target: float, level: float = LEVEL) -> Curve:
    """The curve of the cells of one or more attributes, each by its own known cells.

    Where attributes are known in other shares than they are unknown, their known cells are
    weighted, and their number is the effective one of Kish (1965, Survey sampling), divided by the
    design effect of cells of the same image (Korn and Graubard 1998, Survey Methodology 24:193).
    """
    cells = len(doubts.rank)
    weight = _weights(doubts)
    if weight is None:
        return Curve(np.zeros(0, np.int64), cells, np.zeros(0), np.zeros(0), None)
    effect = _design_effect(doubts, weight)
    known = int(1 / np.square(weight).sum() / effect + 1e-9)
    unknown = int(np.ceil(cells / effect - 1e-9))
    # Looking at all cells in doubt above cut i leaves ``left[i]``.
    cuts = np.r_[-1, np.unique(doubts.rank)]
    order = np.argsort(doubts.known_rank, kind="stable")
    below = np.r_[0.0, np.cumsum((weight * doubts.wrong)[order])]
    left = below[np.searchsorted(doubts.known_rank[order], cuts, side="right")]
    looked_at = np.asarray(cells - np.searchsorted(np.sort(doubts.rank), cuts, side="right"))

    def bound(at: np.ndarray) -> Floats:
        count = np.minimum(np.ceil(left[at] * known - 1e-9), known)
        # Of no cell is anything left to be wrong.
        high = upper_bound(count, known, unknown, level)
        return np.where(looked_at[at] == cells, 0.0, np.minimum(high, 1 - looked_at[at] / cells))

    low, high = 0, len(cuts) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if bound(np.array([middle]))[0] <= target else (low, middle - 1)
    enough = int(looked_at[low])
    wanted = np.linspace(0, cells, POINTS + 1)
    nearest = np.searchsorted(-looked_at, -wanted, side="right") - 1
    at = np.unique(np.r_[np.maximum(nearest, 0), low])[::-1]
    most = 1 - looked_at[at] / max(cells, 1)
    return Curve(looked_at[at], cells, np.minimum(left[at], most), bound(at), enough)


def _weights(doubts: Doubts) -> Floats | None:
    """Of the known cells, adding up to 1, so that each attribute counts as often as it is filled;
    None where an attribute with filled cells has no known one."""
    weight = np.zeros(len(doubts.known_rank))
    for attribute, count in zip(*np.unique(doubts.attribute, return_counts=True), strict=True):
        own = doubts.known_attribute == attribute
        total = doubts.importance[own].sum()
        if not total:
            return None
        weight[own] = doubts.importance[own] * (count / len(doubts.rank) / total)
    return weight if weight.any() else None


def _design_effect(doubts: Doubts, weight: Floats) -> float:
    """How many times larger errors of the same image, which go together, make the variance."""
    error = weight * (doubts.wrong - (weight @ doubts.wrong))
    single = np.square(error).sum()
    if not single:
        return 1.0
    _, image = np.unique(doubts.known_row, return_inverse=True)
    return max(1.0, float(np.square(np.bincount(image, error)).sum() / single))


def table(
    doubts: Doubts,
    names: Sequence[str],
    bounded: Sequence[int],
    guessed: Sequence[int],
    target: float,
) -> pd.DataFrame:
    """Curves of the whole table and of each attribute, with `COLUMNS`; no rows where there is
    nothing to tell by.

    Attributes that are guessed are not part of the table's curve: people would have to look at all
    of their cells, and each look tells of one cell alone.

    Parameters
    ----------
    names : of the attributes, by number; bounded : numbers of those whose known cells tell of the
        unknown ones; guessed : numbers of those that are not learnable.
    """
    parts = []
    learnable = sorted({*bounded} - {*guessed})
    scopes = [(TABLE, "", doubts.of(learnable))] if learnable else []
    scopes += [(ATTRIBUTE, names[number], doubts.of([number])) for number in bounded]
    for scope, name, own in scopes:
        found = curve(own, target)
        parts.append(
            pd.DataFrame(
                {
                    "scope": scope,
                    "attribute": name,
                    "looked_at": found.looked_at,
                    "of": found.of,
                    "wrong_left": found.wrong_left,
                    "wrong_left_high": found.wrong_left_high,
                    "chosen": np.where(found.looked_at == found.enough, 1, 0),
                }
            )
        )
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[2:], float))
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def doubts(
    filled: Filled,
    labels: np.ndarray,
    fold: np.ndarray,
    kept: np.ndarray,
    attributes: Sequence[Attribute],
) -> tuple[Doubts, Ints]:
    """The cells that are filled, with their known ones, and the row [m] of each filled cell;
    attributes by attribute, their numbers those of ``attributes``.

    Parameters
    ----------
    labels : [N, A] of 1, 0, NaN; fold : [N], -1 outside training.
    kept : bool [N, A], cells that are filled, and known ones that would have been.
    """
    columns: dict[str, list[np.ndarray]] = {}

    def add(**parts: np.ndarray) -> None:
        for name, array in parts.items():
            columns.setdefault(name, []).append(array)

    for number, one in enumerate(attributes):
        a, span = one.start, slice(one.start, one.stop)
        known = ~np.isnan(labels[:, a])
        cells = np.flatnonzero(~known & kept[:, a])
        vouching = known & (fold >= 0) & (filled.importance[:, a] > 0) & kept[:, a]
        used = np.flatnonzero(vouching)
        value, decided = filled.values[cells, span], filled.decided[used, span]
        add(
            row=cells,
            attribute=np.full(len(cells), number),
            correctness=filled.correctness[cells, a],
            confidence=_sure(filled.probability[cells, span], value, one),
            known_row=used,
            known_attribute=np.full(len(used), number),
            known_correctness=filled.held_out_correctness[used, a],
            known_confidence=_sure(filled.held_out[used, span], decided, one),
            wrong=(decided != labels[used, span]).any(axis=1),
            importance=filled.importance[used, a],
        )
    joined = {name: np.concatenate(arrays) for name, arrays in columns.items()}
    rank = ranks(
        *(np.r_[joined[name], joined[f"known_{name}"]] for name in ("correctness", "confidence"))
    )
    count = len(joined["row"])
    found = Doubts(
        rank=rank[:count],
        known_rank=rank[count:],
        **{
            name: joined[name]
            for name in ("attribute", "known_attribute", "known_row", "wrong", "importance")
        },
    )
    return found, joined["row"]


def _sure(probability: np.ndarray, value: np.ndarray, one: Attribute) -> Floats:
    """Probability of the value that is filled in [n]."""
    if one.values:
        return np.asarray(probability.max(axis=1, initial=0))
    return np.where(value[:, 0] == 1, probability[:, 0], 1 - probability[:, 0])
