"""What share of the images has an attribute, with an interval, from a table with holes.

Prediction-powered inference (Angelopoulos et al. 2023, Science 382:669; PPI++, arXiv:2311.01453):
the mean of the predictions over unknown cells, corrected by what known cells show them to be off.
How far predictions are used, lambda, is chosen by cross-fitting (Zrnic and Candès 2024, Proc. Natl.
Acad. Sci. 121:e2322083121), so that worthless ones change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from pipeline.data.categories import Attribute
from pipeline.impute.fill import Filled

LEVEL = 0.95
PARTS = 10
"""Of the known cells, for the choice of lambda."""
LUCK = 0.5
"""Squared error that known cells are taken to show beyond what they do: a few of them may be right
by luck throughout."""
COUNTED = "a count of guesses: it carries no interval"
COLUMNS = (
    *("by", "group", "attribute", "value", "images", "known", "share", "share_low", "share_high"),
    *("known_share", "known_share_low", "known_share_high", "lambda"),
    *("counted_share", "warning", "reason"),
)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """Of 1 among all cells; the ends of its interval; how far predictions were used, 0 to 1; the
    standard error of the estimate, for the table's own share."""

    estimate: float
    low: float
    high: float
    weight: float
    error: float


NOTHING = Share(np.nan, np.nan, np.nan, np.nan, np.nan)


def share(
    known: np.ndarray,
    predicted_known: np.ndarray,
    predicted_unknown: np.ndarray,
    most_weight: float = 1.0,
    level: float = LEVEL,
    answered: np.ndarray | None = None,
) -> Share:
    """The share of 1 among known and unknown cells together, of this table and no other.

    Known cells are counted, so that only the unknown ones are uncertain: the difference of the mean
    residuals y - lambda f of n known and m unknown cells has the variance of a residual times
    1 / n + 1 / m. The interval is Wilson's (1927, J. Am. Stat. Assoc. 22:209) for as many labels as
    would give that variance.

    Parameters
    ----------
    known : [n] of 1 and 0; predicted_known : [n] probabilities made without these labels.
    predicted_unknown : [m].
    most_weight : the largest lambda; 0 leaves predictions out.
    answered
        [up to m] labels that people gave to some of the m cells, which they were sent to: no sample
        of these, so that they only bound what the share can be.
    """
    y, f, unknown = (np.asarray(x, float) for x in (known, predicted_known, predicted_unknown))
    n, m = len(y), len(unknown)
    total = n + m
    said = y if answered is None else np.r_[y, answered]
    # What is known can't be otherwise.
    least, most = (said.sum() / total, 1 - (1 - said).sum() / total) if total else (0.0, 1.0)
    if total and len(said) == total:
        return Share(least, least, least, 0.0, 0.0)
    if not n:
        return NOTHING
    weight = np.zeros(n)
    part = np.arange(n) % PARTS
    for k in range(min(n, PARTS) if most_weight else 0):
        weight[part == k] = _weight(y[part != k], f[part != k], most_weight)
    residual = y - weight * f
    of_unknown = float(np.clip(weight.mean() * unknown.mean() + residual.mean(), 0, 1))
    estimate = (y.sum() + m * of_unknown) / total
    spread = y.mean() * (1 - y.mean()) * n
    left = min(1.0, (np.square(residual - residual.mean()).sum() + LUCK) / (spread + LUCK))
    size = (total / m) ** 2 / (1 / n + 1 / m) / left
    low, high = _wilson(estimate, size, level)
    error = float(np.sqrt(y.mean() * (1 - y.mean()) / size))
    estimate, low, high = (float(np.clip(x, least, most)) for x in (estimate, low, high))
    return Share(estimate, low, high, float(weight.mean()), error)


def _weight(y: Floats, f: Floats, most: float) -> float:
    """The lambda of least variance."""
    spread = f.var() if len(f) else 0.0
    if spread < 1e-12:
        return 0.0
    return float(np.clip(((y - y.mean()) * f).mean() / spread, 0, most))


def _wilson(estimate: float, size: float, level: float) -> tuple[float, float]:
    z = float(norm.ppf(0.5 + level / 2))
    centre = (estimate + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(estimate * (1 - estimate) / size + (z / (2 * size)) ** 2)
    return float(centre - half), float(centre + half)


def table(
    filled: Filled,
    labels: np.ndarray,
    attributes: Sequence[Attribute],
    kept: np.ndarray,
    looked_at: np.ndarray,
    withdrawn: Mapping[str, str],
    by: tuple[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Shares of every attribute, of a categorical one of every value with a column, with `COLUMNS`.

    Parameters
    ----------
    labels : [N, A] of 1, 0, NaN; kept : bool [N, A], the unknown cells that are filled.
    looked_at
        bool [N, A], known since people looked, where lists sent them: they only bound the share,
        and ``known`` does not count them.
    withdrawn : attribute -> why no interval can be promised.
    by : name and texts [N] of a column by whose values the images are grouped, empty where unknown.
    """
    everyone = np.ones(len(labels), dtype=bool)
    groups = [("", "", everyone)]
    if by is not None:
        name, texts = by
        groups += [(name, value, texts == value) for value in sorted({*texts})]
    rows = []
    for column, group, inside in groups:
        for one in attributes:
            for a, value in enumerate(one.values or ("1",), start=one.start):
                known = inside & ~np.isnan(labels[:, a]) & ~looked_at[:, a]
                rest = inside & ~known
                told = labels[inside & looked_at[:, a] & ~np.isnan(labels[:, a]), a]
                shown = inside & (kept[:, a] | ~np.isnan(labels[:, a]))
                p = filled.probability[:, a]
                most = float(filled.learnable[one.start : one.stop].any())
                cells = labels[known, a], p[known], p[rest]
                best = share(*cells, most, answered=told)
                alone = share(*cells, 0.0, answered=told)
                everything = shown.sum() == known.sum() + len(told)
                reason = withdrawn.get(one.name, "")
                if not reason and np.isnan(best.estimate):
                    reason = "no known label here"
                rows.append(
                    {
                        **{"by": column, "group": group, "attribute": one.name, "value": value},
                        **{"images": int(inside.sum()), "known": int(known.sum())},
                        **_ends("share", best, reason),
                        **_ends("known_share", alone, reason),
                        "lambda": best.weight,
                        "counted_share": (filled.values[shown, a] == 1).mean()
                        if shown.any()
                        else np.nan,
                        "warning": "" if everything else COUNTED,
                        "reason": reason,
                    }
                )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _ends(name: str, found: Share, withdrawn: str) -> dict[str, float]:
    low, high = (np.nan, np.nan) if withdrawn else (found.low, found.high)
    return {name: found.estimate, f"{name}_low": low, f"{name}_high": high}
