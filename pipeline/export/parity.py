"""Whether an export says what the classifier says, on pictures made for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.data import categories, images
from pipeline.export.formats import Run
from pipeline.training.inference import Predictor

BATCHES = (1, 3, 64)
"""Pictures in a call: a runtime may compute each number of them otherwise."""
TOLERANCE = 2e-4
"""Between probabilities in float32. Most differ by less than 1e-5; with VGG19, onnxruntime comes to
1e-4 where it computes many pictures at a time."""
SIDES = ((1.7, 1.3), (0.6, 0.9))
"""Height and width of pictures of other sizes, as factors of the classifier's."""


@dataclass(frozen=True)
class Parity:
    """What was found.

    difference : the largest of probabilities, where pictures have the classifier's size.
    resized : the same of pictures of other sizes; None for a format that takes none.
    decisions : how many, and how many of them the export makes otherwise.
    """

    difference: float
    resized: float | None
    decisions: int
    other_decisions: int


def pictures(size: tuple[int, int], count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """uint8 [count, h, w, 3]: noise of all scales, seeded, with the contrast of photos."""
    rng = np.random.default_rng(seed)
    height, width = size
    out = np.empty((count, height, width, 3), dtype=np.uint8)
    for one in out:
        total = np.zeros((height, width, 3))
        for cells in (2, 5, 16):
            coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            total += images.resize(coarse, size)
        total += rng.normal(0, 20, total.shape)
        one[:] = np.clip(128 + (total / 3 - 128) * 1.8, 0, 255)
    return out


def compare(run: Run, predictor: Predictor, any_size: bool) -> Parity:
    """An export against the classifier.

    Parameters
    ----------
    run : of the export, see `formats.Format.open`.
    predictor : in float32.
    any_size : whether the format takes pictures of other sizes, too.
    """
    size = predictor.card.image_size
    shown = pictures(size, max(BATCHES))
    expected = predictor.probabilities(shown)
    difference = max(
        float(np.abs(run(shown[:count]) - expected[:count]).max()) for count in BATCHES
    )
    wrong = other_decisions(predictor, run(shown), expected)
    resized = None
    for number, (tall, wide) in enumerate(SIDES if any_size else ()):
        other = pictures((round(size[0] * tall), round(size[1] * wide)), 3, number + 1)
        squeezed = np.stack([images.resize(Image.fromarray(one), size) for one in other])
        gap = float(np.abs(run(other) - predictor.probabilities(squeezed)).max())
        resized = max(gap, resized or 0.0)
    return Parity(difference, resized, wrong.size, int(wrong.sum()))


def other_decisions(
    predictor: Predictor, found: Any, expected: np.ndarray
) -> npt.NDArray[np.bool_]:
    """[n, attributes], whether probabilities [n, A] decide otherwise than the ``expected`` ones."""
    card = predictor.card
    thresholds, softmax = np.array(card.thresholds), categories.spans(card.categories)
    decided = (categories.decide(np.asarray(p), thresholds, softmax) for p in (found, expected))
    starts = [one.start for one in predictor.attributes]
    return np.logical_or.reduceat(np.not_equal(*decided), starts, axis=1)


def faults(found: Parity) -> list[str]:
    """What forbids to leave the export on disk, in words.

    Probabilities that agree leave no room for other decisions but where one lies within the
    tolerance of its threshold.
    """
    gaps = {"": found.difference, " of other sizes": found.resized or 0.0}
    return [
        f"probabilities of pictures{what} differ by {gap:.2g}, more than {TOLERANCE:g}"
        for what, gap in gaps.items()
        if not gap <= TOLERANCE
    ]
