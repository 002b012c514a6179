"""Cross-fitting of one attribute: a head per fold, and scores that have not seen their label.

Training images are divided into folds. Head k is fitted on the known labels of training images
outside fold k, stopped early on validation images, and is the only one that scores fold k. Test
and validation images are scored by all heads, whose logits are averaged.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.data.labels import LabelTable
from pipeline.features.store import FeatureStore
from pipeline.files import write_json
from pipeline.training import heads
from pipeline.training.fitting import Fit, FitSettings, Task
from pipeline.training.head_bank import HeadBank
from pipeline.training.losses import Objective
from pipeline.training.resample import IMBALANCE

EPOCH = 1024
"""Images of an epoch at most: a head has few weights, and with more images than this it needs more
steps, not more variety; an attribute then costs the same whatever the size of the table."""


@dataclass(frozen=True)
class Images:
    """The images that one cross-fit is about; row i of every array is image i.

    rows : [N] rows of the feature store.
    fold : [N] 0 to K-1 for training images, -1 for the others.
    validation : bool [N].
    """

    rows: np.ndarray
    fold: np.ndarray
    validation: np.ndarray

    @property
    def folds(self) -> int:
        """K, the number of folds."""
        return int(self.fold.max()) + 1


@dataclass(frozen=True)
class CrossFit:
    """The outcome for one attribute.

    logits
        float32 [K, N]: head k's logit for image i on the scale of the natural prevalence; NaN
        where head k was fitted on that image.
    fits : one per fold; without an epoch where the labels are of one class.
    constants
        [K] the score of every image where a fold's labels are of one class, NaN elsewhere: there is
        nothing to tell apart, and the score is that class's log-odds.
    shifts : [K] what was added to each head's own logits to undo the class balancing.
    """

    logits: npt.NDArray[np.float32]
    fits: list[Fit]
    constants: npt.NDArray[np.float64]
    shifts: npt.NDArray[np.float32]


def log_odds(labels: np.ndarray) -> float:
    """Log-odds of the positive class, with half a count added to each class."""
    positive = float(np.sum(labels == 1))
    return float(np.log((positive + 0.5) / (len(labels) - positive + 0.5)))


def cross_fit(
    bank: HeadBank,
    images: Images,
    labels: np.ndarray,
    seed: Sequence[int],
    imbalance: str,
) -> CrossFit:
    """Fit the heads of all folds on ``labels`` and score what each was not fitted on.

    Parameters
    ----------
    labels : [N], 1, 0 or NaN for unknown.
    seed : of the attribute; the fold is added to it.
    imbalance : a name in `resample.IMBALANCE`.
    """
    balancing = IMBALANCE[imbalance]
    validation = np.flatnonzero(images.validation & ~np.isnan(labels))
    tasks: list[Task] = []
    trained: list[np.ndarray] = []
    shifts = np.zeros(images.folds, dtype=np.float32)
    constants = np.full(images.folds, np.nan)
    for k in range(images.folds):
        inside = (images.fold >= 0) & (images.fold != k)
        fitted = np.flatnonzero(inside & ~np.isnan(labels))
        trained.append(fitted)
        y = labels[fitted]
        chosen, weights = np.arange(len(y)), None
        if len(np.unique(y)) < 2:
            constants[k], chosen = log_odds(y), np.arange(0)
        else:
            if balancing.rows:
                draw = int(np.random.default_rng([*seed, k]).integers(2**31))
                chosen = balancing.rows(y, draw)
            if balancing.weights:
                weights = balancing.weights(y)[:, None]
            if balancing.shifts_prevalence:
                shifts[k] = log_odds(y)
        tasks.append(
            Task(
                rows=images.rows[fitted[chosen]],
                targets=y[chosen, None].astype(np.float32),
                weights=None if weights is None else weights[chosen],
                val_rows=images.rows[validation],
                val_targets=labels[validation, None],
                seed=(*seed, k),
            )
        )
    fits = bank.fit(tasks)
    logits = np.full((images.folds, len(labels)), np.nan, dtype=np.float32)
    unseen = [np.setdiff1d(np.arange(len(labels)), fitted) for fitted in trained]
    for k, scores in enumerate(bank.predict([images.rows[cells] for cells in unseen])):
        found = scores[:, 0] + shifts[k] if np.isnan(constants[k]) else constants[k]
        logits[k, unseen[k]] = found
    return CrossFit(logits, fits, constants, shifts)


def attribute_seed(seed: int, attribute: str) -> tuple[int, int]:
    """A seed that depends on the attribute's name and not on its place in the table."""
    return seed, zlib.crc32(attribute.encode("utf-8"))


def settings_for(
    epochs: int, batch_size: int, learning_rate: float, patience: int, imbalance: str
) -> FitSettings:
    """How attribute heads are fitted; names as in params.yaml."""
    return FitSettings(
        epochs,
        batch_size,
        learning_rate,
        patience,
        objective=Objective(IMBALANCE[imbalance].loss),
        most_steps=-(-EPOCH // batch_size),
    )


class AttributeHeads:
    """A bank of heads, one per fold, used for one attribute after the other.

    bank, images : see `cross_fit`.

    Parameters
    ----------
    fold : [N] of each image of ``table``, see `Images`.
    config : of one head, with a single output.
    settings : see `settings_for`.
    imbalance : see `cross_fit`.
    seed : of the table; see `attribute_seed`.
    """

    def __init__(
        self,
        table: LabelTable,
        store: FeatureStore,
        fold: np.ndarray,
        config: heads.HeadConfig,
        settings: FitSettings,
        imbalance: str,
        seed: int,
    ):
        self.images = Images(
            rows=store.rows(table.images),
            fold=fold,
            validation=np.array(table.split) == "val",
        )
        moments = heads.moments(config.kind, store, self.images.rows[fold >= 0])
        self.bank = HeadBank(store, config, self.images.folds, settings, moments)
        self._table, self._imbalance, self._seed = table, imbalance, seed

    def fit(self, attribute: str) -> CrossFit:
        """Cross-fit ``attribute``; afterwards the bank holds its heads."""
        column = self._table.attributes.index(attribute)
        return cross_fit(
            self.bank,
            self.images,
            self._table.values[:, column],
            attribute_seed(self._seed, attribute),
            self._imbalance,
        )


def write_card(
    folder: Path, config: heads.HeadConfig, attributes: dict[str, str], backbone: object
) -> None:
    """``heads.json``: the heads' config, each attribute's folder, the backbone they belong to."""
    write_json(
        {"head": asdict(config), "attributes": attributes, "backbone": backbone},
        folder / "heads.json",
    )
