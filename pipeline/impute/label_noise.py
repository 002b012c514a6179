"""How likely each known label is to be wrong, from scores that have not seen it.

A share of the labels of either class is taken to be wrong, whatever the image (class-conditional
noise), so that the probability of a label of 1 levels off below 1 and above 0 where the scores are
surest: a logistic curve with two asymptotes (label-noise robust logistic regression, Bootkrajang
and Kabán 2012, ECML PKDD; the four-parameter logistic model of Barton and Lord 1981). What levels
off is noise; what bends is honest doubt, which says nothing against a label.

The shares are not estimated once but weighed, each pair of a grid by its likelihood and by how
common such shares are in the other attributes of the table (empirical Bayes): a weak attribute
borrows from those that tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import norm

from pipeline.impute.learnable import DEPENDENCE

Floats = npt.NDArray[np.float64]
SHARES = (
    *(0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.12, 0.14),
    *(0.17, 0.2, 0.23, 0.27, 0.33, 0.4),
)
"""Of wrong labels in a class; from a half on labels would mean their opposite."""
USUAL = 0.1
"""Mean of the prior share where there is noise, exponential: small shares are usual."""
CLEAN = 0.5
"""Prior probability that no label of a class is wrong."""
OWN = 0.3
"""How far an attribute's prior is this one, and not what the table's attributes have in common."""
BINS = 150
"""Of scores, in which a curve is fitted."""
STEPS = 60
LEVEL = 0.95


@dataclass(frozen=True)
class Evidence:
    """What the labels of one attribute say of every pair of shares; G pairs.

    likelihood : [G] logarithms; slope, offset : [G] of the curve that fits best with the pair.
    """

    likelihood: Floats
    slope: Floats
    offset: Floats


@dataclass(frozen=True)
class Doubted:
    """wrong : [n], probability that the label is wrong; number : how many are, and its interval."""

    wrong: Floats
    number: float
    low: float
    high: float


def pairs() -> tuple[Floats, Floats]:
    """The grid [G]: shares of 0s that are called 1, and of 1s that are called 0."""
    one, zero = np.meshgrid(SHARES, SHARES, indexing="ij")
    return one.ravel(), zero.ravel()


def evidence(scores: np.ndarray, labels: np.ndarray) -> Evidence:
    """The best curve of every pair, by Fisher scoring from the scores in bins.

    Parameters
    ----------
    scores : [n] logits that have not seen the labels; labels : [n] of 1 and 0.
    """
    z, count, ones = _binned(np.asarray(scores, dtype=np.float64), np.asarray(labels))
    low, high = (share[:, None] for share in pairs())
    scale = 1 - low - high
    theta = np.tile([1.0, 0.0], (len(low), 1))
    x = np.stack([z, np.ones(len(z))])
    for _ in range(STEPS):
        true = expit(theta @ x)
        p = np.clip(low + scale * true, 1e-9, 1 - 1e-9)
        slope = scale * true * (1 - true)
        gradient = ((ones - count * p) / (p * (1 - p)) * slope) @ x.T
        # A hair of penalty keeps separable labels finite.
        gradient -= 0.1 * (theta - [1.0, 0.0])
        curvature = np.einsum("gb,ib,jb->gij", count * slope**2 / (p * (1 - p)), x, x)
        curvature += 0.1 * np.eye(2)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        step *= np.minimum(1.0, 2.0 / np.maximum(np.abs(step).max(axis=1), 1e-12))[:, None]
        theta = theta + step
        theta[:, 0] = np.maximum(theta[:, 0], 0.0)
        if np.abs(step).max() < 1e-6:
            break
    true = expit(theta @ x)
    p = np.clip(low + scale * true, 1e-9, 1 - 1e-9)
    likelihood = (ones * np.log(p) + (count - ones) * np.log(1 - p)).sum(axis=1)
    return Evidence(likelihood, theta[:, 0], theta[:, 1])


def _binned(z: Floats, y: np.ndarray) -> tuple[Floats, Floats, Floats]:
    """Mean score, number of labels and of 1s in at most `BINS` bins of about equal size."""
    order = np.argsort(z, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    return (
        np.array([z[part].mean() for part in parts]),
        np.array([float(len(part)) for part in parts]),
        np.array([float((y[part] == 1).sum()) for part in parts]),
    )


def weights(found: list[Evidence]) -> list[Floats]:
    """Of every attribute the probability of each pair [G].

    The prior is in part the usual one, in part what the attributes of the table have in common, in
    a few steps of EM. Held-out scores of the same table depend on each other, so that likelihoods
    count as those of a `DEPENDENCE`-th as many labels.
    """
    shares = np.array(SHARES)
    single = np.exp(-shares / USUAL) * np.gradient(shares)
    single[0] = 0.0
    single *= (1 - CLEAN) / single.sum()
    single[0] = CLEAN
    usual = np.outer(single, single).ravel()
    logs = [part.likelihood / DEPENDENCE for part in found]
    likelihoods = [np.exp(part - part.max()) for part in logs]
    prior = usual
    posterior = []
    for _ in range(20 if found else 0):
        posterior = [part * prior / (part * prior).sum() for part in likelihoods]
        prior = OWN * usual + (1 - OWN) * np.mean(posterior, axis=0)
    return posterior


def doubted(scores: np.ndarray, labels: np.ndarray, found: Evidence, weight: Floats) -> Doubted:
    """The labels of one attribute [n], by its own evidence and the weights of the pairs [G]."""
    one, zero = pairs()
    used = np.flatnonzero(weight > 1e-6 * weight.max())
    used_weight = weight[used] / weight[used].sum()
    wrong, means, deviations = np.zeros(len(labels)), [], []
    for g, share in zip(used, used_weight, strict=True):
        true = expit(found.slope[g] * np.asarray(scores, dtype=np.float64) + found.offset[g])
        as_one, as_zero = one[g] * (1 - true), zero[g] * true
        total = np.where(
            labels == 1, as_one + (1 - zero[g]) * true, as_zero + (1 - one[g]) * (1 - true)
        )
        of_pair = np.where(labels == 1, as_one, as_zero) / np.maximum(total, 1e-12)
        wrong += share * of_pair
        means.append(of_pair.sum())
        deviations.append(np.sqrt((of_pair * (1 - of_pair)).sum()))
    low, high = _ends(np.array(means), np.array(deviations), used_weight)
    return Doubted(wrong, float(wrong.sum()), low, high)


def _ends(means: Floats, deviations: Floats, share: Floats) -> tuple[float, float]:
    """Ends of the interval of a mixture of normal distributions, not below 0."""
    grid = np.linspace(0, (means + 5 * deviations).max() + 1, 2000)
    below = (share[:, None] * norm.cdf(grid, means[:, None], deviations[:, None] + 1e-9)).sum(
        axis=0
    )
    ends = np.interp([(1 - LEVEL) / 2, (1 + LEVEL) / 2], below, grid)
    return float(ends[0]), float(ends[1])
