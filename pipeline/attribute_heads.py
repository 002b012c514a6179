"""The attribute heads of one table: a bank of heads, cross-fitted for one attribute at a time."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import heads
from pipeline.crossfit import CrossFit, Images, cross_fit
from pipeline.features import FeatureStore
from pipeline.files import write_json
from pipeline.fitting import Settings
from pipeline.label_table import LabelTable
from pipeline.losses import FOCAL_GAMMA, Objective
from pipeline.params import Params
from pipeline.side_by_side import SideBySide

EPOCH = 1024
"""Images of an epoch at most: a head has few weights, and with more images than this it needs more
steps, not more variety; an attribute then costs the same whatever the size of the table."""


def attribute_seed(seed: int, attribute: str) -> tuple[int, int]:
    """A seed that depends on the attribute's name and not on its place in the table."""
    return seed, zlib.crc32(attribute.encode("utf-8"))


@dataclass
class AttributeHeads:
    """A bank of heads, one per fold, used for one attribute after the other."""

    bank: SideBySide
    config: heads.HeadConfig
    images: Images
    table: LabelTable
    params: Params

    @staticmethod
    def prepare(
        p: Params, table: LabelTable, store: FeatureStore, fold: np.ndarray
    ) -> AttributeHeads:
        """Compile the bank for ``table``, whose images have the fold numbers ``fold`` [N]."""
        assert table.split is not None
        images = Images(
            rows=store.rows(table.images),
            fold=fold,
            validation=np.array(table.split) == "val",
        )
        kind = p.frozen_head
        config = heads.configure(kind, store, outputs=1, dropout=p.dropout, units=p.dense_units)
        settings = Settings(
            epochs=p.epochs,
            batch_size=p.batch_size,
            learning_rate=p.learning_rate,
            patience=p.patience,
            objective=Objective(gamma=FOCAL_GAMMA if p.imbalance == "focal" else 0.0),
            most_steps=-(-EPOCH // p.batch_size),
        )
        moments = heads.moments(kind, store, images.rows[fold >= 0])
        bank = SideBySide(store, config, images.folds, settings, moments)
        return AttributeHeads(bank, config, images, table, p)

    def fit(self, attribute: str) -> CrossFit:
        """Cross-fit ``attribute``; afterwards the bank holds its heads."""
        column = self.table.attributes.index(attribute)
        return cross_fit(
            self.bank,
            self.images,
            self.table.values[:, column],
            attribute_seed(self.params.seed, attribute),
            self.params.imbalance,
        )


def write_card(
    folder: Path, config: heads.HeadConfig, attributes: dict[str, str], backbone: object
) -> None:
    """``heads.json``: the heads' config, each attribute's folder, the backbone they belong to."""
    write_json(
        {"head": config.to_json(), "attributes": attributes, "backbone": backbone},
        folder / "heads.json",
    )
