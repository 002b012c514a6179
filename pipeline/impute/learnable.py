"""Whether anything known of an image tells of an attribute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from pipeline.data.verdicts import LEARNABLE, NOT_LEARNABLE, TOO_FEW
from pipeline.metrics.scores import auc, auc_interval

ERROR_RATE = 0.05
"""Error rate of the claims about a table, see `assess`."""
PERMUTATIONS = 4000
FEW_REACHING = 10
"""Permutations below which the share that reach an AUC is too coarse for the many tests of a wide
table, and the normal tail takes its place (Knijnenburg et al. 2009, Bioinformatics 25:i161, of such
tails): as many draws as there are levels would take time in the square of the attributes."""
MOST_PERMUTED = 20_000
"""Labels beyond which the rank sum is as good as normal, and nothing is permuted."""
MOST_DRAWN = 2_000_000
"""Cells permuted at a time, in all permutations together."""
DEPENDENCE = 2
"""How much larger the variance of an out-of-fold AUC is than that of as many independent scores.

Without signal, the score of a cell of fold j depends on the labels of fold k, and the other way
round by the same similarity of the two images: each pair counts twice. (Measured with labels that
are coins and ridge regression: a test that takes the scores as given rejects in 6.9 % at a nominal
2 %, with this factor in 1.8 %.)"""
LEAST = 5
"""Known labels of each class below which nothing is claimed."""


@dataclass(frozen=True)
class Learnability:
    """Out-of-fold AUC over pairs of the same fold, its lower end at the corrected level, the
    permutation p-value as it is (NaN where nothing was tested), and what both tests together say:
    one of `pipeline.data.verdicts`."""

    auc: float
    low: float
    p_value: float
    verdict: str

    @property
    def learnable(self) -> bool:
        """Whether the AUC can be told from chance."""
        return self.verdict == LEARNABLE


def assess(
    scores: np.ndarray, labels: np.ndarray, fold: np.ndarray, seed: tuple[int, ...] = (0,)
) -> list[Learnability]:
    """Which attributes' AUC can be told from chance, by two tests that must agree.

    Fewer permutations of the labels within their folds than the corrected level allows may reach
    the AUC, and the lower end of its interval at that level must lie above 0.5. The level is
    corrected for the number of attributes A by Benjamini and Hochberg's rule (1995, J. R. Stat.
    Soc. B 57:289): the k attributes with the smallest p-values pass where the k-th is at most
    k / A of `ERROR_RATE`. Where none is learnable, the chance of any "yes" is `ERROR_RATE`; where
    some are, it is the expected share of false ones among the "yes".

    Parameters
    ----------
    scores : [N, A] logits that have not seen the label of their cell.
    labels : [N, A] of 1, 0 and NaN; fold : [N], -1 outside training.
    """
    count = labels.shape[1]
    finest = 1 / max(PERMUTATIONS, 100 * count)
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    p_values = np.ones(count)
    tested = np.array([lacking(labels[cells, a]) is None for a, cells in enumerate(known.T)])
    for a in np.flatnonzero(tested).tolist():
        cells = known[:, a]
        y = labels[cells, a]
        p_values[a] = _permutation_p(scores[cells, a], y, fold[cells], finest, (*seed, a))
    order = np.argsort(p_values, kind="stable")
    levels = ERROR_RATE * np.arange(1, count + 1) / count
    passing = np.flatnonzero(p_values[order] <= levels)
    passed = int(passing[-1]) + 1 if len(passing) else 0
    level = ERROR_RATE * max(passed, 1) / count
    found = []
    for a, cells in enumerate(known.T):
        y = labels[cells, a]
        area, positive = _within_folds(scores[cells, a], y, fold[cells]), int((y == 1).sum())
        # Only one side counts: the other end of a two-sided interval carries as much error again.
        sizes = max(1, positive // DEPENDENCE), max(1, (len(y) - positive) // DEPENDENCE)
        low, _ = auc_interval(area, *sizes, level=1 - 2 * level)
        told = p_values[a] <= level and passed > 0 and low > 0.5
        verdict = TOO_FEW if not tested[a] else LEARNABLE if told else NOT_LEARNABLE
        p_value = float(p_values[a]) if tested[a] else float("nan")
        found.append(Learnability(area, low, p_value, verdict))
    return found


def lacking(labels: np.ndarray) -> tuple[int, int] | None:
    """The rarer class and its number of labels where they are fewer than `LEAST`, so that `assess`
    tests nothing; None where there are enough of both.

    Parameters
    ----------
    labels : [n] of 1, 0 and NaN, of training images.
    """
    counts = {value: int((labels == value).sum()) for value in (1, 0)}
    rarer = min(counts, key=lambda value: counts[value])
    return (rarer, counts[rarer]) if counts[rarer] < LEAST else None


def untested(labels: np.ndarray) -> bool:
    """Whether no column of ``labels`` [n, V] has enough of both classes to be tested."""
    return all(lacking(column) is not None for column in labels.T)


def _within_folds(logits: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> float:
    """AUC over the pairs of a positive and a negative of the same fold.

    Across folds, a fold with many positives has been scored by a model that saw few: such pairs
    pull the AUC of a score without signal below 0.5.
    """
    won, pairs = 0.0, 0
    for k in np.unique(fold):
        y, score = labels[fold == k], logits[fold == k]
        count = int((y == 1).sum()) * int((y == 0).sum())
        if count:
            won, pairs = won + count * auc(y, score), pairs + count
    return won / pairs if pairs else float("nan")


def _permutation_p(
    logits: np.ndarray, labels: np.ndarray, fold: np.ndarray, finest: float, seed: tuple[int, ...]
) -> float:
    """Share of permutations whose rank sum of positives reaches the observed one, itself counted,
    their spread widened by `DEPENDENCE`; where a p-value may be as fine as ``finest`` and few
    permutations reach it, and of more than `MOST_PERMUTED` labels, that of a normal distribution
    with the permutations' exact moments.

    Permuted within folds, since scores of different folds come from different models.
    """
    rng = np.random.default_rng([*seed, len(labels)])
    draws = PERMUTATIONS if len(labels) <= MOST_PERMUTED else 0
    total, mean, variance, drawn = 0.0, 0.0, 0.0, np.zeros(draws)
    rank = rankdata(logits)
    for k in np.unique(fold):
        inside = np.flatnonzero(fold == k)
        own = rank[inside]
        total += own[labels[inside] == 1].sum()
        count = int((labels[inside] == 1).sum())
        mean += count * own.mean()
        variance += (
            count * (1 - count / len(inside)) * own.var() * len(inside) / max(len(inside) - 1, 1)
        )
        together = max(1, MOST_DRAWN // len(inside))
        for start in range(0, draws, together):
            part = slice(start, min(start + together, draws))
            keys = rng.random((part.stop - part.start, len(inside)))
            if count == len(inside):
                drawn[part] += own.sum()
            elif count:
                chosen = np.argpartition(keys, count, axis=1)[:, :count]
                drawn[part] += own[chosen].sum(axis=1)
    deviation = np.sqrt(DEPENDENCE * variance)
    if not draws:
        return max(finest, float(norm.sf((total - mean) / deviation))) if variance else 1.0
    drawn = drawn.mean() + np.sqrt(DEPENDENCE) * (drawn - drawn.mean())
    reaching = int((drawn >= total - 1e-9).sum())
    if reaching >= FEW_REACHING or finest >= 1 / draws or not variance:
        return (1 + reaching) / (draws + 1)
    return max(finest, float(norm.sf((total - mean) / deviation)))
