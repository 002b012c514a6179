"""Latent classes: which labels go together, learned from partly known rows and image scores.

An image belongs to one of R unseen classes; given the class its labels are independent. What is
known of a row (labels, and image scores where a label is unknown) tells the class, the class tells
the unknown labels. Any pattern of unknown cells is handled alike. Lazarsfeld and Henry 1968, Latent
Structure Analysis; expectation maximisation: Dempster, Laird and Rubin 1977.

By hand, since libraries take cells that are known or not: scikit-learn has Gaussian mixtures alone,
and StepMix, which has latent classes and missing cells, reads no evidence between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ITERATIONS = 40
CERTAIN = 30.0
"""The log-likelihood ratio that stands for a known label."""
MOST_EVIDENCE = 8.0
"""Image evidence beyond this log-likelihood ratio is not believed."""
MOST_ROWS = 8000
"""Rows at most that the classes are learned from."""
CHUNK = 2**17
"""Numbers [n, R, A] worked through at a time: they stay near the processor."""
HALVINGS = 4
"""How often likelihoods are multiplied in pairs before logarithms are taken of what is left, which
are as costly as dozens of products: of up to 31 none comes near the smallest number there is."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LatentClasses:
    """R classes: their ``share`` [R], and the ``rate`` [R, A] of positives of each label."""

    share: Floats
    rate: Floats

    def of(self, columns: np.ndarray) -> LatentClasses:
        """The same classes, of some labels alone."""
        return LatentClasses(self.share, self.rate[:, columns])

    def context(self, evidence: np.ndarray, columns: slice = slice(None)) -> Floats:
        """Log-odds [n, A] of every label from everything about its image but itself.

        Parameters
        ----------
        evidence : [n, A] from `evidence_of`; a cell's own is not used for that cell.
        columns : the labels that are asked for, of all A.
        """
        rate = self.rate[:, columns]
        out = np.empty((len(evidence), rate.shape[1]))
        for part in _chunks(evidence, self.rate):
            likelihood = _likelihood(evidence[part], self.rate)
            of_all = np.log(self.share) + _log_product(likelihood)
            belief = of_all[:, :, None] - np.log(likelihood[:, :, columns])
            belief = np.exp(belief - belief.max(axis=1, keepdims=True))
            positive = np.einsum("nra,ra->na", belief, rate)
            negative = np.einsum("nra,ra->na", belief, 1 - rate)
            out[part] = np.log(positive) - np.log(negative)
        return out


def evidence_of(
    image_logits: np.ndarray, labels: np.ndarray, prior: np.ndarray, temper: float
) -> Floats:
    """Log-likelihood ratio of 1 against 0, [n, A]: certain where a label is known, else what the
    picture adds to the prevalence.

    Parameters
    ----------
    image_logits : [n, A] calibrated, from models that have not seen the row.
    prior : [A] log-odds of the prevalence.
    temper
        Below 1, since image scores of several labels share their errors, and counting them as
        independent is too sure.
    """
    seen = np.clip(temper * (image_logits - prior), -MOST_EVIDENCE, MOST_EVIDENCE)
    certain = np.where(labels == 1, CERTAIN, -CERTAIN)
    return np.where(np.isnan(labels), seen, certain)


def fit(
    evidence: np.ndarray, prevalence: np.ndarray, classes: int, seed: tuple[int, ...]
) -> LatentClasses:
    """Expectation maximisation from classes drawn at random among the rows.

    Parameters
    ----------
    evidence : [n, A] of the training rows.
    prevalence : [A], what a rate is drawn to where a class has few rows.
    """
    rng = np.random.default_rng(seed)
    if len(evidence) > MOST_ROWS:
        evidence = evidence[np.sort(rng.choice(len(evidence), MOST_ROWS, replace=False))]
    prior = np.log(prevalence) - np.log1p(-prevalence)
    chosen = rng.choice(len(evidence), classes, replace=len(evidence) < classes)
    start = 1 / (1 + np.exp(-(prior + np.clip(evidence[chosen], -2.5, 2.5))))
    rate, share = np.clip(start, 0.02, 0.98), np.full(classes, 1 / classes)
    for _ in range(ITERATIONS):
        mass, positive = np.zeros(classes), np.zeros_like(rate)
        for rows in _chunks(evidence, rate):
            part = evidence[rows]
            likelihood = _likelihood(part, rate)
            belief = np.log(share) + _log_product(likelihood)
            belief = np.exp(belief - belief.max(axis=1, keepdims=True))
            belief /= belief.sum(axis=1, keepdims=True)
            # P(label = 1 | class, evidence) is the rate where nothing is known of the cell.
            beyond = np.exp(np.minimum(part, 0))[:, None] / likelihood
            positive += rate * np.einsum("nr,nra->ra", belief, beyond)
            mass += belief.sum(axis=0)
        rate = (positive + prevalence) / (mass[:, None] + 1)
        share = (mass + 0.5) / (mass.sum() + 0.5 * classes)
    return LatentClasses(share, rate)


def _chunks(evidence: np.ndarray, rate: np.ndarray) -> Iterator[slice]:
    """Of the rows of ``evidence`` [n, A], for classes with ``rate`` [R, A]."""
    rows = max(1, CHUNK // max(rate.size, 1))
    for start in range(0, len(evidence), rows):
        yield slice(start, start + rows)


def _likelihood(evidence: np.ndarray, rate: np.ndarray) -> Floats:
    """[n, R, A] of each cell's evidence in each class, up to a factor per cell."""
    # Scaled so that the larger of the two likelihoods is 1.
    positive, negative = np.exp(np.minimum(evidence, 0)), np.exp(np.minimum(-evidence, 0))
    out: Floats = (positive - negative)[:, None] * rate
    out += negative[:, None]
    return out


def _log_product(likelihood: np.ndarray) -> Floats:
    """Logarithms [n, R] of the products of [n, R, A] over the last axis."""
    product = likelihood
    for _ in range(HALVINGS):
        half = product.shape[2] // 2
        if not half:
            break
        paired = product[:, :, :half] * product[:, :, half : 2 * half]
        if product.shape[2] % 2:
            paired[:, :, 0] *= product[:, :, -1]
        product = paired
    return np.asarray(np.log(product).sum(axis=2))
