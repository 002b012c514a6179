"""What to expect of the filled cells, from known cells that were treated as unknown.

Every known training cell is scored by models fitted without its fold of images, with as many other
labels of its row hidden as are unknown around a really unknown cell, calibrated and cut by
calibrators and thresholds of the other folds. What comes out is compared with the label.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from pipeline.impute.fill import Filled
from pipeline.impute.learnable import lacking
from pipeline.metrics.scores import auc, auc_interval, mcc

DRAWS = 2000
MOST_DRAWN = 2_000_000
"""Cells drawn at a time, in all draws together."""
MOST_RESAMPLED = 20_000
"""Cells of which a mean is as good as normal, and nothing is drawn."""
LEVEL = 0.95
COLUMNS = (
    *("attribute", "audited", "filled"),
    *("accuracy", "accuracy_low", "accuracy_high", "auc", "auc_low", "auc_high"),
    *("mcc", "mcc_low", "mcc_high", "brier", "brier_low", "brier_high"),
)


def table(
    attributes: list[str],
    labels: np.ndarray,
    fold: np.ndarray,
    filled: Filled,
    scores: np.ndarray,
    seed: tuple[int, ...],
    kept: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row per attribute with `COLUMNS`; undefined figures NaN.

    The intervals are of the figures that the *filled* cells will show, so that they are wide where
    few labels were audited and also where few cells are filled: accuracy and MCC from the
    Dirichlet-multinomial predictive distribution of the confusion matrix with Jeffreys's prior,
    Brier score from the bootstrap, of many cells from their deviation, AUC by Newcombe's method,
    the last two at the sample size 1 / (1 / audited + 1 / filled). With too few labels to test an
    attribute nothing is promised: its figures are undefined.

    Parameters
    ----------
    labels : [N, A]; fold : [N]; scores : [N, A] logits, to rank by.
    kept : bool [N, A], where cells may be left empty: those that are filled, and the known ones
        that would have been. None = all.
    """
    rows = []
    for a, name in enumerate(attributes):
        cells = ~np.isnan(labels[:, a]) & (fold >= 0) & (filled.importance[:, a] > 0)
        unknown = np.isnan(labels[:, a])
        promised = lacking(labels[cells, a]) is None
        if kept is not None:
            cells, unknown = cells & kept[:, a], unknown & kept[:, a]
        rng = np.random.default_rng([*seed, a, int(cells.sum())])
        figures: dict[str, float] = {}
        if promised:
            figures = expected(
                labels[cells, a],
                filled.held_out[cells, a],
                filled.decided[cells, a],
                scores[cells, a],
                filled.importance[cells, a],
                int(unknown.sum()),
                rng,
            )
        counts = {"audited": int(cells.sum()), "filled": int(unknown.sum())}
        rows.append({"attribute": name, **counts, **figures})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def expected(
    y: np.ndarray,
    probability: np.ndarray,
    decided: np.ndarray,
    ranking: np.ndarray,
    importance: np.ndarray,
    filled: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """The figures of one attribute, [n] audited cells each; to be expected of ``filled`` cells.

    ``importance`` says how often a cell counts, see `pipeline.impute.fill.Filled`. Cells that count
    unequally are worth fewer equal ones (Kish 1965, Survey sampling).
    """
    if not len(y):
        return {}
    n = importance.sum() ** 2 / np.square(importance).sum()
    weight = importance * (n / importance.sum())
    confusion = np.array(
        [
            weight[(decided == 1) & (y == 1)].sum(),
            weight[(decided == 1) & (y == 0)].sum(),
            weight[(decided == 0) & (y == 0)].sum(),
            weight[(decided == 0) & (y == 1)].sum(),
        ]
    )
    new = filled or round(n)
    drawn = rng.multinomial(new, rng.dirichlet(confusion + 0.5, size=DRAWS))
    accuracy = _ends((drawn[:, 0] + drawn[:, 2]) / new)
    correlation = _ends(mcc(*drawn.T))
    size = max(1, round(1 / (1 / n + 1 / new)))
    error = np.square(probability - y)
    mean = float(weight @ error / n)
    brier = _mean_ends(error, mean, weight / n, size, rng)
    area, share = auc(y, ranking), float((y == 1).mean())
    positive = round(share * size)
    low, high = auc_interval(area, max(1, positive), max(1, size - positive), LEVEL)
    return {
        "accuracy": float((confusion[0] + confusion[2]) / n),
        "accuracy_low": accuracy[0],
        "accuracy_high": accuracy[1],
        "auc": area,
        "auc_low": low,
        "auc_high": high,
        "mcc": float(mcc(*confusion)),
        "mcc_low": correlation[0],
        "mcc_high": correlation[1],
        "brier": mean,
        "brier_low": brier[0],
        "brier_high": brier[1],
    }


def _mean_ends(
    values: np.ndarray, mean: float, chance: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The interval of the mean of ``size`` of ``values`` [n], none below 0, drawn with ``chance``
    [n]."""
    if size > MOST_RESAMPLED:
        half = norm.ppf((1 + LEVEL) / 2) * np.sqrt(chance @ np.square(values - mean) / size)
        return float(max(0.0, mean - half)), float(mean + half)
    together = max(1, MOST_DRAWN // size)
    shapes = [(min(together, DRAWS - done), size) for done in range(0, DRAWS, together)]
    draws = [values[rng.choice(len(values), shape, p=chance)].mean(axis=1) for shape in shapes]
    return _ends(np.concatenate(draws))


def _ends(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
