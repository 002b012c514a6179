"""The final multi-label classifier on disk: a head's weights and a JSON on how to use it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from pipeline import heads
from pipeline.errors import PipelineError
from pipeline.features import FeatureStore
from pipeline.files import write_json

FOLDER = Path("models/multilabel")
VARIANTS = "variants"
"""Folder inside it with a model per treatment of unknown cells, for comparison."""


@dataclass(frozen=True)
class Card:
    """What belongs to the weights.

    attributes : names of the outputs, in order.
    thresholds : one per attribute; the decision is 1 from this probability on.
    image_size : (height, width) in pixels that the backbone saw.
    backbone : its ``name`` and the ``sha256`` of its weights.
    precision : in which the backbone computed.
    missing : how unknown cells entered the training.
    grid : see `features.stored`.
    """

    head: heads.HeadConfig
    attributes: tuple[str, ...]
    thresholds: tuple[float, ...]
    image_size: tuple[int, int]
    backbone: dict[str, str]
    precision: str
    missing: str
    grid: int | None = None


def save(head: Any, card: Card, folder: Path) -> None:
    """Write ``head.weights.h5`` and ``model.json`` into ``folder``."""
    heads.save(head, folder / "head.weights.h5")
    write_json(
        {
            "attributes": list(card.attributes),
            "thresholds": [round(t, 6) for t in card.thresholds],
            "head": card.head.to_json(),
            "image_size": list(card.image_size),
            "backbone": card.backbone,
            "precision": card.precision,
            "missing": card.missing,
            "grid": card.grid,
        },
        folder / "model.json",
    )


def load(folder: Path = FOLDER) -> tuple[Any, Card]:
    """The head, a keras.Model from features to logits, and its card.

    Raises
    ------
    PipelineError
        If there is no trained model in ``folder``.
    """
    try:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(
            f"{folder / 'model.json'}: no such file; train the classifier first with `dvc repro`"
        ) from None
    card = Card(
        head=heads.HeadConfig.from_json(content["head"]),
        attributes=tuple(content["attributes"]),
        thresholds=tuple(content["thresholds"]),
        image_size=tuple(content["image_size"]),
        backbone=content["backbone"],
        precision=content["precision"],
        missing=content["missing"],
        grid=content.get("grid"),
    )
    return heads.load(card.head, folder / "head.weights.h5"), card


def probabilities(
    head: Any, kind: str, store: FeatureStore, rows: np.ndarray, batch: int = 256
) -> np.ndarray:
    """float64 [n, attributes] for ``rows`` of the store, plain view."""
    parts = []
    for start in range(0, len(rows), batch):
        features = heads.read_features(kind, store, rows[start : start + batch])
        logits = head(features.astype(np.float32), training=False).numpy()
        parts.append(expit(logits.astype(np.float64)))
    return np.concatenate(parts)
