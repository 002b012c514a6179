"""What a search for a plain convolutional network may choose, its table, and the line to copy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from pipeline.training.fitting import rank_of

FILTERS = (4, 7)
"""Of each block, as powers of two: 16 to 128."""
UNITS = (5, 9)
"""Of the hidden layer, as powers of two: 32 to 512."""
TENTHS = (0, 6)
"""Of dropout."""
RATES = (1e-4, 1e-2)
MOST_WEIGHTS = 2**25
"""In the hidden layer: with Adam's moments half a gigabyte, which every machine has."""
USUAL = {"filters": 5, "units": 7, "tenths": 3, "rate": 1e-3}
"""The first trial, in the units above: what a search has to beat. Filters double by block."""


class Suggests(Protocol):
    """The part of `optuna.Trial` that chooses."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A whole number, both ends included."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number, by its logarithm where ``log``."""


@dataclass(frozen=True)
class Choice:
    """One network and how it is trained; ``filters`` has the channels of each block."""

    filters: tuple[int, ...]
    dense_units: int
    dropout: float
    learning_rate: float

    @property
    def backbone(self) -> str:
        """Its name in params.yaml."""
        return f"cnn-{self.text}"

    @property
    def text(self) -> str:
        """The filters, as in 32-64."""
        return "-".join(map(str, self.filters))


@dataclass(frozen=True)
class Result:
    """What a trial came to.

    parameters : trainable ones, of the whole network.
    best_epoch : counted from 1; None where the fit diverged.
    val_auc, val_loss : of that epoch; NaN where undefined.
    """

    choice: Choice
    parameters: int
    best_epoch: int | None
    val_auc: float
    val_loss: float
    seconds: float

    @property
    def rank(self) -> tuple[float, float]:
        """What the best has most of: as of an epoch, see `fitting.rank_of`."""
        if self.best_epoch is None:
            return (-math.inf, -math.inf)
        # Trials share their validation labels: without a loss no epoch makes one the better.
        return rank_of({"auc": self.val_auc, "loss": self.val_loss}, epoch=0)

    @property
    def value(self) -> float:
        """The same order in a single number, for a sampler that takes one.

        The loss counts less than the smallest difference that two AUC can have.
        """
        area, loss = self.rank
        return area - 1e-9 * (loss / (loss - 1.0))


def first(blocks: int) -> dict[str, Any]:
    """The names and values of `suggest` that give the usual network of so many blocks."""
    widths = {f"filters_{k}": min(USUAL["filters"] + k, FILTERS[1]) for k in range(blocks)}
    return {
        "blocks": blocks,
        **widths,
        "units": USUAL["units"],
        "tenths": USUAL["tenths"],
        "rate": USUAL["rate"],
    }


def suggest(trial: Suggests, blocks: tuple[int, int], image_size: tuple[int, int]) -> Choice:
    """A choice, asked of ``trial``.

    Parameters
    ----------
    blocks : at least and at most.
    image_size : (height, width) in pixels; the hidden layer gets no more than `MOST_WEIGHTS`.
    """
    count = trial.suggest_int("blocks", *blocks)
    filters = tuple(2 ** trial.suggest_int(f"filters_{k}", *FILTERS) for k in range(count))
    most = MOST_WEIGHTS // _flat(filters, image_size)
    units = min(2 ** trial.suggest_int("units", *UNITS), 1 << (most.bit_length() - 1))
    tenths = trial.suggest_int("tenths", *TENTHS)
    rate = trial.suggest_float("rate", *RATES, log=True)
    # Rounded, so that the line to copy says exactly what was trained.
    return Choice(filters, units, tenths / 10, float(f"{rate:.2g}"))


def problem(blocks: tuple[int, int], image_size: tuple[int, int]) -> str | None:
    """Why pictures of ``image_size`` don't suit networks of so many blocks, and which would do."""
    largest = min(image_size).bit_length() - 1
    if blocks[1] > largest:
        return (
            f"too small for {blocks[1]} blocks, each of which halves it; expected at most "
            f"{largest}, or a larger image_size in params.yaml"
        )
    fitting = next(count for count in range(1, largest + 1) if _fits(count, image_size))
    if blocks[0] < fitting:
        return (
            f"too large for {blocks[0]} blocks: the hidden layer on their map would have more than "
            f"{MOST_WEIGHTS // 2**20} million weights; expected at least {fitting} blocks, or a "
            "smaller image_size in params.yaml"
        )
    return None


def _fits(blocks: int, image_size: tuple[int, int]) -> bool:
    """Whether the widest blocks leave room for the narrowest hidden layer."""
    return _flat([2 ** FILTERS[1]] * blocks, image_size) * 2 ** UNITS[0] <= MOST_WEIGHTS


def _flat(filters: Sequence[int], image_size: tuple[int, int]) -> int:
    """Numbers in the last block's map."""
    height, width = (side >> len(filters) for side in image_size)
    return height * width * filters[-1]


def parameters(choice: Choice, image_size: tuple[int, int], outputs: int) -> int:
    """Trainable parameters of the network: 3 x 3 convolutions, hidden layer, logits."""
    channels = (3, *choice.filters)
    blocks = sum((9 * a + 1) * b for a, b in zip(channels, choice.filters, strict=False))
    hidden = (_flat(choice.filters, image_size) + 1) * choice.dense_units
    return blocks + hidden + (choice.dense_units + 1) * outputs


def table(results: Sequence[Result]) -> pd.DataFrame:
    """A row per trial, in order.

    Columns: trial (from 1), filters, dense_units, dropout, learning_rate, parameters, best_epoch
    (from 1), val_auc, val_loss, seconds, best (1 in the row of `best`, else 0). What is undefined
    is empty.
    """
    leader = best(results)
    return pd.DataFrame(
        {
            "trial": range(1, len(results) + 1),
            "filters": [one.choice.text for one in results],
            "dense_units": [one.choice.dense_units for one in results],
            "dropout": [one.choice.dropout for one in results],
            "learning_rate": [one.choice.learning_rate for one in results],
            "parameters": [one.parameters for one in results],
            "best_epoch": pd.array([one.best_epoch for one in results], dtype="Int64"),
            "val_auc": [round(one.val_auc, 6) for one in results],
            "val_loss": [round(one.val_loss, 6) for one in results],
            "seconds": [round(one.seconds, 1) for one in results],
            "best": [int(number == leader) for number in range(len(results))],
        }
    )


def best(results: Sequence[Result]) -> int | None:
    """The place of the first result of the highest rank; None where every fit diverged."""
    if all(one.best_epoch is None for one in results):
        return None
    return max(range(len(results)), key=lambda i: results[i].rank)


def command(choice: Choice, epochs: int, seed: int | None = None) -> str:
    """The line that runs the pipeline with ``choice``, trained from scratch by stage fine_tune.

    Parameters
    ----------
    seed : where it is not the one in params.yaml.
    """
    values = {
        "backbone.name": choice.backbone,
        "backbone.weights": "random",
        "head": "dense",
        "dense_units": choice.dense_units,
        "dropout": f"{choice.dropout:g}",
        "fine_tune.epochs": epochs,
        "fine_tune.start": "fresh",
        "fine_tune.network": "single",
        "features.grid": "null",
        "fine_tune.learning_rate": f"{choice.learning_rate:g}",
        **({} if seed is None else {"seed": seed}),
    }
    return " ".join(["dvc exp run", *(f"-S {name}={value}" for name, value in values.items())])
