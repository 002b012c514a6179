"""The final multi-label classifier on disk: weights, and a JSON on how to use them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.features.store import FeatureStore
from pipeline.files import write_json
from pipeline.training import heads

FOLDER = Path("models/multilabel")
FINE_TUNED = Path("models/fine_tuned")
"""The same with its backbone trained, too, where that was asked for."""
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
    grid : see `store.stored`.
    categories : the categorical attributes.
    branches
        Of a fine-tuned network, the (start, stop) of the columns of each head of each backbone;
        empty where the backbone is the frozen one.
    parameters, trainable : numbers in the weights beside this card, all and those that were fitted.
    """

    head: heads.HeadConfig
    attributes: tuple[str, ...]
    thresholds: tuple[float, ...]
    image_size: tuple[int, int]
    backbone: dict[str, str]
    precision: str
    missing: str
    grid: int | None = None
    categories: tuple[Attribute, ...] = ()
    branches: tuple[tuple[tuple[int, int], ...], ...] = ()
    parameters: int = 0
    trainable: int = 0


def save(head: Any, card: Card, folder: Path) -> None:
    """Write ``head.weights.h5`` and ``model.json`` into ``folder``."""
    heads.save(head, folder / "head.weights.h5")
    write_card(card, folder)


def write_card(card: Card, folder: Path) -> None:
    """Write ``model.json`` into ``folder``."""
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
            "categories": [dataclasses.asdict(one) for one in card.categories],
            "branches": [[list(span) for span in spans] for spans in card.branches],
            "parameters": card.parameters,
            "trainable": card.trainable,
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
    card = read_card(folder)
    return heads.load(card.head, folder / "head.weights.h5"), card


def current() -> Path:
    """The folder of the classifier in use: the fine-tuned one where there is one."""
    return FINE_TUNED if (FINE_TUNED / "model.json").is_file() else FOLDER


def read_card(folder: Path) -> Card:
    """The card in ``folder``, or a `PipelineError` where there is none."""
    try:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(
            f"{folder / 'model.json'}: no such file; train the classifier first with `dvc repro`"
        ) from None
    return Card(
        head=heads.HeadConfig.from_json(content["head"]),
        attributes=tuple(content["attributes"]),
        thresholds=tuple(content["thresholds"]),
        image_size=tuple(content["image_size"]),
        backbone=content["backbone"],
        precision=content["precision"],
        missing=content["missing"],
        grid=content.get("grid"),
        categories=tuple(
            Attribute(one["name"], tuple(one["values"]), one["start"])
            for one in content.get("categories", [])
        ),
        branches=tuple(
            tuple((start, stop) for start, stop in spans) for spans in content.get("branches", [])
        ),
        parameters=content.get("parameters", 0),
        trainable=content.get("trainable", 0),
    )


def of_logits(logits: np.ndarray, of: Sequence[Attribute]) -> npt.NDArray[np.float64]:
    """Probabilities float64 [n, A] of a head's own logits."""
    odds = categories.log_odds(np.asarray(logits, dtype=np.float64), categories.spans(of))
    return np.asarray(expit(odds))


def probabilities(
    head: Any, card: Card, store: FeatureStore, rows: np.ndarray, batch: int = 256
) -> npt.NDArray[np.float64]:
    """float64 [n, attributes] for ``rows`` of the store, plain view."""
    parts = []
    for start in range(0, len(rows), batch):
        features = heads.read_features(card.head.kind, store, rows[start : start + batch])
        logits = head(features.astype(np.float32), training=False).numpy()
        parts.append(of_logits(logits, card.categories))
    return np.concatenate(parts)
