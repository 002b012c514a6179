"""The final multi-label classifier on disk: weights, and a JSON on how to use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError
from scipy.special import expit

from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.errors import fail
from pipeline.features import weights
from pipeline.features.store import FeatureStore
from pipeline.files import link, sha256, write_json
from pipeline.training import heads

FOLDER = Path("models/multilabel")
FINE_TUNED = Path("models/fine_tuned")
"""The same with its backbone trained, too, where that was asked for."""
BACKBONE = Path("models/backbone")
"""Where stage ``backbone`` leaves the frozen one, and `keep_backbone` takes it from."""
OWN_BACKBONE = "backbone"
"""Folder inside a classifier's with what it needs of that."""
VARIANTS = "variants"
"""Folder inside it with a model per treatment of unknown cells, and `LOGISTIC`, for comparison."""
LOGISTIC = "logistic"
"""A plain logistic regression on known labels and pooled features."""


@dataclass(frozen=True)
class Card:
    """What belongs to the weights; the keys of ``model.json``, in order.

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
    learnable : of `pipeline.data.verdicts`, one per attribute: what is not learnable is a guess.
    parameters, trainable : numbers in the weights beside this card, all and those that were fitted.
    """

    attributes: tuple[str, ...]
    thresholds: tuple[float, ...]
    head: heads.HeadConfig
    image_size: tuple[int, int]
    backbone: dict[str, str]
    precision: str
    missing: str
    grid: int | None = None
    categories: tuple[Attribute, ...] = ()
    branches: tuple[tuple[tuple[int, int], ...], ...] = ()
    learnable: tuple[str, ...] = ()
    parameters: int = 0
    trainable: int = 0


def save(head: Any, card: Card, folder: Path) -> None:
    """Write ``head.weights.h5`` and ``model.json`` into ``folder``."""
    heads.save(head, folder / "head.weights.h5")
    write_card(card, folder)


def write_card(card: Card, folder: Path) -> None:
    """Write ``model.json`` into ``folder``."""
    write_json(asdict(card), folder / "model.json")


def keep_backbone(folder: Path, trained: bool = False) -> None:
    """Put the frozen backbone into a classifier's ``folder``, which then stands on its own.

    Parameters
    ----------
    trained : whether the classifier's network has weights of its own; what is known of those that
        it began with is kept all the same.
    """
    own = folder / OWN_BACKBONE
    own.mkdir()
    names = ["backbone.json"] if trained else ["backbone.json", weights.FILE, weights.ARCHITECTURE]
    for name in names:
        if (BACKBONE / name).is_file() or name != weights.ARCHITECTURE:
            link(BACKBONE / name, own / name)


def backbone_of(folder: Path, card: Card) -> Path:
    """The folder of the frozen backbone of the classifier in ``folder``.

    Raises
    ------
    PipelineError
        If its weights are not there, or others than the classifier was trained on.
    """
    file = folder / OWN_BACKBONE / weights.FILE
    if not file.is_file():
        fail(file, "no such file; train the classifier again with `dvc repro`, or copy all of it")
    found = sha256(file)
    if found != card.backbone["sha256"]:
        fail(
            file,
            f"its SHA-256 {found[:12]} is not that of the backbone that the classifier was trained "
            f"on, {card.backbone['name']} {card.backbone['sha256'][:12]}; run `dvc repro` or `dvc "
            "checkout`, or copy all of it",
        )
    return file.parent


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
    """The card in ``folder``.

    Raises
    ------
    PipelineError
        If there is none, or it lacks something.
    """
    path = folder / "model.json"
    try:
        return TypeAdapter(Card).validate_json(path.read_bytes())
    except FileNotFoundError:
        fail(
            path,
            "no such file; train the classifier first with `dvc repro`, or say where one is with "
            "--model FOLDER",
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        fail(path, f"{where}: {first['msg']}; train the classifier again with `dvc repro`")


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
