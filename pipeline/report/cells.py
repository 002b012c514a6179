"""The filled cells by how far they are to be trusted, and which of them the page shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SURE, LIKELY = 0.99, 0.9
"""Expected correctness from which a cell is called safe, and from which likely."""
MOST_ROWS = 200
"""Of the table of cells in the page."""
REVIEWED, OF_ONE = 12, 4
"""Cells of the review list in the page, in all and of one attribute."""
DOUBTFUL, OTHERS = 8, 8
"""Pictures of an attribute: of its most doubtful cells, then of some of every degree of trust."""
COLUMNS = (
    *("image", "attribute", "value", "probability", "round", "evidence", "expected_correctness"),
)
"""Of data/imputed/provenance.csv."""


@dataclass(frozen=True)
class Trust:
    """How many filled cells are safe, likely and doubtful; how many of all are expected to be
    wrong; how many unknown cells were left empty."""

    safe: int
    likely: int
    doubtful: int
    wrong: float
    empty: int

    @property
    def filled(self) -> int:
        """All that have a value."""
        return self.safe + self.likely + self.doubtful


def trust(cells: pd.DataFrame) -> Trust:
    """Count ``cells``, a frame with `COLUMNS`, by their expected correctness."""
    filled = cells["value"] != ""
    right = cells.loc[filled, "expected_correctness"].to_numpy(dtype=float)
    return Trust(
        safe=int((right >= SURE).sum()),
        likely=int(((right >= LIKELY) & (right < SURE)).sum()),
        doubtful=int((right < LIKELY).sum()),
        wrong=float((1 - right).sum()),
        empty=int((~filled).sum()),
    )


def by_doubt(cells: pd.DataFrame) -> pd.DataFrame:
    """Filled cells, the least trusted first; ties by image and attribute."""
    filled = cells[cells["value"] != ""]
    return filled.sort_values(["expected_correctness", "image", "attribute"], kind="stable")


def rows_shown(
    cells: pd.DataFrame, guessed: Collection[str] = (), most: int = MOST_ROWS
) -> pd.DataFrame:
    """At most ``most`` filled cells, the least trusted of every attribute, so that none of them
    crowds out the others: the k-th of each comes before the next one of any. Those of attributes
    that are ``guessed`` stand at the end."""
    ordered = by_doubt(cells)
    place = ordered.groupby("attribute", sort=False).cumcount()
    kept = by_doubt(ordered.iloc[np.argsort(place.to_numpy(), kind="stable")[:most]])
    return kept.iloc[np.argsort(kept["attribute"].isin(guessed).to_numpy(), kind="stable")]


def reviewed(review: pd.DataFrame) -> pd.DataFrame:
    """The cells of the review list that are shown, in its order: at most `REVIEWED`, and
    `OF_ONE` of an attribute, so that none of them crowds out the others."""
    return review.groupby("attribute", sort=False).head(OF_ONE).head(REVIEWED)


def pictured(cells: pd.DataFrame, first: Sequence[str] = ()) -> pd.DataFrame:
    """The filled cells of one attribute whose pictures are shown: at most `DOUBTFUL`, those of the
    images ``first`` and then the least trusted; and, of the rest, `OTHERS` spread evenly over the
    order of trust."""
    place = {image: i for i, image in enumerate(first)}
    ordered = by_doubt(cells)
    ordered = ordered.iloc[
        np.argsort([place.get(image, len(place)) for image in ordered["image"]], kind="stable")
    ]
    rest = ordered.iloc[DOUBTFUL:]
    if len(rest) <= OTHERS:
        return ordered
    spread = np.linspace(0, len(rest) - 1, OTHERS).round().astype(int)
    return pd.concat([ordered.iloc[:DOUBTFUL], by_doubt(rest).iloc[spread]])


@dataclass(frozen=True)
class Kept:
    """Known cells of one degree of trust that were treated as unknown: how many, the mean
    probability of the value that they were given, and how many were right."""

    trust: str
    cells: int
    promised: float
    right: int


def kept(held_out: pd.DataFrame) -> list[Kept]:
    """Whether probabilities are kept, by degree of trust; degrees without a cell are left out.

    Parameters
    ----------
    held_out
        Columns label, probability (of 1) and value of known cells, made without their label.
    """
    value = held_out["value"].to_numpy(dtype=float)
    probability = held_out["probability"].to_numpy(dtype=float)
    own = np.where(value == 1, probability, 1 - probability)
    right = held_out["label"].to_numpy(dtype=float) == value
    degrees = {
        "safe": own >= SURE,
        "likely": (own >= LIKELY) & (own < SURE),
        "doubtful": own < LIKELY,
    }
    return [
        Kept(name, int(chosen.sum()), float(own[chosen].mean()), int(right[chosen].sum()))
        for name, chosen in degrees.items()
        if chosen.any()
    ]
