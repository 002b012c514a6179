"""The trained classifier as one function from pictures to probabilities, whatever it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import runtime
from pipeline.data import categories
from pipeline.errors import PipelineError
from pipeline.features import extract, int8, weights
from pipeline.features.store import reduced, reduced_in_graph
from pipeline.training import familiarity, heads, network, saved_model

HeadInput = tuple[Any, npt.NDArray[np.float32], tuple[int, int]]
"""A head, what it sees of one picture, and the (start, stop) of the columns that it gives.

The head is a keras.Model from features [B, h, w, C] or [B, C] to logits [B, stop - start]; what it
sees is float32 [1, h, w, C] or [1, C].
"""


@dataclass(frozen=True)
class Prediction:
    """probability : float64 [n, A]; unlike_training : bool [n], see `familiarity`, None where the
    classifier was saved without."""

    probability: npt.NDArray[np.float64]
    unlike_training: npt.NDArray[np.bool_] | None


class Predictor:
    """A trained classifier: backbone and head, or a fine-tuned network.

    Parameters
    ----------
    folder : what stage ``train`` or ``fine_tune`` wrote, wherever it lies; None takes the
        classifier in use of the project in the current folder.
    precision : to compute in, ``float32`` or ``bfloat16``; None takes the card's.

    Attributes
    ----------
    folder : where it was read from.
    card : see `saved_model.Card`.
    attributes : those of the card, binary and categorical.
    batch : pictures in a step of the network.

    Raises
    ------
    PipelineError
        If there is no trained classifier, or it belongs to another backbone.
    """

    def __init__(self, folder: str | Path | None = None, precision: str | None = None) -> None:
        runtime.tensorflow()
        folder = self.folder = saved_model.current() if folder is None else Path(folder)
        self.card = saved_model.read_card(folder)
        saved_model.check(folder)
        self.attributes = categories.attributes(self.card.attributes, self.card.categories)
        self._pooled = heads.HEADS[self.card.head.kind].pooled
        self._encoder: Any
        self._head: Any = None
        self._logits: Any = None
        size, precision = self.card.image_size, precision or self.card.precision
        name = self.card.backbone["name"]
        if self.card.branches:
            self._encoder = network.load(
                folder, name, self.card.head, self.card.branches, size, precision, few=True
            )
        else:
            self._head = heads.load(self.card.head, folder / saved_model.HEAD)
            self._logits = heads.compiled(self._head)
            if precision == int8.PRECISION:
                int8.check_installed()
                self._encoder = int8.encoder(folder, few=True)
            else:
                place = saved_model.backbone_of(folder, self.card)
                model = weights.load(name, size, precision, place)
                self._encoder = extract.Encoder(model, size, few=True)
        self._familiarity = familiarity.read(folder)
        self.batch = self._encoder.batch

    def probabilities(self, pictures: np.ndarray) -> npt.NDArray[np.float64]:
        """uint8 [n, h, w, 3] of the classifier's own size -> probabilities float64 [n, A]."""
        return self.predict(pictures).probability

    def predict(self, pictures: np.ndarray) -> Prediction:
        """The same, and whether each picture is unlike all training pictures."""
        probability, unlike = [], []
        for start in range(0, len(pictures), self.batch):
            logits, means = self._forward(pictures[start : start + self.batch])
            if not np.isfinite(logits).all():
                raise PipelineError(
                    f"{self.folder}: the network gives numbers that are not finite; {heads.WAY_OUT}"
                )
            probability.append(saved_model.of_logits(logits, self.card.categories))
            if self._familiarity is not None:
                unlike.append(self._familiarity.unlike(means))
        return Prediction(np.concatenate(probability), np.concatenate(unlike) if unlike else None)

    def _forward(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits [n, A] and pooled features [n, C] of at most ``batch`` pictures."""
        if isinstance(self._encoder, network.WholeNetwork):
            return self._encoder.with_means(pictures)
        maps, means = reduced(self._encoder(pictures), self.card.grid)
        features = means if self._pooled else maps
        # Of one shape: a picture's probability is the same whatever stands beside it.
        padded = np.zeros((self.batch, *features.shape[1:]), dtype=np.float32)
        padded[: len(features)] = features
        return self._logits(padded).numpy()[: len(features)], means

    @property
    def networks(self) -> list[Any]:
        """The keras.Models whose weights `in_graph` reads."""
        if self._head is not None:
            return [self._encoder.model, self._head]
        return [one for each in self._encoder.branches for one in (each.backbone, *each.heads)]

    def in_graph(self, pictures: Any) -> Any:
        """What `probabilities` computes, as operations of a graph: tensor float32 [B, A] of a
        tensor uint8 [B, h, w, 3]; not of the 8-bit network."""
        import tensorflow as tf

        parts: dict[tuple[int, int], Any] = {}
        if self._head is None:
            for branch in self._encoder.branches:
                logits = branch.logits(pictures, training=False)
                parts |= dict(zip(branch.spans, logits, strict=True))
        else:
            maps = self._encoder.model(tf.cast(pictures, tf.float32), training=False)
            maps, means = reduced_in_graph(tf.cast(maps, tf.float32), self.card.grid)
            logits = self._head(means if self._pooled else maps, training=False)
            parts[0, len(self.card.attributes)] = logits
        logits = tf.concat([parts[span] for span in sorted(parts)], axis=1)
        own = [
            (tf.nn.softmax if one.values else tf.sigmoid)(logits[:, one.start : one.stop])
            for one in self.attributes
        ]
        return tf.concat(own, axis=1, name="probabilities")

    def heads_on_map(self, picture: np.ndarray) -> list[HeadInput]:
        """The head and the map that it sees of one uint8 [h, w, 3]; none without a frozen map."""
        if self._head is None or self._pooled:
            return []
        maps, _ = reduced(self._encoder(picture[None]), self.card.grid)
        return [(self._head, maps, (0, len(self.card.attributes)))]
