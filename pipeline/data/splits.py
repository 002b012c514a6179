"""Splits and folds of a multi-label table: values, and what is known of them, stay balanced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.data.labels import LabelTable
from pipeline.errors import PipelineError
from pipeline.files import write_csv

Indices = npt.NDArray[np.int64]
FOLDS = Path("models/attributes")
"""Where the stage classify writes the folds for cross-fitting."""
DRAWS = 200
"""Random divisions among which `balanced_folds` chooses."""


def duplicate_groups(hashes: Sequence[str]) -> Indices:
    """int64 [N]: the same number for the same hash, counted from 0 in order of appearance."""
    codes, _ = pd.factorize(np.array(hashes, dtype=object))
    return codes.astype(np.int64)


def linked_groups(hashes: Sequence[str], names: Sequence[str] | None = None) -> Indices:
    """int64 [N]: the same number for images that share a hash or a name that is not empty, directly
    or by way of others; counted from 0 in order of appearance."""
    twins = duplicate_groups(hashes)
    if names is None:
        return twins
    named = [name or f"\0{twin}" for name, twin in zip(names, twins, strict=True)]
    group, _ = pd.factorize(np.array(named, dtype=object))
    size = len(named) + 1
    links = coo_array((np.ones(len(named)), (twins, group + size)), shape=(2 * size, 2 * size))
    _, component = connected_components(links, directed=False)
    codes, _ = pd.factorize(component[twins])
    return codes.astype(np.int64)


def iterative_split(
    values: npt.NDArray[np.floating],
    groups: Indices,
    fractions: Sequence[float],
    rng: np.random.Generator,
) -> Indices:
    """Assign rows to subsets by iterative stratification.

    Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011:
    the rows of the rarest label left are assigned first. Four changes: each attribute counts as
    three labels, positive, negative and unknown, so that prevalence and missing rate are balanced
    together; whole groups are assigned, with the labels of their rows added up; a subset with room
    for less than half of a group gets it only if no other has more, which holds the sizes; and the
    subset chosen is the one whose chi-square distance from its shares falls most, over all labels
    rather than the rarest alone, which keeps common labels balanced where there are many.

    Not by a library: iterative-stratification and scikit-multilearn follow the same paper, but know
    neither groups, which byte-identical images need, nor unknown labels; scikit-learn's
    StratifiedGroupKFold keeps groups whole, but balances one label of each row, not many.

    Parameters
    ----------
    values
        [N, A] of 1, 0 and NaN (unknown).
    groups
        [N] group numbers; a group is never divided.
    fractions
        Share of the rows in each of the K subsets; they add up to 1.
    rng
        Decides which of the rows with equal labels goes where. The result depends on its state and
        on the order of the rows.

    Returns
    -------
    int64 [N] from 0 to K-1. A subset may stay empty if there are too few groups for its share.

    Raises
    ------
    ValueError
        If the shapes disagree, or if the fractions are not positive or don't add up to 1.
    """
    if values.ndim != 2 or groups.shape != (len(values),):
        raise ValueError(f"values {values.shape} and groups {groups.shape} don't fit [N, A], [N]")
    if min(fractions, default=0) <= 0 or not math.isclose(sum(fractions), 1):
        raise ValueError(f"fractions {list(fractions)} are not positive or don't add up to 1")
    members, unit_of_row = np.unique(groups, return_inverse=True)
    labels = _unit_labels(values, unit_of_row, len(members))
    return _assign(labels, np.array(fractions), rng)[unit_of_row]


def balanced_folds(
    values: npt.NDArray[np.floating], groups: Indices, k: int, rng: np.random.Generator
) -> Indices:
    """int64 [N]: one of ``k`` folds of about equal size for each row, for cross-fitting.

    The best balanced of `DRAWS` random divisions, by the chi-square distance of each attribute's
    positives, negatives and unknowns from equal shares. Not by `iterative_split`: balancing many
    labels one within the other makes pairs of labels occur together as often in a fold as outside,
    so that a chance association confirms itself out of fold (measured with labels that are coins:
    AUC .52 instead of .50 of models that read the other labels).

    Parameters
    ----------
    values, groups : as in `iterative_split`.

    Raises
    ------
    PipelineError
        If there are fewer groups than folds, so that a fold would stay empty.
    """
    members, unit_of_row = np.unique(groups, return_inverse=True)
    if len(members) < k:
        raise PipelineError(
            f"params.yaml: impute.folds: got {k}, expected at most {len(members)}, the "
            "number of different training images; lower it or add images"
        )
    labels = _unit_labels(values, unit_of_row, len(members)).astype(np.float64)
    total = np.maximum(labels.sum(axis=0), 1)
    best, least = np.zeros(len(members), dtype=np.int64), math.inf
    for _ in range(DRAWS):
        fold = rng.permutation(len(members)) % k
        counts = np.stack([labels[fold == number].sum(axis=0) for number in range(k)])
        distance = float((np.square(counts - total / k) / total).sum())
        if distance < least:
            best, least = fold.astype(np.int64), distance
    return best[unit_of_row]


def _unit_labels(
    values: npt.NDArray[np.floating], unit_of_row: npt.NDArray[np.intp], units: int
) -> npt.NDArray[np.int32]:
    """int32 [U, 3A + 1]: how often each unit has each label; the last column is its size."""
    always = np.ones((len(values), 1), dtype=bool)
    labels = np.hstack([values == 1, values == 0, np.isnan(values), always]).astype(np.int32)
    if units == len(values):
        return labels[np.argsort(unit_of_row)]
    order = np.argsort(unit_of_row, kind="stable")
    starts = np.searchsorted(unit_of_row[order], np.arange(units))
    return np.add.reduceat(labels[order], starts, axis=0, dtype=np.int32)


def _assign(
    labels: npt.NDArray[np.int32], fractions: npt.NDArray[np.float64], rng: np.random.Generator
) -> Indices:
    subset = np.full(len(labels), -1, dtype=np.int64)
    remaining = labels.sum(axis=0, dtype=np.int64)
    lacking = np.outer(fractions, remaining)  # [K, 3A + 1]: what each subset still needs
    weights = 1 / (np.maximum(remaining, 1) * fractions[:, None])
    shuffled = rng.permutation(len(labels))
    while (remaining > 0).any():
        # Rare labels first: they leave no choice later on, while common ones can make up for them.
        rarest = int(np.argmin(np.where(remaining > 0, remaining, np.iinfo(np.int64).max)))
        units = shuffled[(subset[shuffled] < 0) & (labels[shuffled, rarest] > 0)]
        # Large groups first for the same reason; stable, so the shuffled order breaks the ties.
        units = units[np.argsort(-labels[units, -1], kind="stable")]
        for unit in units:
            added = labels[unit]
            # By how much the unit lowers the sum of lacking**2 * weights / 2 over all labels.
            # Rounded, so that equal gains tie, to the first subset, whatever order a sum is in.
            gain = ((lacking - added / 2) * weights * added).sum(axis=1).round(9)
            room = lacking[:, -1]
            gain[room < min(added[-1] / 2, room.max())] = -np.inf
            chosen = int(np.argmax(gain))
            subset[unit] = chosen
            lacking[chosen] -= added
        remaining -= labels[units].sum(axis=0, dtype=np.int64)
    return subset


def write_folds(table: LabelTable, fold: np.ndarray, folder: Path) -> None:
    """``folds.csv`` in ``folder``: image, split, fold (-1 outside training)."""
    write_csv(
        pd.DataFrame({"image": table.images, "split": table.split, "fold": fold}),
        folder / "folds.csv",
    )


def read_folds(folder: Path = FOLDS) -> np.ndarray:
    """Fold numbers int64 [N] in the order of the clean table, from ``folds.csv`` in ``folder``."""
    fold: np.ndarray = pd.read_csv(folder / "folds.csv")["fold"].to_numpy()
    return fold


def out_of_fold(scores: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """One score per image, [N]: its own fold's head for training images, else the heads' mean.

    Parameters
    ----------
    scores : [K, N] logits or probabilities of head k for image i.
    fold : [N], -1 outside training.
    """
    one = np.zeros(scores.shape[1], dtype=scores.dtype)
    outside = fold < 0
    one[outside] = scores[:, outside].mean(axis=0)
    inside = np.flatnonzero(~outside)
    one[inside] = scores[fold[inside], inside]
    return one
