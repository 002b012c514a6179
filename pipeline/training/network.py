"""A whole network, backbone and heads in one: from pictures to logits, and its files.

It has *branches*: each a backbone of its own, and one or more heads on it that give a range of the
columns each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.features import extract, weights
from pipeline.training import heads
from pipeline.training.heads import HeadConfig

Span = tuple[int, int]


@dataclass
class Branch:
    """A backbone (`backbones.build`), its heads, and the columns (start, stop) of each."""

    backbone: Any
    heads: list[Any]
    spans: list[Span]
    pooled: bool

    @property
    def parameters(self) -> int:
        """Numbers in all of its weights."""
        heads_own = sum(heads.counts(head)[0] for head in self.heads)
        return int(self.backbone.network.count_params()) + heads_own

    @property
    def trainable(self) -> int:
        """Those that a fit changes; batch normalisation's moments follow and are not fitted."""
        return heads.counts(self.backbone.network)[1] + sum(
            heads.counts(head)[1] for head in self.heads
        )

    def logits(self, images: Any, training: bool, batch_statistics: bool = False) -> list[Any]:
        """Tensors [B, stop - start], one per head, of uint8 images [B, h, w, 3].

        Parameters
        ----------
        training : of the heads, that is whether dropout is on.
        batch_statistics : whether batch normalisation uses the batch's moments, and learns them.
        """
        return self.of_maps(self.maps(images, batch_statistics), training)[0]

    def maps(self, images: Any, batch_statistics: bool = False) -> Any:
        """The backbone's map, float32 [B, h', w', C], of uint8 images [B, h, w, 3]."""
        import tensorflow as tf

        maps = self.backbone(tf.cast(images, tf.float32), training=batch_statistics)
        return tf.cast(maps, tf.float32)

    def of_maps(self, maps: Any, training: bool) -> tuple[list[Any], Any]:
        """`logits` of the backbone's map, and its mean over all positions, [B, C]."""
        import tensorflow as tf

        means = tf.reduce_mean(maps, axis=(1, 2))
        features = means if self.pooled else maps
        return [head(features, training=training) for head in self.heads], means


def make_branch(
    backbone: Any, config: HeadConfig, spans: Sequence[Span], built: Sequence[Any] = ()
) -> Branch:
    """A branch with heads of ``config``, new ones unless ``built`` has them."""
    models = list(built) or [
        heads.build(replace(config, outputs=stop - start)) for start, stop in spans
    ]
    return Branch(backbone, models, list(spans), heads.HEADS[config.kind].pooled)


class WholeNetwork:
    """Branches compiled for pictures of one size.

    Parameters
    ----------
    few : see `extract.shapes`.
    """

    def __init__(self, branches: Sequence[Branch], image_size: tuple[int, int], few: bool = False):
        import tensorflow as tf

        self.branches = list(branches)
        self.batch = extract.batch_size(image_size)
        self._shapes = extract.shapes(self.batch, few)
        self._outputs = max(stop for branch in branches for _, stop in branch.spans)

        @tf.function(autograph=False)  # a graph for each shape that is asked for
        def maps(images: Any) -> Any:
            return [branch.maps(images) for branch in self.branches]

        @tf.function(autograph=False)
        def of_maps(maps: Any) -> Any:
            pairs = zip(self.branches, maps, strict=True)
            return [branch.of_maps(own, training=False) for branch, own in pairs]

        self._maps, self._of_maps = maps, of_maps

    def __call__(self, images: np.ndarray) -> npt.NDArray[np.float32]:
        """uint8 [n, h, w, 3], n at most ``batch`` -> logits float32 [n, A]."""
        return self.with_means(images)[0]

    def with_means(
        self, images: np.ndarray
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The same, and the pooled features of the first branch, float32 [n, C]."""
        out = np.zeros((len(images), self._outputs), dtype=np.float32)
        features = []
        for where, some in extract.padded(images, self._shapes):
            maps = [own.numpy() for own in self._maps(some)]
            # The heads cost little and sum in another order in a step of another size.
            whole = [next(extract.padded(own, self._shapes[-1:]))[1] for own in maps]
            found = self._of_maps(whole)
            count = where.stop - where.start
            features.append(found[0][1].numpy()[:count])
            for branch, (logits, _) in zip(self.branches, found, strict=True):
                for (start, stop), part in zip(branch.spans, logits, strict=True):
                    out[where, start:stop] = part.numpy()[:count]
        return out, np.concatenate(features) if features else np.zeros((0, 0), np.float32)


def save(branches: Sequence[Branch], folder: Path) -> None:
    """Write each branch's backbone and heads, byte-stable."""
    for number, branch in enumerate(branches):
        place = folder / f"branch_{number}"
        place.mkdir()
        weights.save(branch.backbone, place)
        for index, head in enumerate(branch.heads):
            heads.save(head, place / f"head_{index}.weights.h5")


def load(
    folder: Path,
    name: str,
    config: HeadConfig,
    spans: Sequence[Sequence[Span]],
    image_size: tuple[int, int],
    precision: str,
    few: bool = False,
) -> WholeNetwork:
    """The inverse of `save`.

    Parameters
    ----------
    name : of the backbone; config : of the heads, but for their outputs.
    spans : see `saved_model.Card.branches`.
    few : see `extract.shapes`.
    """
    branches = []
    for number, own in enumerate(spans):
        place = folder / f"branch_{number}"
        backbone = weights.load(name, image_size, precision, place)
        branch = make_branch(backbone, config, own)
        for index, head in enumerate(branch.heads):
            heads.read_weights(head, place / f"head_{index}.weights.h5")
        branches.append(branch)
    return WholeNetwork(branches, image_size, few)
