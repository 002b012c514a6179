"""Which known cells a benchmark hides: five ways in which labels come to be missing; and which it
turns, as if they had been labelled wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit, logit

from pipeline.data.categories import Attribute

PATTERNS = ("random", "label", "brightness", "itself", "block")
KEEP = 5
"""Positives and negatives of every attribute that stay known, except under ``random``."""
ODDS = 3.0
"""How many times higher the odds of being hidden are for the one kind of cell than the other."""

KINDS = ("even", "ones")
"""Of wrong labels: all alike, or 1s three times as often as 0s."""

Bools = npt.NDArray[np.bool_]


def hide(
    labels: np.ndarray,
    pattern: str,
    fraction: float,
    rng: np.random.Generator,
    brightness: np.ndarray,
) -> Bools:
    """Choose the cells to hide.

    Parameters
    ----------
    labels : [N, A] of 1, 0 and NaN (unknown).
    pattern
        ``random``: every cell with the same chance, exactly ``rng.random(shape) < fraction``.
        ``label``: a higher chance where the next attribute of the same image is 1; with a single
        attribute there is none, and it is ``random`` that keeps `KEEP` cells.
        ``brightness``: the brighter the picture, the higher the chance; the odds grow by `ODDS`
        squared from the darkest to the brightest.
        ``itself``: a higher chance where the cell itself is 1, which no method can see.
        ``block``: whole images, so that no label of theirs helps with another.
    fraction : mean chance of a known cell of each attribute, above 0 and below 1.
    brightness : [N], of the pictures.

    Returns
    -------
    bool [N, A], True = hidden; only known cells are.

    Raises
    ------
    ValueError
        For an unknown pattern or a fraction out of range.
    """
    if pattern not in PATTERNS:
        raise ValueError(f"pattern {pattern!r}: expected one of {', '.join(PATTERNS)}")
    if not 0 < fraction < 1:
        raise ValueError(f"fraction {fraction}: expected above 0 and below 1")
    known = ~np.isnan(labels)
    if pattern == "block":
        chosen = rng.random(len(labels)) < fraction
        return known & _spare_rows(labels, chosen, rng)[:, None]
    draws = rng.random(labels.shape)
    if pattern == "random":
        return known & (draws < fraction)
    hidden = np.zeros(labels.shape, dtype=bool)
    for a in range(labels.shape[1]):
        rows = np.flatnonzero(known[:, a])
        chance = _chances(_driver(labels, pattern, a, brightness)[rows], fraction)
        hidden[rows, a] = draws[rows, a] < chance
    return _spare_cells(labels, hidden, rng)


def hide_attributes(
    labels: np.ndarray,
    layout: Sequence[Attribute],
    pattern: str,
    fraction: float,
    rng: np.random.Generator,
    brightness: np.ndarray,
) -> Bools:
    """As `hide`, the columns of a categorical attribute together."""
    cells = labels[:, [one.start for one in layout]]
    hidden = hide(cells, pattern, fraction, rng, brightness)
    return np.repeat(hidden, [one.stop - one.start for one in layout], axis=1)


def turned(labels: np.ndarray, kind: str, rate: float, rng: np.random.Generator) -> np.ndarray:
    """bool [N, A], cells to turn: a share ``rate`` of the known ones in the mean."""
    known = ~np.isnan(labels)
    weight = np.where(labels == 1, 3.0 if kind == "ones" else 1.0, 1.0)
    chance = np.where(known, rate * weight / weight[known].mean(), 0)
    return rng.random(labels.shape) < np.minimum(chance, 0.45)


def _driver(labels: np.ndarray, pattern: str, a: int, brightness: np.ndarray) -> np.ndarray:
    """Log odds [N] of being hidden, up to a constant."""
    if pattern == "brightness":
        ranks = np.argsort(np.argsort(brightness, kind="stable"), kind="stable")
        return 2 * np.log(ODDS) * ranks / max(len(ranks) - 1, 1)
    if pattern == "label" and labels.shape[1] == 1:
        return np.zeros(len(labels))
    cause = labels[:, a if pattern == "itself" else (a + 1) % labels.shape[1]]
    # An unknown cause says nothing: half way between the two kinds.
    return np.log(ODDS) * np.where(np.isnan(cause), 0.5, cause)


def _chances(driver: np.ndarray, fraction: float) -> np.ndarray:
    """Chances with the given log odds, shifted so that their mean is ``fraction``."""
    if not len(driver):
        return driver
    low, high = logit(fraction) - driver.max() - 1, logit(fraction) - driver.min() + 1
    shift = brentq(lambda value: expit(driver + value).mean() - fraction, low, high)
    return np.asarray(expit(driver + shift))


def _spare_cells(labels: np.ndarray, hidden: Bools, rng: np.random.Generator) -> Bools:
    """``hidden`` less the cells that have to stay known for `KEEP` of each class."""
    for a in range(labels.shape[1]):
        for value in (0, 1):
            cells = np.flatnonzero((labels[:, a] == value) & hidden[:, a])
            left = int(((labels[:, a] == value) & ~hidden[:, a]).sum())
            if left < KEEP:
                hidden[rng.permutation(cells)[: KEEP - left], a] = False
    return hidden


def _spare_rows(labels: np.ndarray, hidden: Bools, rng: np.random.Generator) -> Bools:
    """As `_spare_cells` for whole rows: bool [N]."""
    for a in range(labels.shape[1]):
        for value in (0, 1):
            rows = np.flatnonzero((labels[:, a] == value) & hidden)
            left = int(((labels[:, a] == value) & ~hidden).sum())
            if left < KEEP:
                hidden[rng.permutation(rows)[: KEEP - left]] = False
    return hidden
