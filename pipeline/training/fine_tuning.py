"""Training a branch of a network, backbone and all, on pictures in a stream."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data import categories
from pipeline.data.loading import Pictures
from pipeline.features import weights
from pipeline.training import fitting, heads, network
from pipeline.training.fitting import Course, DivergedError, Fit, Settings, Task
from pipeline.training.losses import Objective, masked_cross_entropy
from pipeline.training.network import Branch, WholeNetwork
from pipeline.training.saved_model import Card

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
        backbone = weights.load(card.backbone["name"], card.image_size, card.precision)
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
        self.fits += fit(
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


MOMENTUM = 0.9
"""Of the running moments where batches give them. Keras' own, up to 0.999, wants thousands of
steps; after a few dozen the network would be scored with moments that it never trained with."""


def fit(
    branch: Branch,
    pictures: Pictures,
    task: Task,
    settings: Settings,
    train_backbone: bool,
    batch_statistics: bool,
    views: bool,
    fitted: bool = False,
) -> list[Fit]:
    """Fit the heads of ``branch``, and its backbone with them; they hold their best weights after.

    The best epoch is chosen as in `fitting.Course`; each is logged, since it may take minutes.
    Heads side by side on a frozen backbone are fitted as if each were alone: they share the pass
    and nothing else.

    Parameters
    ----------
    task : its rows index ``pictures``; its targets have the columns of all heads.
    train_backbone : takes a branch with a single head, whose validation decides for both.
    batch_statistics : see `network.Branch.logits`; off keeps pretrained moments as they are.
    views : whether each epoch sees another augmented view of every picture.
    fitted : whether ``branch`` is good already: it stays as it is where no epoch is better.

    Returns
    -------
    One `fitting.Fit` per head, its weights those of the head.

    Raises
    ------
    DivergedError
        If a loss is no longer finite.
    """
    import keras
    import tensorflow as tf

    if train_backbone and len(branch.heads) != 1:
        raise ValueError("a backbone is trained with one head")
    branch.backbone.network.trainable = train_backbone
    for layer in branch.backbone.network.layers if batch_statistics else ():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, MOMENTUM)
    variables = [list(head.trainable_variables) for head in branch.heads]
    if train_backbone:
        variables[0] += branch.backbone.trainable_variables
    # One each: gradients are clipped, and rates lowered, by a head's own course.
    optimizers = [
        keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm)
        for _ in branch.heads
    ]
    for optimizer, own in zip(optimizers, variables, strict=True):
        optimizer.build(own)
    size, outputs = settings.batch_size, task.targets.shape[1]
    parts = [settings.objective.part(start, stop) for start, stop in branch.spans]
    cells = tf.TensorSpec((size, outputs), tf.float32)

    @tf.function(
        input_signature=[tf.TensorSpec((size, *pictures.size, 3), tf.uint8), cells, cells],
        autograph=False,
    )
    def step(images: Any, y: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = branch.logits(images, training=True, batch_statistics=batch_statistics)
            losses = [
                masked_cross_entropy(y[:, a:b], z, weights[:, a:b], part)
                for z, (a, b), part in zip(logits, branch.spans, parts, strict=True)
            ]
            total = tf.add_n([*losses, *(extra for head in branch.heads for extra in head.losses)])
        gradients = tape.gradient(total, variables)
        for optimizer, found, own in zip(optimizers, gradients, variables, strict=True):
            optimizer.apply_gradients(zip(found, own, strict=True))
        return tf.stack(losses)

    forward = WholeNetwork([branch], pictures.size)
    order = np.random.default_rng([*task.seed, 1])
    courses = [Course(settings, head.get_weights()) for head in branch.heads]
    backbone = branch.backbone.get_weights() if train_backbone else []
    if fitted:
        logits = predict(forward, pictures, task.val_rows, outputs)
        for course, (found, _) in zip(courses, _scored(logits, branch, task, parts), strict=True):
            course.begin(found)
        log.info("as it begins: validation AUC %.3f", np.mean([c.fit.best_auc for c in courses]))
    for epoch in range(settings.epochs):
        started = time.perf_counter()
        for optimizer, course in zip(optimizers, courses, strict=True):
            optimizer.learning_rate.assign(course.rate(epoch))
        losses = _epoch(step, pictures, task, size, order, epoch if views else 0)
        logits = predict(forward, pictures, task.val_rows, outputs)
        for i, (course, (start, stop)) in enumerate(zip(courses, branch.spans, strict=True)):
            # The last step's damage shows in no loss of a step.
            finite = np.isfinite(losses[:, i]).all() and np.isfinite(logits[:, start:stop]).all()
            if not finite and not course.ended(epoch):
                raise DivergedError("fine_tune.learning_rate", settings.learning_rate, epoch)
        scored = _scored(logits, branch, task, parts)
        for i, (course, (found, val_loss)) in enumerate(zip(courses, scored, strict=True)):
            if course.ended(epoch):
                continue
            of_training = {"loss": float(losses[:, i].mean())}
            if course.observe(epoch, losses[:, i], of_training, found, val_loss):
                course.keep(branch.heads[i].get_weights())
                backbone = branch.backbone.get_weights() if train_backbone else []
        log.info(
            "epoch %d of at most %d: loss %.4f, validation AUC %.3f, %.0f s",
            *(epoch + 1, settings.epochs, losses.mean()),
            np.mean([found["auc"] for found, _ in scored]),
            time.perf_counter() - started,
        )
        if all(course.ended(epoch + 1) for course in courses):
            break
    for head, course in zip(branch.heads, courses, strict=True):
        head.set_weights(course.fit.weights)
    if train_backbone:
        branch.backbone.set_weights(backbone)
    return [course.fit for course in courses]


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


def _scored(
    logits: np.ndarray, branch: Branch, task: Task, parts: Sequence[Objective]
) -> list[tuple[dict[str, float], float]]:
    """Scores and objective of each head, of logits [m, outputs] of the validation pictures."""
    found = []
    for (start, stop), part in zip(branch.spans, parts, strict=True):
        odds = categories.log_odds(logits[:, start:stop], part.softmax)
        known = task.val_targets[:, start:stop]
        scores = fitting.scores(known, odds, part.softmax)
        found.append((scores, fitting.objective_loss(known, odds, part)))
    return found


def _epoch(
    step: Any, pictures: Pictures, task: Task, size: int, order: np.random.Generator, view: int
) -> np.ndarray:
    """One pass over the task's rows; the loss [steps, heads] of each step."""
    n = len(task.rows)
    # The last batch is filled up from the front, so that one graph serves all.
    chosen = np.take(order.permutation(n), np.arange(-(-n // size) * size), mode="wrap")
    done = []
    for number, batch in enumerate(pictures.batches(task.rows[chosen], size, view)):
        at = chosen[number * size : (number + 1) * size]
        y = task.targets[at]
        weights = np.ones_like(y) if task.weights is None else task.weights[at]
        done.append(step(batch, y, weights).numpy())
    return np.array(done)
