"""The trained classifier as one function from pictures to probabilities, whatever it is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data import categories
from pipeline.errors import PipelineError
from pipeline.features import extract, int8, weights
from pipeline.features.store import stored
from pipeline.training import heads, network, saved_model

BACKBONE = Path("models/backbone")
HeadInput = tuple[Any, npt.NDArray[np.float32], tuple[int, int]]
"""A head, what it sees of one picture, and the (start, stop) of the columns that it gives.

The head is a keras.Model from features [B, h, w, C] or [B, C] to logits [B, stop - start]; what it
sees is float32 [1, h, w, C] or [1, C].
"""


class Predictor:
    """Backbone and head, or the fine-tuned network, of the project in the current folder.

    Attributes
    ----------
    card : see `saved_model.Card`.
    attributes : those of the card, binary and categorical.
    batch : pictures in a step of the network.

    Raises
    ------
    PipelineError
        If there is no trained classifier, or it belongs to another backbone.
    """

    def __init__(self) -> None:
        folder = saved_model.current()
        self.card = saved_model.read_card(folder)
        self.attributes = categories.attributes(self.card.attributes, self.card.categories)
        self._pooled = heads.HEADS[self.card.head.kind].pooled
        self._encoder: extract.Network
        self._head: Any = None
        size, precision = self.card.image_size, self.card.precision
        if self.card.branches:
            name = self.card.backbone["name"]
            self._encoder = network.load(
                folder, name, self.card.head, self.card.branches, size, precision
            )
        else:
            self._head, _ = saved_model.load(folder)
            name = self._backbone_name()
            if precision == int8.PRECISION:
                int8.check_installed()
                self._encoder = int8.Encoder(folder)
            else:
                self._encoder = extract.Encoder(weights.load(name, size, precision), size)
        self.batch = self._encoder.batch

    def probabilities(self, pictures: np.ndarray) -> npt.NDArray[np.float64]:
        """uint8 [n, h, w, 3] of the classifier's own size -> probabilities float64 [n, A]."""
        out = []
        for start in range(0, len(pictures), self.batch):
            logits = self._encoder(pictures[start : start + self.batch])
            if self._head is not None:
                maps, means = stored(logits, self.card.grid)
                features = means if self._pooled else maps.astype(np.float32)
                # Of one shape: a picture's probability is the same whatever stands beside it.
                padded = np.zeros((self.batch, *features.shape[1:]), dtype=np.float32)
                padded[: len(features)] = features
                logits = self._head(padded, training=False).numpy()[: len(features)]
            out.append(saved_model.of_logits(logits, self.card.categories))
        return np.concatenate(out)

    def heads_on_map(self, picture: np.ndarray) -> list[HeadInput]:
        """The head and the map that it sees of one uint8 [h, w, 3]; none without a frozen map."""
        if self._head is None or self._pooled:
            return []
        maps, _ = stored(self._encoder(picture[None]), self.card.grid)
        return [(self._head, maps.astype(np.float32), (0, len(self.card.attributes)))]

    def _backbone_name(self) -> str:
        card_file = BACKBONE / "backbone.json"
        if not card_file.is_file():
            raise PipelineError(f"{card_file}: no such file; run `dvc repro` or `dvc pull`")
        found = json.loads(card_file.read_text(encoding="utf-8"))
        if found["sha256"] != self.card.backbone["sha256"]:
            raise PipelineError(
                f"{card_file}: the backbone {found['name']} {found['sha256'][:12]} is not "
                f"the one that the classifier was trained on, {self.card.backbone['name']} "
                f"{self.card.backbone['sha256'][:12]}; run `dvc repro` or `dvc checkout`"
            )
        return str(found["name"])
