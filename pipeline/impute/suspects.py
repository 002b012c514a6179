"""Known labels that pictures and other labels contradict; what to make of them is for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data.categories import Attribute, log_odds, spans
from pipeline.impute import label_noise
from pipeline.impute.fill import Filled

LEAST = 0.5
"""Probability from which a label is a suspect where nothing tells how many labels of its attribute
are wrong, but some of another attribute are for certain."""
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
    all_of_them: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The suspects with `COLUMNS`, most doubtful first, and of each attribute how many labels are
    wrong with `NOISE_COLUMNS`, undefined figures NaN.

    ``wrong_probability`` supposes as many wrong labels in every attribute, so that those of all
    attributes can be ranked, and claims nothing of how many there are. ``called`` does: "yes" of as
    many suspects of an attribute as are wrong with 97.5 % confidence, so of none where the labels
    may all be right, and of none where scores can't be told from chance.

    Parameters
    ----------
    scores : [N, A] logits that have not seen the label of their cell.
    labels : [N, A] of 1, 0, NaN; images, split : [N].
    looked_at : bool [N, A], cells that a person has looked at: no suspects.
    all_of_them : list every known label, and not only those less probable than another value, as
        many of an attribute as may be wrong (the upper end of the interval), or, where nothing
        tells, those likelier wrong than right if some of another attribute are wrong for certain.
    """
    joined = log_odds(scores, spans([one for one in attributes if one.values]))
    known = ~np.isnan(labels)
    used = [
        (one, a)
        for one in attributes
        for a in range(one.start, one.stop)
        if len(np.unique(labels[known[:, a], a])) == 2
    ]
    # Of a categorical attribute each column speaks of the cells that have its value.
    judged = {
        a: np.flatnonzero(known[:, a] & ((labels[:, a] == 1) | (not one.values)) & ~looked_at[:, a])
        for one, a in used
    }
    logits = [joined[known[:, a], a] for _, a in used]
    given = [labels[known[:, a], a] for _, a in used]
    told = [a for one, a in used if filled.learnable[one.start : one.stop].any()]
    whole = [(joined[known[:, a], a], labels[known[:, a], a]) for a in told]
    found = [label_noise.evidence(*both) for both in whole]
    counted = {
        a: label_noise.doubted(
            *(joined[judged[a], a], labels[judged[a], a], own, weight),
            label_noise.plausible(*both, own),
        )
        for a, both, own, weight in zip(told, whole, found, label_noise.weights(found), strict=True)
    }
    proven = any(int(one.low) for one in counted.values())
    parts, counts = [_nothing()], []
    for (one, a), doubt in zip(used, label_noise.doubts(logits, given), strict=True):
        row = judged[a]
        wrong = doubt[np.searchsorted(np.flatnonzero(known[:, a]), row)]
        listed, called = (wrong >= LEAST) & proven, np.zeros(len(row), dtype=bool)
        if a in counted:
            own = counted[a]
            counts.append((one.name, own.number, own.low, own.high))
            place = np.empty(len(row), dtype=int)
            place[np.argsort(-wrong, kind="stable")] = np.arange(len(row))
            listed, called = place < own.high, place < int(own.low)
        label, suggested, other = _values(one, a, filled, labels, row)
        p = filled.probability[row, a]
        p = np.where(labels[row, a] == 1, p, 1 - p)
        # Where the evidence is for the label after all, there is nothing to look at.
        listed, called = (chosen & (p <= other) for chosen in (listed, called))
        frame = pd.DataFrame(
            {
                "image": np.array(images, dtype=object)[row],
                "attribute": one.name,
                "correct_value": "",
                "label": label,
                "suggested": suggested,
                "split": np.array(split, dtype=object)[row],
                "label_probability": p,
                "wrong_probability": wrong,
                "called": np.where(called, "yes", "no"),
                "reason": REASON,
            }
        )
        parts.append(frame if all_of_them else frame[listed])
    suspects = pd.concat(parts, ignore_index=True).sort_values(
        ["wrong_probability", "image", "attribute"],
        ascending=[False, True, True],
        ignore_index=True,
    )
    return suspects, _numbers(labels, attributes, counts, suspects)


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS}).astype(
        {"label_probability": float, "wrong_probability": float}
    )


def _values(
    one: Attribute, a: int, filled: Filled, labels: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The given value of each cell, the one that is more likely where it is wrong, and the
    probability of that."""
    if not one.values:
        label, p = labels[row, a].astype(int), filled.probability[row, a]
        texts = (value.astype(str).astype(object) for value in (label, 1 - label))
        return *texts, np.where(label == 1, 1 - p, p)
    probability = filled.probability[row, one.start : one.stop].copy()
    probability[:, a - one.start] = -1
    values = np.array(one.values, dtype=object)
    best = probability.argmax(axis=1)
    other = probability[np.arange(len(row)), best]
    return np.full(len(row), values[a - one.start]), values[best], other


def _numbers(
    labels: np.ndarray,
    attributes: Sequence[Attribute],
    counts: Sequence[tuple[str, float, float, float]],
    suspects: pd.DataFrame,
) -> pd.DataFrame:
    """The ends of a categorical attribute's interval are the sums of its values' ends."""
    rows = []
    for one in attributes:
        own = [figures for name, *figures in counts if name == one.name]
        listed = suspects[suspects["attribute"] == one.name]
        rows.append(
            (
                *(one.name, int((~np.isnan(labels[:, one.start])).sum())),
                *(np.sum(own, axis=0) if own else (np.nan,) * 3),
                *(len(listed), int((listed["called"] == "yes").sum())),
            )
        )
    return pd.DataFrame(rows, columns=list(NOISE_COLUMNS))
