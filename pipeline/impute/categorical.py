"""Categorical attributes: what their columns' estimates say together.

Each column is scored and calibrated as one value against the rest. A cell's probabilities are these
divided by their sum (Zadrozny and Elkan 2002, KDD), to which the share of values without a column
is added, and its value is the most probable one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data.categories import Attribute, chosen, macro_f1, truth
from pipeline.data.verdicts import LEARNABLE, NOT_LEARNABLE, TOO_FEW
from pipeline.impute.fill import ONE_CLASS, PRIOR, UNPROMISED, Filled, supported, weight_of
from pipeline.impute.learnable import untested
from pipeline.impute.looked_at import still_unknown

ENOUGH = 20
"""Known cells that got a value from which on its correctness follows from them alone."""
DRAWS = 2000
LEVEL = 0.95
COLUMNS = (
    *("attribute", "values", "other_values", "learnable", "audited", "filled"),
    *("accuracy", "accuracy_low", "accuracy_high", "f1_macro", "brier", "majority_accuracy"),
)
Floats = npt.NDArray[np.float64]


def without_siblings(
    labels: np.ndarray, target: int, categorical: Sequence[Attribute]
) -> np.ndarray:
    """``labels`` [N, A] with the other columns of ``target``'s attribute unknown.

    They are known and unknown together with it, and would tell it outright.
    """
    for one in categorical:
        if one.start <= target < one.stop:
            out = np.array(labels)
            others = [k for k in range(one.start, one.stop) if k != target]
            out[:, others] = np.nan
            return out
    return labels


def joined(
    filled: Filled,
    labels: np.ndarray,
    fold: np.ndarray,
    categorical: Sequence[Attribute],
    looked_at: np.ndarray | None = None,
) -> Filled:
    """The table with the columns of categorical attributes as they are taken together.

    Probabilities sum to less than 1 where there are values without a column; values and decisions
    have a single 1; expected correctness, weight and evidence are those of the cell, in all its
    columns. Without any, ``filled`` itself.

    Parameters
    ----------
    labels : [N, A] of 1, 0, NaN; fold : [N], -1 outside training.
    looked_at : bool [N, A], known cells that were unknown until a person looked; None = none.
    """
    if not categorical:
        return filled
    if looked_at is None:
        looked_at = np.zeros(labels.shape, dtype=bool)
    filled = Filled(**{name: np.array(array) for name, array in vars(filled).items()})
    for one in categorical:
        span = slice(one.start, one.stop)
        value = truth(labels[:, span])
        unknown, cells = value == -1, np.flatnonzero((value != -1) & (fold >= 0))
        rare = float((value[cells] == -2).mean()) if len(cells) else 0.0
        probability = _normalised(filled.probability[:, span], rare)
        held_out = _normalised(filled.held_out[cells, span], rare)
        learnable = filled.learnable[span]
        if not learnable.any():
            probability[unknown] = of_one_value(probability[unknown])
        probability[cells] = held_out
        filled.probability[:, span], filled.held_out[cells, span] = probability, held_out
        given, guess = chosen(held_out), chosen(probability[unknown])
        sure, right = held_out.max(axis=1), given == value[cells]
        vouching = ~looked_at[cells, one.start]
        held_out_correctness = np.empty(len(cells))
        for k in np.unique(fold[cells]):
            own, rest = fold[cells] == k, (fold[cells] != k) & vouching
            held_out_correctness[own] = expected_correctness(
                sure[own], given[own], sure[rest], given[rest], right[rest]
            )
        found = probability[unknown].max(axis=1)
        correctness = expected_correctness(
            found, guess, sure[vouching], given[vouching], right[vouching]
        )
        seen = looked_at[:, one.start]
        left = still_unknown(sure, found, probability[seen].max(axis=1, initial=0))
        filled.importance[cells, span] = np.where(vouching, left, 0.0)[:, None]
        if not learnable.any() and untested(labels[cells, span]):
            correctness = np.minimum(correctness, UNPROMISED)
            held_out_correctness = np.minimum(held_out_correctness, UNPROMISED)
        one_hot = np.eye(len(one.values))
        filled.values[unknown, span] = one_hot[guess]
        filled.decided[cells, span] = one_hot[given]
        filled.held_out_correctness[cells, span] = held_out_correctness[:, None]
        filled.correctness[unknown, span] = correctness[:, None]
        weight = weight_of(correctness) if learnable.any() else 0 * correctness
        filled.weight[unknown, span] = weight[:, None]
        evidence = filled.evidence[unknown, span]
        if learnable.any():
            filled.evidence[unknown, span] = evidence[:, [int(np.argmax(learnable))]]
        else:
            filled.evidence[unknown, span] = ONE_CLASS if (evidence == ONE_CLASS).all() else PRIOR
    return filled


def audit(
    filled: Filled,
    labels: np.ndarray,
    fold: np.ndarray,
    categorical: Sequence[Attribute],
    seed: tuple[int, ...],
    kept: np.ndarray | None = None,
) -> pd.DataFrame:
    """What to expect of the filled cells: one row per attribute with `COLUMNS`, after `joined`.

    Known training cells as the models saw them that had not seen them, as in
    `pipeline.impute.audit`. A value without a column counts as an error. ``brier`` is the sum over
    the columns, from 0 to 2; ``majority_accuracy`` is that of the most frequent value. With too few
    labels to test any value nothing is promised.
    """
    rows = []
    for one in categorical:
        span = slice(one.start, one.stop)
        value = truth(labels[:, span])
        importance = filled.importance[:, one.start]
        cells, unknown = (value != -1) & (fold >= 0) & (importance > 0), value == -1
        everyone = value[cells]
        learnable = filled.learnable[span].any()
        promised = learnable or not untested(labels[cells, span])
        verdict = LEARNABLE if learnable else NOT_LEARNABLE if promised else TOO_FEW
        if kept is not None:
            cells, unknown = cells & kept[:, one.start], unknown & kept[:, one.start]
        held_out, true = filled.held_out[cells, span], value[cells]
        given = chosen(filled.decided[cells, span]) if cells.any() else np.empty(0, dtype=int)
        n, new, weight = int(cells.sum()), int(unknown.sum()), importance[cells]
        # Cells that count unequally are worth fewer equal ones (Kish 1965).
        size = weight.sum() ** 2 / np.square(weight).sum() if n else 0.0
        share = float(weight @ (given == true) / weight.sum()) if n else np.nan
        right = share * size if n else 0.0
        rng = np.random.default_rng([*seed, one.start, n])
        drawn = rng.binomial(new or max(n, 1), rng.beta(right + 0.5, size - right + 0.5, DRAWS))
        ends = np.quantile(drawn / (new or max(n, 1)), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        ends = ends if n and promised else np.full(2, np.nan)
        frequent = np.bincount(everyone[everyone >= 0], minlength=len(one.values))
        wanted = np.eye(len(one.values))[np.maximum(true, 0)] * (true >= 0)[:, None]
        rows.append(
            {
                "attribute": one.name,
                "values": len(one.values),
                "other_values": int((value == -2).sum()),
                "learnable": verdict,
                "audited": n,
                "filled": new,
                "accuracy": share if promised else np.nan,
                "accuracy_low": ends[0],
                "accuracy_high": ends[1],
                "f1_macro": macro_f1(true, given) if promised else np.nan,
                "brier": (
                    np.square(held_out - wanted).sum(axis=1).mean() if n and promised else np.nan
                ),
                "majority_accuracy": frequent.max() / len(everyone) if len(everyone) else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def of_one_value(probability: np.ndarray) -> Floats:
    """``probability`` [n, V] drawn to its mean until the most probable value of that is each row's:
    of values that are about as frequent, the order of the scores must not choose."""
    if not len(probability):
        return probability
    mean = probability.mean(axis=0)
    top = int(np.argmax(mean))
    lead = mean[top] - mean
    lost = (lead - probability[:, [top]] + probability).max(axis=0)
    share = np.divide(0.98 * lead, lost, out=np.ones_like(lead), where=lost > 0)
    share[top] = 1.0
    return np.asarray(mean + min(1.0, share.min()) * (probability - mean))


def _normalised(probability: np.ndarray, rest: float) -> Floats:
    total = probability.sum(axis=1, keepdims=True) + rest
    return np.asarray(probability / np.maximum(total, 1e-12))


def expected_correctness(
    sure: np.ndarray,
    values: np.ndarray,
    known_sure: np.ndarray,
    known_values: np.ndarray,
    right: np.ndarray,
) -> Floats:
    """Expected correctness [m]: by the known cells with the same value where there are `ENOUGH`,
    otherwise by all those with one of the other, rarer values."""
    out = np.empty(len(sure))
    found, counts = np.unique(known_values, return_counts=True)
    alone = found[counts >= ENOUGH]
    for value in alone:
        own, known = values == value, known_values == value
        out[own] = supported(sure[own], known_sure[known], right[known])
    own, known = ~np.isin(values, alone), ~np.isin(known_values, alone)
    out[own] = supported(sure[own], known_sure[known], right[known])
    return out
