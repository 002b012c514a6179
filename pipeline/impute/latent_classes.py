"""Latent classes: which labels go together, learned from partly known rows and image scores.

An image belongs to one of R unseen classes; given the class its labels are independent. What is
known of a row (labels, and image scores where a label is unknown) tells the class, the class tells
the unknown labels. Any pattern of unknown cells is handled alike. Lazarsfeld and Henry 1968, Latent
Structure Analysis; expectation maximisation: Dempster, Laird and Rubin 1977.

By hand, since libraries take cells that are known or not: scikit-learn has Gaussian mixtures alone,
and StepMix, which has latent classes and missing cells, reads no evidence between 0 and 1.
"""

from __future__ import annotations

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
CHUNK = 4096
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LatentClasses:
    """R classes: their ``share`` [R], and the ``rate`` [R, A] of positives of each label."""

    share: Floats
    rate: Floats

    def context(self, evidence: np.ndarray, columns: slice = slice(None)) -> Floats:
        """Log-odds [n, A] of every label from everything about its image but itself.

        Parameters
        ----------
        evidence : [n, A] from `evidence_of`; a cell's own is not used for that cell.
        columns : the labels that are asked for, of all A.
        """
        rate = self.rate[:, columns]
        out = np.empty((len(evidence), rate.shape[1]))
        for start in range(0, len(evidence), CHUNK):
            part = slice(start, start + CHUNK)
            terms = _terms(evidence[part], self.rate)
            of_all = np.log(self.share)[:, None] + terms.sum(axis=2, keepdims=True)
            belief = of_all - terms[:, :, columns]
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
        for begin in range(0, len(evidence), CHUNK):
            part = evidence[begin : begin + CHUNK]
            terms = _terms(part, rate)
            belief = np.log(share) + terms.sum(axis=2)
            belief = np.exp(belief - belief.max(axis=1, keepdims=True))
            belief /= belief.sum(axis=1, keepdims=True)
            # P(label = 1 | class, evidence): the rate where nothing is known of the cell.
            posterior = np.exp(np.minimum(part, 0))[:, None] * rate * np.exp(-terms)
            positive += np.einsum("nr,nra->ra", belief, posterior)
            mass += belief.sum(axis=0)
        rate = (positive + prevalence) / (mass[:, None] + 1)
        share = (mass + 0.5) / (mass.sum() + 0.5 * classes)
    return LatentClasses(share, rate)


def _terms(evidence: np.ndarray, rate: np.ndarray) -> Floats:
    """Log-likelihood [n, R, A] of each cell's evidence in each class, up to a constant per cell."""
    # Scaled so that the larger of the two likelihoods is 1.
    positive = np.exp(np.minimum(evidence, 0))[:, None]
    negative = np.exp(np.minimum(-evidence, 0))[:, None]
    return np.asarray(np.log(positive * rate + negative * (1 - rate)))
