"""The branches of the final network: made, trained on pictures, and joined."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import backbone_weights, fine_tuning, heads, network
from pipeline.classifier import Card
from pipeline.fitting import Fit, Settings, Task
from pipeline.pictures import Pictures

log = logging.getLogger("fine_tune")
Moments = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass
class Trainer:
    """Makes branches and trains them.

    card : of the final classifier; its backbone and kind of head are those of every branch.
    moments : mean and variance of the features that new heads standardise, see `heads.reset`.
    batch_statistics : whether a backbone that is trained learns batch moments anew.
    views : whether each epoch sees another augmented view of every picture.
    fits, spans : the course of each head so far, and its columns.
    """

    card: Card
    pictures: Pictures
    task: Task
    settings: Settings
    moments: Moments
    batch_statistics: bool
    views: bool
    fits: list[Fit] = field(default_factory=list)
    spans: list[network.Span] = field(default_factory=list)

    def of_kind(
        self, kind: str, attributes: Sequence[network.Span], built: Any | None = None
    ) -> list[network.Branch]:
        """The branches of a network.

        Parameters
        ----------
        kind
            ``single``: one backbone and one head for all columns; ``independent``: a backbone and a
            head for each attribute; ``shared``: the backbone trained for the first attribute,
            frozen under a head for each of the others.
        attributes : the columns (start, stop) of each.
        built : the head to start from, of a single network only.
        """
        if kind == "single":
            return [self.train((0, attributes[-1][1]), built)]
        if kind == "independent":
            return [self.train(span) for span in attributes]
        if kind != "shared":
            raise ValueError(f"unknown kind of network {kind!r}")
        first = self.train(attributes[0])
        return [self.join(first, attributes[1:]) if len(attributes) > 1 else first]

    def train(self, span: network.Span, built: Any | None = None) -> network.Branch:
        """A backbone with one head, trained together."""
        card = self.card
        backbone = backbone_weights.load(card.backbone["name"], card.image_size, card.precision)
        branch = self._branch(backbone, [span], [] if built is None else [built])
        self._fit(branch, train_backbone=True, fitted=built is not None)
        return branch

    def join(self, first: network.Branch, spans: Sequence[network.Span]) -> network.Branch:
        """Further heads on the backbone of ``first``, which stays as it is."""
        more = self._branch(first.backbone, spans, [])
        self._fit(more, train_backbone=False)
        first.backbone.network.trainable = True  # it was fitted before, and counts so
        return network.make_branch(
            first.backbone,
            self.card.head,
            [*first.spans, *more.spans],
            [*first.heads, *more.heads],
        )

    def _branch(
        self, backbone: Any, spans: Sequence[network.Span], built: Sequence[Any]
    ) -> network.Branch:
        branch = network.make_branch(backbone, self.card.head, spans, built)
        if not built:
            for head, (start, _) in zip(branch.heads, spans, strict=True):
                heads.reset(head, (*self.task.seed, start), self.moments)
        return branch

    def _fit(self, branch: network.Branch, train_backbone: bool, fitted: bool = False) -> None:
        names = [name for start, stop in branch.spans for name in self.card.attributes[start:stop]]
        log.info(
            "%s for %s",
            "a backbone with its head" if train_backbone else "heads on a frozen backbone",
            names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more",
        )
        self.spans += branch.spans
        self.fits += fine_tuning.fit(
            branch,
            self.pictures,
            self.task,
            self.settings,
            train_backbone=train_backbone,
            batch_statistics=train_backbone and self.batch_statistics,
            views=self.views,
            fitted=fitted,
        )


def floored(mean: np.ndarray, variance: np.ndarray) -> Moments:
    """Moments for a head on a backbone that will move: no channel that hardly varies now may be
    blown up for good."""
    return mean, np.maximum(variance, 0.01 * variance.mean())
