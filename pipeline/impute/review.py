"""Which filled cells people should look at, in what order, and why.

What a look is worth is counted in one currency: the wrong cells that it is expected to remove from
the table, one minus the cell's expected correctness. The list ends where looking stops paying: with
as many of the most doubtful cells as it takes for the bound of `pipeline.impute.budget` to meet the
target. Some further cells are drawn by chance, each with a known probability (active statistical
inference, Zrnic and Candès 2024, arXiv:2403.03208): what people find in them is an audit of all the
cells that nobody has to look at.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data import verdicts

MOST_SOUGHT = 10
"""Cells of an attribute with too few labels that come first."""
COLUMNS = (
    *("image", "attribute", "correct_value", "guess", "probability", "expected_correctness"),
    *("worth", "queue", "listed_probability", "evidence", "reason"),
)
SOUGHT = "too few labels: likely to be one of the class that lacks them"
TOO_FEW, DOUBTFUL, AUDIT = "too few labels", "doubtful", "audit"
LEAST_AUDITED = 20
"""Cells drawn for the audit at least, where there are so many."""
EVENLY = 0.5
"""Share of the audit that is drawn evenly, so that no cell is out of reach."""
DRAWN = "drawn by chance, to check what is promised"
UNTESTED = "too few labels to learn from: only a look can tell"
UNTOLD = "nothing tells of this value: only a look can"
MATCHED = "as many 1 as expected: the other value is more probable here"
CONTRADICTED = "picture and other labels disagree"
CAPPED = "sure, but few known labels vouch for one as sure as this"
EVEN = "about as likely as not"
UNSURE = "not sure enough"
SURE = 0.95
"""Confidence from which only the known labels can be to blame for a low expected correctness."""


def reasons(
    confidence: np.ndarray,
    correctness: np.ndarray,
    disagreement: np.ndarray,
    verdict: np.ndarray,
    categorical: np.ndarray,
) -> npt.NDArray[np.str_]:
    """Why a look at each cell [n] pays.

    Parameters
    ----------
    confidence : probability of the value filled in; correctness : expected.
    disagreement : distance from 0 to 1 between the probability and that of the picture alone.
    verdict : of `pipeline.data.verdicts`, on the cell's value; categorical : bool.
    """
    matched = (confidence < 0.5) & ~categorical
    return np.select(
        [
            verdict == verdicts.TOO_FEW,
            verdict == verdicts.NOT_LEARNABLE,
            matched,
            disagreement > 0.25,
            (confidence >= SURE) & (correctness < confidence - 0.02),
            (confidence < 0.65) & ~categorical,
        ],
        [UNTESTED, UNTOLD, MATCHED, CONTRADICTED, CAPPED, EVEN],
        UNSURE,
    )


def listed(
    cells: pd.DataFrame,
    rank: np.ndarray,
    doubtful: np.ndarray,
    sought: np.ndarray,
    audit_share: float,
    seed: tuple[int, ...],
) -> pd.DataFrame:
    """The list, with `COLUMNS`: of attributes that lack labels of a class the cells that are
    likeliest to be of it, where a label buys a verdict; the most doubtful cells, most worth first;
    and those drawn for the audit, in random order, so that the first of them are a sample, too.

    Parameters
    ----------
    cells : [n] image, attribute, value, probability, expected_correctness, evidence, reason of
        filled cells, and of those empty ones that are to be among the first.
    rank : [n], the higher the more doubtful; doubtful : bool [n], cells that have to be looked at.
    sought : [n], the higher the likelier to be of the class that its attribute lacks; NaN where it
        lacks none.
    audit_share : share of the list that is drawn by chance, 0 to below 1.
    """
    worth = (1 - cells["expected_correctness"]).round(6)
    place = (
        pd.Series(sought, index=cells.index, dtype=float)
        .groupby(cells["attribute"])
        .rank(ascending=False, method="first")
    )
    first = (place <= MOST_SOUGHT).to_numpy()
    frame = cells.rename(columns={"value": "guess"}).assign(
        correct_value="",
        worth=worth,
        queue=np.where(first, TOO_FEW, DOUBTFUL),
        listed_probability=1.0,
        reason=np.where(first, SOUGHT, cells["reason"]),
        _place=place.where(first, MOST_SOUGHT + 1),
        _rank=rank,
    )
    frame = frame.sort_values(
        ["_place", "_rank", "image", "attribute"], ascending=[True, False, True, True]
    )
    certain = (first | doubtful)[frame.index]
    certain_ones, rest = frame[certain], frame[~certain]
    wanted = max(LEAST_AUDITED, round(len(certain_ones) * audit_share / (1 - audit_share)))
    count = min(wanted, len(rest)) if audit_share else 0
    chance = draw_probability(rest["expected_correctness"].to_numpy(float), count)
    rng = np.random.default_rng([*seed, len(cells)])
    drawn = drawn_with(chance, rng)
    audit = rest.iloc[drawn].assign(
        queue=AUDIT, listed_probability=chance[drawn].round(6), reason=DRAWN
    )
    return pd.concat([certain_ones, audit], ignore_index=True)[list(COLUMNS)]


def draw_probability(correctness: np.ndarray, count: int) -> npt.NDArray[np.float64]:
    """Probability [n] of each cell to be among ``count`` drawn ones: in part even, in part in
    proportion to the standard deviation of its being right."""
    size = len(correctness)
    if not count or count >= size:
        return np.full(size, float(count > 0))
    spread = np.sqrt(np.clip(correctness * (1 - correctness), 0, None))
    wanted = EVENLY / size + (1 - EVENLY) * (
        spread / spread.sum() if spread.any() else np.full(size, 1 / size)
    )
    chance = np.zeros(size)
    certain = np.zeros(size, dtype=bool)
    while True:
        chance[~certain] = (count - certain.sum()) * wanted[~certain] / wanted[~certain].sum()
        over = ~certain & (chance > 1)
        if not over.any():
            return chance
        certain |= over
        chance[certain] = 1.0


def drawn_with(chance: np.ndarray, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Which cells are drawn, in random order, each with its own chance and as many as these add up
    to: systematic sampling of a random order (Madow 1949, Ann. Math. Stat. 20:333)."""
    order = rng.permutation(len(chance))
    ends = np.cumsum(chance[order])
    points = np.arange(round(ends[-1]) if len(ends) else 0) + rng.random()
    return np.asarray(
        order[np.minimum(np.searchsorted(ends, points, side="right"), len(order) - 1)]
    )
