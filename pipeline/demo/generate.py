"""The demo data set: drawn people in clothes, with a table of attributes that has holes.

Everything follows from a seed. Row and picture ``i`` do not depend on the number of rows, so a
longer table continues a shorter one.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.demo import drawing

VISUAL_ATTRIBUTES: tuple[str, ...] = ("has_long_trousers", "has_sleeves", "has_pattern", "has_hat")
COIN = "coin_toss"
ATTRIBUTES: tuple[str, ...] = (*VISUAL_ATTRIBUTES, COIN)

PREVALENCE = (0.88, 0.81, 0.53, 0.08, 0.50)
TOGETHER = 0.7
"""Correlation of the normals behind the first two attributes: who dresses warm dresses all warm."""
HIDDEN = 0.09
MISSING_IMAGES = 3
BLOCK = 100
"""Rows drawn together: each block has the exact share of every attribute and of hidden cells."""


@dataclass(frozen=True)
class DemoTable:
    """The generated table.

    images : N file names.
    truth : int64 [N, A], every cell 0 or 1.
    labels : float32 [N, A], the truth with hidden cells NaN.
    missing : names of rows whose image file is not written.
    """

    images: list[str]
    truth: npt.NDArray[np.int64]
    labels: npt.NDArray[np.float32]
    missing: frozenset[str]


def generate(rows: int, seed: int) -> DemoTable:
    """Draw the table: a Gaussian copula, cut at its ranks; cells hidden completely at random."""
    blocks = [_block(seed, start) for start in range(0, rows, BLOCK)]
    truth = np.concatenate([block[0] for block in blocks])[:rows]
    hidden = np.concatenate([block[1] for block in blocks])[:rows]
    labels = np.where(hidden, np.nan, truth).astype(np.float32)
    images = [f"image_{i}.jpg" for i in range(rows)]
    chosen = np.random.default_rng([seed, 1]).choice(rows, min(MISSING_IMAGES, rows), replace=False)
    return DemoTable(images, truth, labels, frozenset(images[i] for i in chosen))


def _block(seed: int, start: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    rng = np.random.default_rng([seed, 2, start])
    latent = rng.standard_normal((BLOCK, len(ATTRIBUTES)))
    latent[:, 1] = TOGETHER * latent[:, 0] + math.sqrt(1 - TOGETHER**2) * latent[:, 1]
    ranks = latent.argsort(axis=0).argsort(axis=0)
    truth = (ranks >= np.rint(BLOCK * (1 - np.array(PREVALENCE)))).astype(np.int64)
    hidden = rng.permutation(truth.size) < round(HIDDEN * truth.size)
    return truth, hidden.reshape(truth.shape)


def picture(attributes_row: Sequence[int], seed: int, index: int) -> Image.Image:
    """RGB picture ``index`` of the demo with this seed, 150 to 190 pixels high."""
    rng = np.random.default_rng([seed, 3, index])
    height = int(rng.integers(150, 191))
    size = height, round(height * rng.uniform(0.72, 0.78))
    return draw(attributes_row, rng, size)


def draw(
    attributes_row: Sequence[int], rng: np.random.Generator, size: tuple[int, int]
) -> Image.Image:
    """Draw a person who shows ``attributes_row``, in the order of ``ATTRIBUTES``, on RGB.

    ``size`` is (height, width) in pixels. The coin shows nowhere.
    """
    return drawing.draw(dict(zip(ATTRIBUTES, attributes_row, strict=True)), rng, size)


def jpeg(image: Image.Image) -> bytes:
    """The picture as the demo stores it."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
