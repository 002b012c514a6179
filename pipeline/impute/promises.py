"""Filled cells with a bounded share of wrong ones: what is promised of which, and what is not.

The cells that are filled with 1 and those filled with 0 are bounded apart: of an attribute that few
images have, a bound on both together would be kept by 0 everywhere and say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data.categories import Attribute, chosen, truth
from pipeline.impute import conformal
from pipeline.impute.categorical import ENOUGH
from pipeline.impute.fill import Filled
from pipeline.impute.learnable import LEAST, lacking, untested

Floats = npt.NDArray[np.float64]
POOLED = "rarer values"
COLUMNS = (
    *("attribute", "filled_value", "known", "known_wrong", "unknown", "promised", "kept"),
    *("weighted", "reason"),
)


@dataclass(frozen=True)
class Group:
    """The cells of an attribute that are filled with one value, or with one of its rarer ones.

    value : in words.
    unknown, known : rows of the cells to be filled, and of known training cells that were decided
        alike without their label.
    confidence, known_confidence : in the value; wrong : bool, whether the decision was.
    """

    attribute: Attribute
    value: str
    unknown: npt.NDArray[np.intp]
    known: npt.NDArray[np.intp]
    confidence: Floats
    known_confidence: Floats
    wrong: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Promises:
    """q_value : [N, A] of unknown cells, the smallest share of wrong ones at which a cell is kept;
        NaN where nothing is promised.
    kept : bool [N, A], q-values of at most the share asked for; of known training cells those that
        would have been kept.
    table : a row per group with `COLUMNS`.
    withdrawn : attribute -> why known cells of it tell nothing of unknown ones.
    """

    q_value: Floats
    kept: npt.NDArray[np.bool_]
    table: pd.DataFrame
    withdrawn: dict[str, str]


def groups(
    filled: Filled, labels: np.ndarray, fold: np.ndarray, attributes: Sequence[Attribute]
) -> Iterator[Group]:
    """Of each attribute the cells by filled value; known cells of no importance are left out.

    A categorical attribute's values stand by themselves where `ENOUGH` known cells got them, the
    others together.
    """
    for one in attributes:
        a, span = one.start, slice(one.start, one.stop)
        unknown = np.flatnonzero(np.isnan(labels[:, a]))
        used = ~np.isnan(labels[:, a]) & (fold >= 0) & (filled.importance[:, a] > 0)
        known = np.flatnonzero(used)
        if one.values:
            given = chosen(filled.values[unknown, span])
            decided = chosen(filled.decided[known, span])
            sure = filled.probability[unknown, span].max(axis=1, initial=0)
            known_sure = filled.held_out[known, span].max(axis=1, initial=0)
            wrong = decided != truth(labels[known, span])
            counts = np.bincount(decided, minlength=len(one.values))
            rest = np.flatnonzero(counts < ENOUGH)
            members = [*np.flatnonzero(counts >= ENOUGH)[:, None], *([rest] if len(rest) else [])]
            named = [one.values[m[0]] if len(m) == 1 else POOLED for m in members]
        else:
            given, decided = filled.values[unknown, a], filled.decided[known, a]
            sure, known_sure = (
                np.where(value == 1, p, 1 - p)
                for value, p in (
                    (given, filled.probability[unknown, a]),
                    (decided, filled.held_out[known, a]),
                )
            )
            wrong = decided != labels[known, a]
            members, named = [np.array([1]), np.array([0])], ["1", "0"]
        for values, name in zip(members, named, strict=True):
            own, alike = np.isin(given, values), np.isin(decided, values)
            yield Group(
                *(one, name, unknown[own], known[alike]),
                *(sure[own], known_sure[alike], wrong[alike]),
            )


def promise(
    filled: Filled,
    labels: np.ndarray,
    fold: np.ndarray,
    attributes: Sequence[Attribute],
    max_wrong: float,
    withdrawn: dict[str, str] | None = None,
    weights: dict[str, np.ndarray] | None = None,
) -> Promises:
    """The q-value of every unknown cell, and the cells kept at ``max_wrong``.

    Parameters
    ----------
    labels : [N, A] of 1, 0, NaN; fold : [N], -1 outside training.
    withdrawn : attribute -> why nothing can be promised of it.
    weights : attribute -> [N] how many times likelier its cell is unknown than known, up to a
        constant, where that depends on something that is known of an image.
    """
    q_value = np.full(labels.shape, np.nan)
    kept = np.zeros(labels.shape, dtype=bool)
    rows = []
    for group in groups(filled, labels, fold, attributes):
        one, span = group.attribute, slice(group.attribute.start, group.attribute.stop)
        weight = (weights or {}).get(one.name)
        reason = (withdrawn or {}).get(one.name, "")
        least = conformal.least_known(max_wrong)
        if not filled.learnable[span].any():
            reason = _unlearnable(labels[fold >= 0, span])
        elif not reason and len(group.known) < least:
            reason = f"{len(group.known)} known cells are decided so, {least} needed"
        promised = not reason
        if promised:
            own = np.ones(len(group.unknown)) if weight is None else weight[group.unknown]
            known_weight = filled.importance[group.known, one.start]
            if weight is not None:
                known_weight = known_weight * weight[group.known]
            p = conformal.p_values(
                *(group.confidence, group.known_confidence, group.wrong, own, known_weight)
            )
            q = conformal.q_values(p)
            q_value[group.unknown, span] = q[:, None]
            chosen_ones = q <= max_wrong
            kept[group.unknown, span] = chosen_ones[:, None]
            cut = group.confidence[chosen_ones].min(initial=np.inf)
            kept[group.known, span] = (group.known_confidence >= cut)[:, None]
        left = int(kept[group.unknown, one.start].sum())
        if promised and len(group.unknown) and not left:
            reason = "no unknown cell is sure enough"
        rows.append(
            {
                "attribute": one.name,
                "filled_value": group.value,
                "known": len(group.known),
                "known_wrong": int(group.wrong.sum()),
                "unknown": len(group.unknown),
                "promised": "yes" if promised else "no",
                "kept": left,
                "weighted": "yes" if promised and weight is not None else "no",
                "reason": reason,
            }
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return Promises(q_value, kept, table, dict(withdrawn or {}))


def _unlearnable(labels: np.ndarray) -> str:
    """Why an attribute's columns [n, V] of training labels are not called learnable."""
    if labels.shape[1] > 1:
        if untested(labels):
            return f"none of its values has {LEAST} known labels, needed to test it"
    elif few := lacking(labels[:, 0]):
        return f"{few[1]} known {'positive' if few[0] else 'negative'} labels, {LEAST} needed"
    return "not shown to be learnable"
