"""Which filled cells are most worth a human look."""

from __future__ import annotations

import numpy as np
import pandas as pd

LISTED = 200
MOST_SOUGHT = 10
"""Cells of an attribute with too few labels that come first."""
COLUMNS = (
    *("image", "attribute", "value", "probability", "expected_correctness", "evidence", "reason"),
)
AMBIGUOUS = "models waver"
CONTRADICTED = "picture and other labels disagree"
SOUGHT = "too few labels: likely to be one of the class that lacks them"
UNLEARNABLE = "nothing tells of this attribute: only a look can"


def rank(
    cells: pd.DataFrame,
    disagreement: np.ndarray,
    learnable: np.ndarray,
    training: np.ndarray,
    sought: np.ndarray | None = None,
    most: int = LISTED,
) -> pd.DataFrame:
    """At most ``most`` cells with `COLUMNS`, most valuable first.

    A look is worth the chance that the cell is wrong, and what its label teaches: most where the
    picture and the row's other labels point to different values, since one label there speaks on
    many alike. Cells of images outside training come after those inside, since their labels teach
    nothing and would make the test images a choice of hard ones; cells of attributes that nothing
    tells of come last. First of all come the cells of attributes that lack labels of a class, those
    that are likeliest to be of it: there a label buys a verdict.

    Parameters
    ----------
    cells : image, attribute, value, probability, expected_correctness, evidence of filled cells.
    disagreement : [n] distance from 0 to 1 between the probability and that of the picture alone.
    learnable : bool [n], of the cell's attribute; training : bool [n], of its image.
    sought : [n], the higher the likelier to be of the class that its attribute lacks; NaN where it
        lacks none.
    """
    score = pd.Series(np.nan if sought is None else sought, index=cells.index, dtype=float)
    place = score.where(training).groupby(cells["attribute"]).rank(ascending=False, method="first")
    first = (place <= MOST_SOUGHT).to_numpy()
    wrong = 1 - cells["expected_correctness"].to_numpy(dtype=float)
    worth = wrong * (1 + disagreement)
    frame = cells.assign(
        reason=np.select(
            [first, ~learnable, disagreement > 0.25],
            [SOUGHT, UNLEARNABLE, CONTRADICTED],
            AMBIGUOUS,
        ),
        _worth=worth.round(9),
        _place=place.where(first, 0),
        _last=np.where(first, -1, 2 * ~learnable + 1 * ~training),
    )
    ordered = frame.sort_values(
        ["_last", "_place", "_worth", "image", "attribute"],
        ascending=[True, True, False, True, True],
    )
    return ordered[list(COLUMNS)].head(most)
