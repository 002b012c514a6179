"""The final multi-label classifier on disk: weights, and a JSON on how to use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError
from scipy.special import expit

from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.data.verdicts import IN_WORDS
from pipeline.errors import fail
from pipeline.features import int8, weights
from pipeline.features.store import FeatureStore
from pipeline.files import changed, link, sha256, write_json, write_sums
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
HEAD = "head.weights.h5"
SUMS = "sha256.json"
"""The hash of each file that makes a finished classifier, by its path in the folder."""
UNSEALED = (SUMS, "fine_tune.json", f"{OWN_BACKBONE}/{weights.FILE}")
"""Files without one: of the frozen backbone's weights the card has the hash."""
PACKAGES = ("keras", "numpy", "pillow", "tensorflow")
PRECISIONS = ("float32", "bfloat16", int8.PRECISION)
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
    versions : of Python and `PACKAGES` that made it; none in a card of an earlier version.
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
    versions: dict[str, str] = field(default_factory=dict)


def problem_of(card: Card) -> str | None:
    """What in a card does not go together, or is out of range; None where all does."""
    count, head = len(card.attributes), card.head
    if not count or len({*card.attributes}) < count or not all(map(str.strip, card.attributes)):
        return "attributes: expected names, each once"
    if len(card.thresholds) != count:
        return f"thresholds: {len(card.thresholds)} of them for {count} attributes"
    if not all(0 <= one <= 1 for one in card.thresholds):  # false of NaN, too
        return "thresholds: expected numbers from 0 to 1"
    if card.learnable and (len(card.learnable) != count or not {*card.learnable} <= {*IN_WORDS}):
        return f"learnable: expected one of {', '.join(IN_WORDS)} for each attribute"
    if head.kind not in heads.HEADS:
        return f"head.kind: got {head.kind!r}, expected one of {', '.join(heads.HEADS)}"
    if len(head.input_shape) != (1 if heads.HEADS[head.kind].pooled else 3):
        return (
            f"head.input_shape: got {list(head.input_shape)}, which a {head.kind} head can't take"
        )
    if not all(1 <= side <= 65_536 for side in (*head.input_shape, head.units)):
        return "head: expected input_shape and units from 1 to 65536"
    voting = (head.components, head.neighbours, head.votes)
    if not all(0 <= one <= 65_536 for one in voting) or len({bool(one) for one in voting}) > 1:
        return "head: expected components, neighbours and votes from 1 to 65536, or 0 all"
    if head.outputs != count or not 0 <= head.dropout < 1:
        return f"head: expected {count} outputs and dropout from 0 to below 1"
    if not all(32 <= side <= 2048 for side in card.image_size):
        return f"image_size: got {list(card.image_size)}, expected sides from 32 to 2048"
    if not {"name", "sha256"} <= card.backbone.keys():
        return "backbone: expected name and sha256"
    if card.precision not in PRECISIONS:
        return f"precision: got {card.precision!r}, expected one of {', '.join(PRECISIONS)}"
    if card.grid is not None and not 1 <= card.grid <= 64:
        return f"grid: got {card.grid}, expected null or 1 to 64"
    end = 0
    for one in card.categories:
        if one.start < end or list(card.attributes[one.start : one.stop]) != one.columns:
            return f"categories: the values of {one.name!r} are not its columns in attributes"
        end = one.stop
    spans = sorted(span for branch in card.branches for span in branch)
    if spans and (
        [start for start, _ in spans] != [0, *(stop for _, stop in spans[:-1])]
        or spans[-1][1] != count
    ):
        return f"branches: expected spans that together are the {count} attributes, each once"
    return None


def seal(folder: Path) -> None:
    """Record the hashes of what makes a finished classifier in ``folder``, for `check`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files if path.suffix != ".csv"]
    kept = [name for name in names if not name.startswith(f"{VARIANTS}/") and name not in UNSEALED]
    write_sums(folder, kept, SUMS)


def check(folder: Path) -> None:
    """Raise a `PipelineError` where a classifier's files are not those that were written; what
    an earlier version wrote has no hashes, and passes."""
    if (folder / SUMS).exists() and (problem := changed(folder, SUMS)):
        fail(folder, f"{problem}: it would predict something else; {heads.WAY_OUT}")


def save(head: Any, card: Card, folder: Path) -> None:
    """Write `HEAD` and ``model.json`` into ``folder``."""
    heads.save(head, folder / HEAD)
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
    names = [weights.DESCRIPTION]
    if not trained:
        names += [weights.FILE, weights.ARCHITECTURE]
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
    check(folder)
    return heads.load(card.head, folder / HEAD), card


def current() -> Path:
    """The folder of the classifier in use: the fine-tuned one where there is one."""
    return FINE_TUNED if (FINE_TUNED / "model.json").is_file() else FOLDER


def read_card(folder: Path) -> Card:
    """The card in ``folder``.

    Raises
    ------
    PipelineError
        If there is none, it lacks something, or what it says does not go together.
    """
    path = folder / "model.json"
    try:
        card = TypeAdapter(Card).validate_json(path.read_bytes())
    except FileNotFoundError:
        fail(
            path,
            "no such file; train the classifier first with `dvc repro`, or say where one is with "
            "--model FOLDER",
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        fail(path, f"{where}: {first['msg'][:200]}; {heads.WAY_OUT}")
    if problem := problem_of(card):
        fail(path, f"{problem}; {heads.WAY_OUT}")
    return card


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
