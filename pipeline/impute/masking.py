"""Hiding labels of a row so that what is left looks like the rows whose cell is unknown.

A model that reads an image's other labels, and an estimate of how well it does, are only good for
the unknown cells if the other labels are as often there in training as around an unknown cell.
Where whole images are unlabelled they are not: around a known cell all labels are known.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def like_unknown(
    labels: np.ndarray, target: int, rows: np.ndarray, donors: np.ndarray, seed: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Labels float32 [N, A] in which rows with a known ``target`` keep only as many other labels as
    a matched row with an unknown one has, and preferably the same.

    Rows and donors are paired by rank of how many other labels they know, so the distribution of
    that number among the donors carries over as far as a row has so many; where labels are missing
    at random, next to nothing is hidden.

    Parameters
    ----------
    labels : [N, A] of 1, 0 and NaN.
    target : column.
    rows : [n] rows whose target is known and which are to be changed.
    donors : [m] rows whose target is unknown; without any nothing is hidden.
    seed : breaks ties.
    """
    out = np.array(labels, dtype=np.float32)
    if not len(donors) or not len(rows) or labels.shape[1] < 2:
        return out
    rng = np.random.default_rng([*seed, target])
    others = np.delete(np.arange(labels.shape[1]), target)
    known = ~np.isnan(labels)
    count = known[:, others].sum(axis=1)

    def ranked(group: np.ndarray) -> np.ndarray:
        group = rng.permutation(group)
        return group[np.argsort(count[group], kind="stable")]

    ordered, donors = ranked(rows), ranked(donors)
    matched = donors[(np.arange(len(ordered)) * len(donors)) // len(ordered)]
    keep = np.minimum(count[ordered], count[matched])
    have, wanted = known[ordered][:, others], known[matched][:, others]
    # Labels that the donor has come first, the rest at random, absent ones last.
    order = np.argsort(rng.random(have.shape) - wanted + 2.0 * ~have, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    hidden = have & (rank >= keep[:, None])
    out[np.ix_(ordered, others)] = np.where(hidden, np.nan, labels[np.ix_(ordered, others)])
    return out
