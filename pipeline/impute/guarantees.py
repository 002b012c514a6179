"""What people can rely on in a filled table, and what they should look at: all tables together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from pipeline.data.categories import Attribute
from pipeline.impute import budget, prevalence, review, suspects
from pipeline.impute.imputer import Imputation


@dataclass(frozen=True)
class Wishes:
    """target : share of wrong filled cells from which on nobody need look; audit_share : of the
    list, drawn by chance; by : name and texts [N] of a column to group shares by, or None; seed."""

    target: float = 0.05
    audit_share: float = 0.1
    by: tuple[str, np.ndarray] | None = None
    seed: tuple[int, ...] = (0,)


def tables(
    filled: Imputation,
    labels: np.ndarray,
    images: Sequence[str],
    split: Sequence[str],
    attributes: Sequence[Attribute],
    cells: pd.DataFrame,
    looked_at: np.ndarray,
    sought: np.ndarray,
    wishes: Wishes,
) -> dict[str, pd.DataFrame]:
    """promises, budget, prevalence, suspects, label_noise and review, with the columns of their
    modules.

    Parameters
    ----------
    labels : [N, A] of 1, 0, NaN; images, split : [N].
    cells : image, attribute, value, probability, expected_correctness, evidence, row and column of
        unknown cells; the value is empty where the policy leaves it so.
    looked_at : bool [N, A], known since a person looked.
    sought : [N, A], the higher the likelier to be of the class that its attribute lacks labels of;
        NaN where it lacks none.
    """
    withdrawn = filled.promises.withdrawn
    doubts, row = budget.doubts(filled, labels, filled.fold, filled.kept, attributes)
    known = {int(number) for number in doubts.known_attribute}
    bounded = [
        number
        for number, one in enumerate(attributes)
        if one.name not in withdrawn and number in known
    ]
    names = [one.name for one in attributes]
    guessed = [
        number
        for number, one in enumerate(attributes)
        if not filled.learnable[one.start] and np.isnan(sought[:, one.start]).all()
    ]
    curves = budget.table(doubts, names, bounded, guessed, wishes.target)
    found, noise = suspects.find(
        filled, filled.scores, labels, images, split, attributes, looked_at
    )
    return {
        "promises": filled.promises.table,
        "budget": curves,
        "prevalence": prevalence.table(
            filled, labels, attributes, filled.kept, looked_at, withdrawn, wishes.by
        ),
        "suspects": found,
        "label_noise": noise,
        "review": _review(
            *(filled, attributes, cells, doubts, row, bounded, guessed, curves, sought, wishes)
        ),
    }


def _review(
    filled: Imputation,
    attributes: Sequence[Attribute],
    cells: pd.DataFrame,
    doubts: budget.Doubts,
    row: np.ndarray,
    bounded: Sequence[int],
    guessed: Sequence[int],
    curves: pd.DataFrame,
    sought: np.ndarray,
    wishes: Wishes,
) -> pd.DataFrame:
    """The most doubtful cells that the bound of the table asks for; of attributes without a bound
    those where a look is expected to remove more than the target. Guessed cells are not on the
    list."""
    chosen = curves[(curves["scope"] == budget.TABLE) & (curves["chosen"] == 1)]
    enough = int(chosen["looked_at"].max()) if len(chosen) else 0
    inside = np.isin(doubts.attribute, sorted({*bounded} - {*guessed}))
    cut = np.sort(doubts.rank[inside])[::-1][enough - 1] if enough else np.inf
    number = {one.name: place for place, one in enumerate(attributes)}
    ranked = pd.DataFrame(
        {
            "_number": doubts.attribute,
            "row": row,
            "rank": doubts.rank,
            "_first": inside & (doubts.rank >= cut),
            "_inside": inside,
        }
    )
    # Of empty cells those alone in which a label buys a verdict.
    wanted = pd.Series(sought[cells["row"], cells["column"]]).groupby(cells["attribute"].to_numpy())
    first = wanted.rank(ascending=False, method="first") <= review.MOST_SOUGHT
    own = cells[(cells["value"] != "") | first.to_numpy()]
    own = own.assign(_number=own["attribute"].map(number).astype(int))
    own = own[~own["_number"].isin(guessed)]
    own = own.merge(ranked, on=["_number", "row"], how="left", validate="one_to_one")
    at = own["row"].to_numpy(), own["column"].to_numpy()
    disagreement = np.abs(expit(filled.scores[at]) - expit(filled.image_scores[at]))
    categorical = own["attribute"].isin([one.name for one in attributes if one.values]).to_numpy()
    confidence = own["probability"].to_numpy(float)
    confidence = np.where(categorical | (own["value"] == "1"), confidence, 1 - confidence)
    correctness = own["expected_correctness"].to_numpy(float)
    # Of a categorical attribute the value's own.
    verdict = np.array([one.verdict for one in filled.learnability])[at[1]]
    own["reason"] = review.reasons(confidence, correctness, disagreement, verdict, categorical)
    asked = own[["_first", "_inside"]].eq(True)  # an empty cell is ranked nowhere
    beyond = ~asked["_inside"] & (1 - correctness > wishes.target)
    doubtful = (asked["_first"] | beyond) & (own["value"] != "")
    return review.listed(
        own,
        own["rank"].to_numpy(),
        doubtful.to_numpy(),
        sought[at],
        wishes.audit_share,
        wishes.seed,
    )
