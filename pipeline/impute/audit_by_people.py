"""What people found in the cells that they looked at, against what was promised of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import beta

from pipeline.data.categories import Attribute, chosen
from pipeline.impute.imputer import Imputation
from pipeline.impute.review import AUDIT, DOUBTFUL

LEVEL = 0.95
COLUMNS = (
    *("queue", "attribute", "looked_at", "wrong", "promised", "found", "found_low", "found_high"),
    "holds",
)


def table(account: pd.DataFrame) -> pd.DataFrame:
    """A row for all attributes together (empty name) and for each, by queue, with `COLUMNS`.

    Of the queue ``audit`` the cells are weighted by one over the probability with which they were
    drawn (Hájek 1971), so that ``found`` is the accuracy of all filled cells that the list left
    out; of ``doubtful`` it is that of the cells looked at. The interval is Clopper and Pearson's
    (1934, Biometrika 26:404) at the effective number of cells. ``holds`` is "no" where the promised
    accuracy is above it.

    Parameters
    ----------
    account : attribute, value, guess, expected_correctness, queue, listed_probability of cells
        that were unknown until a person looked; those without a record are left out.
    """
    known = account[account["expected_correctness"].notna() & (account["guess"] != "")]
    rows = []
    for queue in (DOUBTFUL, AUDIT):
        cells = known[known["queue"] == queue]
        if queue == AUDIT:
            cells = cells[cells["listed_probability"] > 0]
        parts = [("", cells), *cells.groupby("attribute", sort=True)]
        for name, part in parts:
            if len(part):
                rows.append({"queue": queue, "attribute": name, **_row(part, queue == AUDIT)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(cells: pd.DataFrame, weighted: bool) -> dict[str, object]:
    right = (cells["guess"] == cells["value"]).to_numpy(dtype=float)
    chance = cells["listed_probability"].to_numpy(dtype=float)
    weight = 1 / chance if weighted else np.ones(len(cells))
    size = weight.sum() ** 2 / np.square(weight).sum()
    found = float(weight @ right / weight.sum())
    promised = float(weight @ cells["expected_correctness"].to_numpy(dtype=float) / weight.sum())
    low, high = _interval(found * size, size)
    return {
        "looked_at": len(cells),
        "wrong": int((right == 0).sum()),
        "promised": promised,
        "found": found,
        "found_low": low,
        "found_high": high,
        "holds": "no" if promised > high else "yes",
    }


def _interval(right: float, size: float) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    wrong = max(size - right, 0.0)
    low = beta.ppf(tail, right, wrong + 1) if right > 0 else 0.0
    high = beta.ppf(1 - tail, right + 1, wrong) if wrong > 1e-9 else 1.0
    return float(low), float(high)


@dataclass(frozen=True)
class Gain:
    """looked_at : cells that were unknown until people looked; wrong : how many of the pipeline's
    guesses there were wrong; now, before : expected share of right ones among all cells that were
    unknown and are filled or looked at, with what people said and without."""

    looked_at: int
    wrong: int
    now: float
    before: float


def gain(
    filled: Imputation,
    labels: np.ndarray,
    images: Sequence[str],
    attributes: Sequence[Attribute],
    account: pd.DataFrame,
) -> Gain:
    """What the looks of people brought. Where no guess is on record, it is what the models say now,
    without the label. Attributes of which nothing is expected are left out.

    Parameters
    ----------
    labels : [N, A] of 1, 0, NaN; images : [N].
    account : image, attribute, value, given, guess, see `pipeline.data.corrections.account`.
    """
    row = {image: i for i, image in enumerate(images)}
    by_column = filled.audit["accuracy"].to_numpy(float)
    by_name = filled.categorical.set_index("attribute")["accuracy"]
    looked_at = wrong = cells = 0
    right = 0.0
    for one in attributes:
        a, span = one.start, slice(one.start, one.stop)
        left = int((np.isnan(labels[:, a]) & filled.kept[:, a]).sum())
        accuracy = float(by_name[one.name] if one.values else by_column[a])
        if left and np.isnan(accuracy):
            continue
        own = account[(account["attribute"] == one.name) & (account["given"] == "")]
        own = own[own["image"].isin(row)]
        rows = own["image"].map(row).to_numpy(int)
        if one.values:
            now = np.array(one.values, dtype=object)[chosen(filled.probability[rows, span])]
        else:
            now = np.where(filled.probability[rows, a] >= filled.threshold[a], "1", "0")
        guess = np.where(own["guess"] == "", now, own["guess"])
        looked_at += len(own)
        wrong += int((guess != own["value"].to_numpy()).sum())
        cells += len(own) + left
        right += len(own) + (left * accuracy if left else 0.0)
    if not cells:
        return Gain(0, 0, np.nan, np.nan)
    return Gain(looked_at, wrong, right / cells, (right - wrong) / cells)


def in_words(found: Gain) -> list[str]:
    """One line, or none where nobody has looked."""
    if not found.looked_at:
        return []
    return [
        f"you looked at {found.looked_at:,} cells: {found.wrong:,} guesses were wrong; the table "
        f"is now expected to be right in {found.now:.3f} (was {found.before:.3f})"
    ]
