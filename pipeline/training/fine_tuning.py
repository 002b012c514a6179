"""Training whole networks on pictures in a stream: a backbone and its heads together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import progress
from pipeline.data.loading import Pictures
from pipeline.features import weights as backbone_weights
from pipeline.training import fitting, heads, network
from pipeline.training.fitting import Fit, FitSettings, Task
from pipeline.training.losses import Objective, constant_logits, masked_loss
from pipeline.training.network import Branch, Span, WholeNetwork
from pipeline.training.saved_model import Card

log = logging.getLogger("fine_tune")
Moments = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

MOMENTUM = 0.9
"""Of the running moments where batches give them. Keras' own, up to 0.999, wants thousands of
steps; after a few dozen the network would be scored with moments that it never trained with."""


def bounded_variance(mean: np.ndarray, variance: np.ndarray) -> Moments:
    """Moments for a head on a backbone that will move: no variance is below a hundredth of their
    mean, or a channel that hardly varies now would be blown up for good."""
    return mean, np.maximum(variance, 0.01 * variance.mean())


def predict(
    network: WholeNetwork, pictures: Pictures, rows: np.ndarray, outputs: int
) -> np.ndarray:
    """Logits float32 [n, outputs] of the plain pictures ``rows``; 0 in columns without a head."""
    out = np.zeros((len(rows), outputs), dtype=np.float32)
    done = 0
    for batch in pictures.batches(rows, network.batch):
        logits = network(batch)
        out[done : done + len(batch), : logits.shape[1]] = logits
        done += len(batch)
    return out


def means(network: WholeNetwork, pictures: Pictures, rows: np.ndarray) -> np.ndarray:
    """Pooled features float32 [n, C] of the first branch for the plain pictures ``rows``."""
    batches = pictures.batches(rows, network.batch)
    return np.concatenate([network.with_means(batch)[1] for batch in batches])


class BranchOnPictures:
    """The heads of a branch, and its backbone with them, as `fitting.fit` trains them.

    Heads side by side on a frozen backbone are fitted as if each were alone: they share the pass
    over the pictures and nothing else.

    Parameters
    ----------
    task : its rows index ``pictures``; its targets have the columns of all heads.
    train_backbone, batch_statistics, views : see `fit`.
    """

    def __init__(
        self,
        branch: Branch,
        pictures: Pictures,
        task: Task,
        settings: FitSettings,
        train_backbone: bool,
        batch_statistics: bool,
        views: bool,
    ):
        import keras
        import tensorflow as tf

        self._branch, self._pictures, self._task = branch, pictures, task
        self._size, self._train_backbone, self._views = settings.batch_size, train_backbone, views
        self.tasks: Sequence[Task] = [task.columns(start, stop) for start, stop in branch.spans]
        self.objectives: Sequence[Objective] = [
            settings.objective.columns(start, stop) for start, stop in branch.spans
        ]
        branch.backbone.network.trainable = train_backbone
        for layer in branch.backbone.network.layers if batch_statistics else ():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, MOMENTUM)
        variables = [list(head.trainable_variables) for head in branch.heads]
        if train_backbone:
            variables[0] += branch.backbone.trainable_variables
        # One each: a head's gradients are clipped, and its rate lowered, by itself.
        self._optimizers = [
            keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm)
            for _ in branch.heads
        ]
        for optimizer, own in zip(self._optimizers, variables, strict=True):
            optimizer.build(own)
        cells = tf.TensorSpec((self._size, task.targets.shape[1]), tf.float32)
        uint8_images = tf.TensorSpec((self._size, *pictures.size, 3), tf.uint8)

        @tf.function(input_signature=[uint8_images, cells, cells], autograph=False)
        def step(images: Any, y: Any, weights: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = branch.logits(images, training=True, batch_statistics=batch_statistics)
                losses = [
                    masked_loss(y[:, a:b], z, weights[:, a:b], objective)
                    for z, (a, b), objective in zip(
                        logits, branch.spans, self.objectives, strict=True
                    )
                ]
                total = tf.add_n(
                    [*losses, *(extra for head in branch.heads for extra in head.losses)]
                )
            gradients = tape.gradient(total, variables)
            for optimizer, found, own in zip(self._optimizers, gradients, variables, strict=True):
                optimizer.apply_gradients(zip(found, own, strict=True))
            return tf.stack(losses)

        self._step = step
        self._forward = WholeNetwork([branch], pictures.size)
        self._order = np.random.default_rng([*task.seed, 1])

    def weights(self, i: int) -> list[np.ndarray]:
        """Of the backbone, where it is trained, and of head i."""
        backbone = self._branch.backbone.get_weights() if self._train_backbone else []
        return [*backbone, *self._branch.heads[i].get_weights()]

    def set_weights(self, i: int, weights: Sequence[np.ndarray]) -> None:
        """The inverse of `weights`."""
        own = len(weights) - len(self._branch.heads[i].weights)
        self._branch.heads[i].set_weights(weights[own:])
        if self._train_backbone:
            self._branch.backbone.set_weights(weights[:own])

    def set_learning_rate(self, i: int, rate: float) -> None:
        """Of head i, and of the backbone where it is trained."""
        self._optimizers[i].learning_rate.assign(rate)

    def logits(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Of each head; the rows are the same for all."""
        found = predict(self._forward, self._pictures, rows[0], self._task.targets.shape[1])
        return [found[:, start:stop] for start, stop in self._branch.spans]

    def train_epoch(self, epoch: int) -> np.ndarray:
        """One pass over the task's rows; the training loss [steps, heads]."""
        task, size, n = self._task, self._size, len(self._task.rows)
        # The last batch is filled up from the front, so that one graph serves all.
        chosen = np.take(self._order.permutation(n), np.arange(-(-n // size) * size), mode="wrap")
        view = epoch if self._views else 0
        done = []
        batches = self._pictures.batches(task.rows[chosen], size, view)
        told = progress.track(batches, f"epoch {epoch + 1}", "step", len(chosen) // size)
        for number, batch in enumerate(told):
            at = chosen[number * size : (number + 1) * size]
            y = task.targets[at]
            weights = np.ones_like(y) if task.weights is None else task.weights[at]
            done.append(self._step(batch, y, weights).numpy())
        return np.array(done)


def fit(
    branch: Branch,
    pictures: Pictures,
    task: Task,
    settings: FitSettings,
    train_backbone: bool,
    batch_statistics: bool,
    views: bool,
    fitted: bool = False,
) -> list[Fit]:
    """Fit the heads of ``branch``, and its backbone with them, see `fitting.fit`.

    Parameters
    ----------
    task : its rows index ``pictures``; its targets have the columns of all heads.
    train_backbone : takes a branch with a single head, whose validation decides for both.
    batch_statistics : see `network.Branch.logits`; off keeps pretrained moments as they are.
    views : whether each epoch sees another augmented view of every picture.
    fitted : whether ``branch`` is good already: it stays as it is where no epoch is better.

    Returns
    -------
    One `fitting.Fit` per head, its weights those of the backbone, if trained, and of the head.

    Raises
    ------
    DivergedError
        If a loss is no longer finite.
    """
    if train_backbone and len(branch.heads) != 1:
        raise ValueError("a backbone is trained with one head")
    models = BranchOnPictures(
        branch, pictures, task, settings, train_backbone, batch_statistics, views
    )
    return fitting.fit(models, settings, "fine_tune.learning_rate", fitted, log)


Trained = tuple[Branch, list[Fit]]
"""A branch, and the fit of each of its heads."""


@dataclass(frozen=True)
class NetworkTrainer:
    """Makes the branches of a network and trains them.

    card : of the final classifier; its backbone and kind of head are those of every branch.
    moments : mean and variance of the features that new heads standardise, see `heads.reset`.
    batch_statistics : whether a backbone that is trained learns batch moments anew.
    views : whether each epoch sees another augmented view of every picture.
    """

    card: Card
    pictures: Pictures
    task: Task
    settings: FitSettings
    moments: Moments
    batch_statistics: bool
    views: bool

    def train(self, span: Span, built: Any | None = None) -> Trained:
        """A backbone with one head, trained together.

        Parameters
        ----------
        built : the head to start from, a fresh one without it.
        """
        card = self.card
        backbone = backbone_weights.load(card.backbone["name"], card.image_size, card.precision)
        branch = self._branch(backbone, [span], [] if built is None else [built])
        return branch, self._fit(branch, train_backbone=True, fitted=built is not None)

    def join(self, first: Trained, spans: Sequence[Span]) -> Trained:
        """Further heads on the backbone of ``first``, which stays as it is."""
        branch, fits = first
        more = self._branch(branch.backbone, spans, [])
        fits = [*fits, *self._fit(more, train_backbone=False)]
        branch.backbone.network.trainable = True  # it was fitted before, and counts so
        every = network.make_branch(
            branch.backbone,
            self.card.head,
            [*branch.spans, *more.spans],
            [*branch.heads, *more.heads],
        )
        return every, fits

    def _branch(self, backbone: Any, spans: Sequence[Span], built: Sequence[Any]) -> Branch:
        branch = network.make_branch(backbone, self.card.head, spans, built)
        if not built:
            for head, (start, stop) in zip(branch.heads, spans, strict=True):
                own = self.task.columns(start, stop)
                objective = self.settings.objective.columns(start, stop)
                logits = constant_logits(own.targets, own.weights, objective)
                heads.reset(head, (*self.task.seed, start), self.moments, logits)
        return branch

    def _fit(self, branch: Branch, train_backbone: bool, fitted: bool = False) -> list[Fit]:
        names = [name for start, stop in branch.spans for name in self.card.attributes[start:stop]]
        log.info(
            "%s for %s",
            "a backbone with its head" if train_backbone else "heads on a frozen backbone",
            names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more",
        )
        return fit(
            branch,
            self.pictures,
            self.task,
            self.settings,
            train_backbone=train_backbone,
            # Without the backbone's training its moments stay as they are, too.
            batch_statistics=train_backbone and self.batch_statistics,
            views=self.views,
            fitted=fitted,
        )


def single(trainer: NetworkTrainer, attributes: Sequence[Span], built: Any | None) -> list[Trained]:
    """One backbone and one head for all columns, which starts from ``built`` if there is one."""
    return [trainer.train((0, attributes[-1][1]), built)]


def independent(
    trainer: NetworkTrainer, attributes: Sequence[Span], built: Any | None
) -> list[Trained]:
    """A backbone and a fresh head for each attribute."""
    return [trainer.train(span) for span in attributes]


def shared(trainer: NetworkTrainer, attributes: Sequence[Span], built: Any | None) -> list[Trained]:
    """A backbone trained for the first attribute, frozen under a fresh head for each other one."""
    first = trainer.train(attributes[0])
    return [trainer.join(first, attributes[1:]) if len(attributes) > 1 else first]


NETWORKS: dict[str, Callable[[NetworkTrainer, Sequence[Span], Any | None], list[Trained]]] = {
    "single": single,
    "shared": shared,
    "independent": independent,
}
"""Those that ``fine_tune.network`` in params.yaml names: from the columns (start, stop) of each
attribute to trained branches."""
