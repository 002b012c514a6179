"""Training a branch of a network, backbone and all, on pictures in a stream."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from pipeline import categories, fitting, schedules
from pipeline.errors import PipelineError
from pipeline.fitting import Fit, Settings, Task
from pipeline.losses import masked_cross_entropy
from pipeline.network import Branch, WholeNetwork
from pipeline.pictures import Pictures


def fit(
    branch: Branch,
    pictures: Pictures,
    task: Task,
    settings: Settings,
    train_backbone: bool,
    batch_statistics: bool,
    views: bool,
) -> list[Fit]:
    """Fit the heads of ``branch``, and its backbone with them; they hold their best weights after.

    The best epoch is chosen as in `fitting.SideBySide.fit`. Heads side by side on a frozen backbone
    are fitted as if each were alone: they share the pass and nothing else.

    Parameters
    ----------
    task : its rows index ``pictures``; its targets have the columns of all heads.
    train_backbone : takes a branch with a single head, whose validation decides for both.
    batch_statistics : see `network.Branch.logits`; off keeps pretrained moments as they are.
    views : whether each epoch sees another augmented view of every picture.

    Returns
    -------
    One `fitting.Fit` per head, its weights those of the head.

    Raises
    ------
    PipelineError
        If a loss is no longer finite.
    """
    import keras
    import tensorflow as tf

    if train_backbone and len(branch.heads) != 1:
        raise ValueError("a backbone is trained with one head")
    branch.backbone.network.trainable = train_backbone
    variables = [v for head in branch.heads for v in head.trainable_variables]
    if train_backbone:
        variables += branch.backbone.trainable_variables
    optimizer = keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm)
    optimizer.build(variables)
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
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return tf.stack(losses)

    forward = WholeNetwork([branch], pictures.size)
    schedule = schedules.Schedule(settings.schedule, settings.learning_rate, settings.epochs)
    order = np.random.default_rng([*task.seed, 1])
    fits = [Fit(weights=copy.deepcopy(head.get_weights())) for head in branch.heads]
    best = [(-np.inf, -np.inf)] * len(fits)
    backbone = branch.backbone.get_weights() if train_backbone else []
    for epoch in range(settings.epochs):
        optimizer.learning_rate.assign(schedule.rate(epoch))
        losses = _epoch(step, pictures, task, size, order, epoch if views else 0)
        if not np.isfinite(losses).all():
            raise PipelineError(
                f"params.yaml: fine_tune.learning_rate: {settings.learning_rate:g} let the fit "
                f"diverge in epoch {epoch + 1}; try a tenth of it"
            )
        logits = predict(forward, pictures, task.val_rows, outputs)
        better = False
        for i, (start, stop) in enumerate(branch.spans):
            if epoch - fits[i].best_epoch > settings.patience:
                continue
            odds = categories.log_odds(logits[:, start:stop], parts[i].softmax)
            found = fitting.scores(task.val_targets[:, start:stop], odds, parts[i].softmax)
            fits[i].history.append(
                {"loss": float(losses[:, i].mean()), **{f"val_{k}": v for k, v in found.items()}}
            )
            fits[i].iterations += losses[:, i].tolist()
            rank = fitting.rank_of(found, epoch)
            if rank > best[i]:
                best[i], better = rank, True
                fits[i].best_epoch = epoch
                fits[i].weights = copy.deepcopy(branch.heads[i].get_weights())
                backbone = branch.backbone.get_weights() if train_backbone else []
        schedule.observe(better)
        if all(epoch - one.best_epoch >= settings.patience for one in fits):
            break
    for head, one in zip(branch.heads, fits, strict=True):
        head.set_weights(one.weights)
    if train_backbone:
        branch.backbone.set_weights(backbone)
    return fits


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
