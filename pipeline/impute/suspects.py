"""Known labels that pictures and other labels contradict; what to make of them is for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data.categories import Attribute, log_odds, spans
from pipeline.impute import label_noise
from pipeline.impute.fill import Filled

LEAST = 0.02
"""Probability of being wrong below which a label is no suspect."""
COLUMNS = (
    *("image", "attribute", "correct_value", "label", "suggested", "split", "label_probability"),
    *("wrong_probability", "called", "reason"),
)
NOISE_COLUMNS = ("attribute", "known", "wrong", "wrong_low", "wrong_high", "listed", "called")
REASON = "picture and other labels speak against the label"
Floats = npt.NDArray[np.float64]


def find(
    filled: Filled,
    scores: np.ndarray,
    labels: np.ndarray,
    images: Sequence[str],
    split: Sequence[str],
    attributes: Sequence[Attribute],
    looked_at: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The suspects with `COLUMNS`, most doubtful first, and of each attribute how many labels are
    wrong with `NOISE_COLUMNS`, undefined figures NaN.

    ``called`` is "yes" of as many suspects of an attribute as are wrong with 97.5 % confidence, so
    of none where the labels may all be right. Nothing is said of attributes that nothing tells of.

    Parameters
    ----------
    scores : [N, A] logits that have not seen the label of their cell.
    labels : [N, A] of 1, 0, NaN; images, split : [N].
    looked_at : bool [N, A], cells that a person has looked at: no suspects.
    """
    used = [
        (one, a)
        for one in attributes
        if filled.learnable[one.start : one.stop].any()
        for a in range(one.start, one.stop)
        if len(np.unique(labels[~np.isnan(labels[:, a]), a])) == 2
    ]
    known = [np.flatnonzero(~np.isnan(labels[:, a])) for _, a in used]
    joined = log_odds(scores, spans([one for one in attributes if one.values]))
    logits = [joined[rows, a] for (_, a), rows in zip(used, known, strict=True)]
    found = [
        label_noise.evidence(z, labels[rows, a])
        for (_, a), rows, z in zip(used, known, logits, strict=True)
    ]
    parts, doubts = [_nothing()], []
    for (one, a), rows, z, own, weight in zip(
        used, known, logits, found, label_noise.weights(found), strict=True
    ):
        given = labels[rows, a]
        # Of a categorical attribute each column speaks of the cells that have its value.
        judged = (given == 1) | (not one.values)
        judged &= ~looked_at[rows, a]
        doubt = label_noise.doubted(z[judged], given[judged], own, weight)
        called = np.zeros(judged.sum(), dtype=bool)
        called[np.argsort(-doubt.wrong, kind="stable")[: int(doubt.low)]] = True
        doubts.append((one.name, doubt.number, doubt.low, doubt.high))
        row = rows[judged]
        label, suggested = _values(one, a, filled, labels, row)
        p = filled.probability[row, a]
        frame = pd.DataFrame(
            {
                "image": np.array(images, dtype=object)[row],
                "attribute": one.name,
                "correct_value": "",
                "label": label,
                "suggested": suggested,
                "split": np.array(split, dtype=object)[row],
                "label_probability": np.where(given[judged] == 1, p, 1 - p),
                "wrong_probability": doubt.wrong,
                "called": np.where(called, "yes", "no"),
                "reason": REASON,
            }
        )
        parts.append(frame[(doubt.wrong >= LEAST) | called])
    suspects = pd.concat(parts, ignore_index=True).sort_values(
        ["wrong_probability", "image", "attribute"],
        ascending=[False, True, True],
        ignore_index=True,
    )
    return suspects, _numbers(labels, attributes, doubts, suspects)


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS}).astype(
        {"label_probability": float, "wrong_probability": float}
    )


def _values(
    one: Attribute, a: int, filled: Filled, labels: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The given value of each cell, and the one that is more likely where it is wrong."""
    if not one.values:
        label = labels[row, a].astype(int)
        return label.astype(str).astype(object), (1 - label).astype(str).astype(object)
    probability = filled.probability[row, one.start : one.stop].copy()
    probability[:, a - one.start] = -1
    values = np.array(one.values, dtype=object)
    return np.full(len(row), values[a - one.start]), values[probability.argmax(axis=1)]


def _numbers(
    labels: np.ndarray,
    attributes: Sequence[Attribute],
    doubts: Sequence[tuple[str, float, float, float]],
    suspects: pd.DataFrame,
) -> pd.DataFrame:
    """The ends of a categorical attribute's interval are the sums of its values' ends."""
    rows = []
    for one in attributes:
        own = [figures for name, *figures in doubts if name == one.name]
        listed = suspects[suspects["attribute"] == one.name]
        rows.append(
            (
                *(one.name, int((~np.isnan(labels[:, one.start])).sum())),
                *(np.sum(own, axis=0) if own else (np.nan,) * 3),
                *(len(listed), int((listed["called"] == "yes").sum())),
            )
        )
    return pd.DataFrame(rows, columns=list(NOISE_COLUMNS))
