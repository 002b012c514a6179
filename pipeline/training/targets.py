"""What the final classifier learns from: three treatments of unknown cells, and which is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.data.categories import binary_columns

IMPUTE, MASK, NEGATIVE = "impute", "mask", "negative"
VARIANTS = (IMPUTE, MASK, NEGATIVE)


@dataclass(frozen=True)
class Targets:
    """Targets float32 [n, A] from 0 to 1, NaN where a cell takes no part, and weights [n, A]."""

    values: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]


def targets(
    variant: str,
    known: np.ndarray,
    probability: np.ndarray,
    filled: np.ndarray,
    weight: np.ndarray,
    soft: bool,
    softmax: Sequence[tuple[int, int]] = (),
) -> Targets:
    """Training targets of a variant.

    Parameters
    ----------
    variant
        ``impute``: unknown cells enter with their estimate, weighted by how far it is to be
        believed; ``mask``: they stay out of the loss; ``negative``: they count as 0, but for those
        of categorical attributes, of which one value must be right: these stay out.
    known : [n, A] of 1, 0 and NaN.
    probability, filled, weight
        [n, A] of the imputation: probability of 1, value (NaN where it abstains), and weight from
        0 to 1.
    soft : whether the estimate is the probability rather than the value.
    softmax : (start, stop) of the columns of each categorical attribute.
    """
    unknown = np.isnan(known)
    values, weights = known.astype(np.float32), np.ones(known.shape, dtype=np.float32)
    if variant == NEGATIVE:
        binary = binary_columns(known.shape[1], softmax)
        values[:, binary] = np.nan_to_num(values[:, binary], nan=0.0)
    elif variant == IMPUTE:
        estimate = probability if soft else filled
        believed = unknown & (weight > 0) & ~np.isnan(estimate)
        values[believed] = estimate[believed]
        weights[believed] = weight[believed]
    elif variant != MASK:
        raise ValueError(f"unknown variant {variant!r}")
    return Targets(values, weights)


def of_learnable(known: np.ndarray, learnable: np.ndarray) -> npt.NDArray[np.float64]:
    """The labels by which models are compared: those of learnable attributes.

    On the others every model guesses; their AUC is luck, and would choose the epoch, or decide
    between two models, by luck.

    Parameters
    ----------
    known : [n, A] of 1, 0 and NaN.
    learnable : bool [A], as the imputation found on training labels.

    Returns
    -------
    ``known`` with NaN in the other columns; all of it where no attribute is learnable.
    """
    if not learnable.any():
        return np.array(known, dtype=np.float64)
    return np.where(learnable, known, np.nan)


def compared(learnable: np.ndarray) -> str:
    """Whose labels `of_learnable` keeps, in words."""
    return "learnable attributes" if learnable.any() else "all attributes, none learnable"


def keep(asked: str, losses: dict[str, np.ndarray]) -> str:
    """The variant to keep: the one asked for, but masking where imputing brings nothing.

    Imputing is kept where its log-loss on known validation cells is lower than masking's: filled
    cells are estimates, so they have to show that they help.

    Parameters
    ----------
    asked : a name in `VARIANTS`.
    losses : variant -> [cells] log-loss of each known validation cell, in the same order.
    """
    if asked != IMPUTE:
        return asked
    gain = losses[MASK] - losses[IMPUTE]
    return IMPUTE if len(gain) and gain.mean() > 0 else MASK
