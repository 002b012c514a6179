"""Why a classifier says what it says of one picture: LIME on superpixels.

Ribeiro, Singh and Guestrin (2016), "Why should I trust you?", KDD, arXiv:1602.04938: hide random
parts of the picture, see what the classifier makes of the rest, and fit a linear model to that,
in which the picture's near neighbours count most. Everything here is pure: it knows a classifier
only as a function from pictures to probabilities.

The authors' package ``lime`` is no longer kept up; what it would do here is this module. SLIC
superpixels are scikit-image's, ridge regression is scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from sklearn.linear_model import Ridge

from pipeline import progress

KERNEL_WIDTH = 0.25
"""Of the distance at which a perturbed picture counts 1/e, as the paper's authors have it."""
PENALTY = 1.0
FOLDS = 5
STILL = 1e-6
"""Standard deviation of a probability up to which it counts as never moving."""
CHUNK = 256
"""Perturbed pictures in memory at a time: a multiple of every batch size of the network."""

Probabilities = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]
"""uint8 [n, h, w, 3] -> float64 [n, A]."""


@dataclass(frozen=True)
class Explanation:
    """What the superpixels do to the probabilities of one picture.

    segments : int64 [h, w], 0 to S-1.
    probabilities : float64 [A], of the whole picture.
    weights : float64 [A, S]; what showing a superpixel adds to the probability, 0 throughout where
        the probability never moves.
    r2 : float64 [A]; share of the probability's variance that the linear model foretells on
        perturbed pictures which it was not fitted on, at most 1 and below 0 where it does worse
        than their mean. NaN where the probability never moves.
    """

    segments: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    r2: npt.NDArray[np.float64]

    @property
    def areas(self) -> npt.NDArray[np.float64]:
        """float64 [S], the share of the picture that each superpixel covers; the sum is 1."""
        sizes = np.bincount(self.segments.ravel(), minlength=self.weights.shape[1])
        return sizes / self.segments.size


def superpixels(picture: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.int64]:
    """Parts of like colour: SLIC (Achanta et al. 2012, IEEE TPAMI 34(11)).

    Parameters
    ----------
    picture : uint8 [h, w, 3].
    count : superpixels wished for; SLIC comes near it.

    Returns
    -------
    int64 [h, w], 0 to S-1, every number in use.
    """
    from skimage.segmentation import slic

    found = slic(picture, n_segments=count, compactness=10, sigma=1, start_label=0, channel_axis=-1)
    _, numbers = np.unique(found, return_inverse=True)
    return numbers.reshape(picture.shape[:2]).astype(np.int64)


def hidden(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What stands in for the parts that are switched off: the picture, blurred beyond recognition.

    Not the mean colour of each part, as usual: a part of one colour would look the same switched
    off, and nothing that is drawn, painted or worn in one colour could ever speak for anything.
    Nor one grey: its edges would be the strongest in the picture.

    Parameters
    ----------
    picture : uint8 [h, w, 3].

    Returns
    -------
    uint8 [h, w, 3].
    """
    sigma = max(picture.shape[:2]) / 8
    blurred = ndimage.gaussian_filter(
        picture.astype(np.float64), sigma=(sigma, sigma, 0), mode="nearest"
    )
    return np.rint(blurred).astype(np.uint8)


def masks(samples: int, parts: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which superpixels each perturbed picture shows.

    As in the paper, first how many is drawn, each number from none to all as likely, then which.
    The first row shows all: it is the picture itself.

    Returns
    -------
    bool [samples, parts].
    """
    shown = rng.integers(0, parts, samples, endpoint=True)
    order = rng.random((samples, parts)).argsort(axis=1, kind="stable").argsort(axis=1)
    out: npt.NDArray[np.bool_] = order < shown[:, None]
    out[0] = True
    return out


def nearness(shown: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The weight of each perturbed picture: exp(-d²/width²) of its cosine distance d to the whole.

    Parameters
    ----------
    shown : bool [n, S].

    Returns
    -------
    float64 [n], 1 where all is shown.
    """
    distance = 1 - np.sqrt(shown.mean(axis=1))
    weight: npt.NDArray[np.float64] = np.exp(-((distance / KERNEL_WIDTH) ** 2))
    return weight


def explain(
    picture: npt.NDArray[np.uint8],
    segments: npt.NDArray[np.int64],
    probabilities: Probabilities,
    samples: int,
    seed: int,
) -> Explanation:
    """LIME for all attributes at once: they share the perturbed pictures.

    Parameters
    ----------
    picture : uint8 [h, w, 3].
    segments : int64 [h, w] as `superpixels` gives them.
    probabilities : the classifier; called with at most `CHUNK` pictures.
    samples : perturbed pictures, the picture itself among them.
    seed : of the masks; the same one gives the same explanation.

    Raises
    ------
    ValueError
        If there are fewer samples than `FOLDS`.
    """
    if samples < FOLDS:
        raise ValueError(f"samples: got {samples}, expected {FOLDS} or more")
    shown = masks(samples, int(segments.max()) + 1, np.random.default_rng(seed))
    off, parts = hidden(picture), np.split(shown, range(CHUNK, samples, CHUNK))
    answers = np.concatenate(
        [
            probabilities(np.where(part[:, segments][..., None], picture, off))
            for part in progress.track(parts, "perturbed pictures", "batch")
        ]
    )
    weights, r2 = fit(shown, answers, nearness(shown))
    return Explanation(segments, answers[0], weights, r2)


def fit(
    shown: npt.NDArray[np.bool_],
    answers: npt.NDArray[np.float64],
    nearness: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weighted ridge regression of each attribute's probabilities on what is shown.

    R² is cross-fitted, since with 60 superpixels and 500 samples even the flips of a coin would
    seem to be explained by a quarter.

    Parameters
    ----------
    shown : bool [n, S].
    answers : float64 [n, A].
    nearness : float64 [n], the weights of the rows.

    Returns
    -------
    weights float64 [A, S] and R² float64 [A], as in `Explanation`.
    """
    x = shown.astype(np.float64)
    centred = answers - np.average(answers, axis=0, weights=nearness)
    predicted = np.zeros_like(centred)
    fold = np.arange(len(x)) % FOLDS
    for number in range(FOLDS):
        held_out = fold == number
        model = _ridge(x[~held_out], centred[~held_out], nearness[~held_out])
        predicted[held_out] = model.predict(x[held_out]).reshape(-1, centred.shape[1])
    variance = np.average(centred**2, axis=0, weights=nearness)
    error = np.average((centred - predicted) ** 2, axis=0, weights=nearness)
    moves = variance > STILL**2
    r2 = np.full(len(moves), np.nan)
    r2[moves] = 1 - error[moves] / variance[moves]
    coefficients = _ridge(x, centred, nearness).coef_.reshape(-1, x.shape[1])
    return np.where(moves[:, None], coefficients, 0.0), r2


def _ridge(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], nearness: npt.NDArray[np.float64]
) -> Ridge:
    return Ridge(alpha=PENALTY, solver="cholesky").fit(x, y, sample_weight=nearness)
