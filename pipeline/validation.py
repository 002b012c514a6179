"""How good a fit is on validation images, by which its best epoch is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline import categories, losses, metrics


def rank_of(found: Mapping[str, float], epoch: int) -> tuple[float, float]:
    """What the best epoch has most of: AUC, then a small loss; without either, a late epoch."""
    area, loss = found["auc"], found["loss"]
    return (0.0 if np.isnan(area) else area, float(epoch) if np.isnan(loss) else -loss)


def objective_loss(targets: np.ndarray, log_odds: np.ndarray, objective: losses.Objective) -> float:
    """The objective over the known cells, to stand beside that of training; NaN without any.

    Parameters
    ----------
    targets : [n, K] of 1, 0 and NaN.
    log_odds : [n, K], of categorical attributes as of `categories.log_odds`.
    """
    if np.isnan(targets).all():
        return float("nan")
    logits = np.array(log_odds, dtype=np.float64)
    for start, stop in objective.softmax:
        # Logarithms of probabilities are logits with the same softmax.
        logits[:, start:stop] = -np.logaddexp(0.0, -logits[:, start:stop])
    known = np.asarray(targets, dtype=np.float32)
    found = losses.masked_cross_entropy(known, logits.astype(np.float32), objective=objective)
    return float(found.numpy())


def scores(
    targets: np.ndarray, logits: np.ndarray, softmax: Sequence[tuple[int, int]] = ()
) -> dict[str, float]:
    """Loss, macro AUC and binary accuracy over the known cells; NaN where undefined.

    Soft targets count as the class they lean to. For the g-th categorical attribute there are
    ``accuracy_g`` and ``f1_g`` (macro over the values known or given), too.

    Parameters
    ----------
    targets, logits : [n, K]; those of a categorical attribute as of `categories.log_odds`.
    softmax : see `losses.Objective`.
    """
    of_categories = categories.scores(targets, logits, softmax)
    targets = np.where(np.isnan(targets), np.nan, targets >= 0.5)
    known = ~np.isnan(targets)
    if not known.any():
        return {"loss": np.nan, "auc": np.nan, "binary_accuracy": np.nan, **of_categories}
    signed = np.where(targets == 1, -logits, logits)[known]
    areas = [metrics.auc(targets[:, k], logits[:, k]) for k in range(targets.shape[1])]
    defined = [area for area in areas if not np.isnan(area)]
    return {
        "loss": float(np.logaddexp(0.0, signed.astype(np.float64)).mean()),
        "auc": float(np.mean(defined)) if defined else np.nan,
        "binary_accuracy": float(((logits > 0) == (targets == 1))[known].mean()),
        **of_categories,
    }
