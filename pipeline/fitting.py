"""Training heads on cached features: several at a time, side by side in one compiled step.

The folds of one attribute (or the variants of a final model) have the same architecture, so one
graph steps them all; it is compiled once and used again for the next attribute and round.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import categories, heads, losses, schedules, validation
from pipeline.errors import PipelineError
from pipeline.features import FeatureStore
from pipeline.resample import occurrence

PREDICT_BATCH = 256


@dataclass(frozen=True)
class Settings:
    """How to fit; names and ranges as in params.yaml.

    objective : what is minimised, see `losses.masked_cross_entropy`.
    schedule, clip_norm
        Of the learning rate, see `schedules.Schedule`; and the norm that all gradients together are
        scaled down to, None for any.
    training_scores : whether the history has AUC and accuracy on the training rows, too, which
        costs a forward pass over them per epoch.
    most_steps : an epoch ends after so many steps, a different part of the rows each time; None =
        all rows.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    objective: losses.Objective = field(default_factory=losses.Objective)
    schedule: str = schedules.CONSTANT
    clip_norm: float | None = None
    training_scores: bool = False
    most_steps: int | None = None


@dataclass(frozen=True)
class Task:
    """One head's training data.

    rows : [n] rows of the store, repeated where over-sampled.
    targets : float [n, outputs]; 1, 0, soft, or NaN for unknown.
    val_rows, val_targets : [m], [m, outputs]: for early stopping, never fitted on.
    seed : seeds the initial weights, the dropout and the order of the rows.
    weights : float [n, outputs] or None for all 1.
    """

    rows: np.ndarray
    targets: np.ndarray
    val_rows: np.ndarray
    val_targets: np.ndarray
    seed: tuple[int, ...]
    weights: np.ndarray | None = None


@dataclass
class Fit:
    """What a fit left behind: the best epoch's weights and the curves.

    history : per epoch ``loss`` (training, with dropout), ``val_loss``, ``val_auc`` and
        ``val_binary_accuracy``, and with ``training_scores`` ``auc`` and ``binary_accuracy``; a
        value that is undefined is NaN. With categorical attributes see `validation.scores`, too.
    iterations : training loss of each step.
    """

    weights: list[np.ndarray] = field(default_factory=list)
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    iterations: list[float] = field(default_factory=list)


class SideBySide:
    """``count`` heads of one config, fitted and applied together.

    Parameters
    ----------
    moments : channel mean and variance of the training images (`heads.moments`).
    """

    def __init__(
        self,
        store: FeatureStore,
        config: heads.HeadConfig,
        count: int,
        settings: Settings,
        moments: tuple[np.ndarray, np.ndarray],
    ):
        import keras
        import tensorflow as tf

        self.store, self.config, self.settings, self.moments = store, config, settings, moments
        self.models = [heads.build(config) for _ in range(count)]
        self._optimizers = [
            keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm)
            for _ in self.models
        ]
        for model, optimizer in zip(self.models, self._optimizers, strict=True):
            optimizer.build(model.trainable_variables)
        shape, outputs = config.input_shape, config.outputs
        # Features travel in the store's own, smaller type and are widened in the graph.
        self._dtype = heads.read_features(config.kind, store, np.zeros(1, dtype=np.intp)).dtype
        self._buffer = np.zeros((0, *shape), dtype=self._dtype)
        x_spec = tf.TensorSpec((count, None, *shape), self._dtype)
        y_spec = tf.TensorSpec((count, None, outputs), tf.float32)

        @tf.function(input_signature=[x_spec, y_spec, y_spec], autograph=False)
        def step(x: Any, y: Any, weights: Any) -> Any:
            x = tf.cast(x, tf.float32)
            done = []
            for i, model in enumerate(self.models):
                with tf.GradientTape() as tape:
                    logits = model(x[i], training=True)
                    loss = losses.masked_cross_entropy(y[i], logits, weights[i], settings.objective)
                    total = tf.add_n([loss, *model.losses])
                variables = model.trainable_variables
                gradients = tape.gradient(total, variables)
                self._optimizers[i].apply_gradients(zip(gradients, variables, strict=True))
                done.append(loss)
            return tf.stack(done)

        @tf.function(input_signature=[x_spec], autograph=False)
        def forward(x: Any) -> Any:
            x = tf.cast(x, tf.float32)
            return tf.stack([model(x[i], training=False) for i, model in enumerate(self.models)])

        self._step, self._forward = step, forward

    def fit(self, tasks: Sequence[Task]) -> list[Fit]:
        """Fit head i on task i from fresh weights; the heads hold their best weights afterwards.

        The best epoch has the highest validation AUC (macro over outputs), ties broken by the
        validation loss; a head stops being considered after ``patience`` epochs without a better
        one. Where validation labels have one class only, the loss decides alone.
        """
        for model, optimizer, task in zip(self.models, self._optimizers, tasks, strict=True):
            heads.reset(model, task.seed, self.moments)
            for variable in optimizer.variables:
                if "learning_rate" not in variable.path:
                    variable.assign(np.zeros(variable.shape, dtype=variable.dtype))
        fits = [Fit(weights=copy.deepcopy(model.get_weights())) for model in self.models]
        orders = [np.random.default_rng([*task.seed, 1]) for task in tasks]
        offsets = [occurrence(task.rows) for task in tasks]
        best: list[tuple[float, float]] = [(-np.inf, -np.inf)] * len(tasks)
        rates = [
            schedules.Schedule(
                self.settings.schedule, self.settings.learning_rate, self.settings.epochs
            )
            for _ in tasks
        ]
        for epoch in range(self.settings.epochs):
            for optimizer, rate in zip(self._optimizers, rates, strict=True):
                optimizer.learning_rate.assign(rate.rate(epoch))
            iterations = self._epoch(tasks, orders, offsets, epoch)
            training_loss = iterations.mean(axis=0)
            if not np.isfinite(training_loss).all():
                raise self._diverged(epoch)
            logits = self.predict([task.val_rows for task in tasks])
            self._check_finite(logits, fits, epoch)
            seen = self._training_scores(tasks)
            waiting = 0
            for i, task in enumerate(tasks):
                if epoch - fits[i].best_epoch > self.settings.patience:
                    continue
                softmax = self.settings.objective.softmax
                found = validation.scores(task.val_targets, logits[i], softmax)
                of_validation = {f"val_{name}": value for name, value in found.items()}
                fits[i].history.append(
                    {"loss": float(training_loss[i]), **seen[i], **of_validation}
                )
                fits[i].iterations += iterations[:, i].tolist()
                rank = validation.rank_of(found, epoch)
                rates[i].observe(rank > best[i])
                if rank > best[i]:
                    best[i] = rank
                    fits[i].best_epoch = epoch
                    fits[i].weights = copy.deepcopy(self.models[i].get_weights())
                waiting += epoch - fits[i].best_epoch < self.settings.patience
            if not waiting:
                break
        for model, fit in zip(self.models, fits, strict=True):
            model.set_weights(fit.weights)
        return fits

    def _check_finite(self, logits: Sequence[np.ndarray], fits: Sequence[Fit], epoch: int) -> None:
        """The last step's damage shows in no loss of the epoch, but in the logits after it."""
        for one, fit in zip(logits, fits, strict=True):
            if epoch - fit.best_epoch <= self.settings.patience and not np.isfinite(one).all():
                raise self._diverged(epoch)

    def _diverged(self, epoch: int) -> PipelineError:
        return PipelineError(
            f"params.yaml: learning_rate: {self.settings.learning_rate:g} let the fit "
            f"diverge in epoch {epoch + 1}; try a tenth of it"
        )

    def _training_scores(self, tasks: Sequence[Task]) -> list[dict[str, float]]:
        """AUC and binary accuracy on the training rows as they are, without dropout."""
        if not self.settings.training_scores:
            return [{} for _ in tasks]
        scored = []
        for task, logits in zip(tasks, self.predict([t.rows for t in tasks]), strict=True):
            found = validation.scores(task.targets, logits, self.settings.objective.softmax)
            del found["loss"]
            scored.append(found)
        return scored

    def _epoch(
        self,
        tasks: Sequence[Task],
        orders: Sequence[np.random.Generator],
        offsets: Sequence[np.ndarray],
        epoch: int,
    ) -> npt.NDArray[np.float64]:
        """One pass over every task's rows; the training loss of each step and task."""
        size, outputs = self.settings.batch_size, self.config.outputs
        shuffled = [
            rng.permutation(len(task.rows)) for rng, task in zip(orders, tasks, strict=True)
        ]
        steps = max(-(-len(order) // size) for order in shuffled)
        steps = min(steps, self.settings.most_steps or steps)
        done = np.empty((steps, len(tasks)))
        for step in range(steps):
            y = np.full((len(tasks), size, outputs), np.nan, dtype=np.float32)
            weights = np.ones_like(y)
            rows = np.zeros((len(tasks), size), dtype=np.intp)
            views = np.zeros((len(tasks), size), dtype=np.intp)
            for i, (task, order) in enumerate(zip(tasks, shuffled, strict=True)):
                # A shorter task goes round again, so that each step moves every head.
                chosen = np.take(order, np.arange(step * size, (step + 1) * size), mode="wrap")
                rows[i] = task.rows[chosen]
                # Copies of an image, and later epochs, take its views in turn.
                views[i] = (rows[i] + epoch + offsets[i][chosen]) % self.store.views
                y[i] = task.targets[chosen]
                if task.weights is not None:
                    weights[i] = task.weights[chosen]
            done[step] = self._step(self._features(rows, views), y, weights).numpy()
        return done

    def predict(self, rows: Sequence[np.ndarray], view: int = 0) -> list[np.ndarray]:
        """Logits of head i for ``rows[i]``, float32 [n_i, outputs] each.

        Those of a categorical attribute's values are the log-odds of the softmax.
        """
        longest = max(len(r) for r in rows)
        out = [np.zeros((len(r), self.config.outputs), dtype=np.float32) for r in rows]
        for start in range(0, longest, PREDICT_BATCH):
            parts = [r[start : start + PREDICT_BATCH] for r in rows]
            width = max(len(part) for part in parts)
            padded = np.zeros((len(rows), width), dtype=np.intp)
            for i, part in enumerate(parts):
                padded[i, : len(part)] = part
            views = np.full_like(padded, view)
            logits = self._forward(self._features(padded, views)).numpy()
            for i, part in enumerate(parts):
                out[i][start : start + len(part)] = logits[i, : len(part)]
        softmax = self.settings.objective.softmax
        return [categories.log_odds(logits, softmax) for logits in out]

    def _features(self, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        """Features [heads, n, *input_shape] of (row, view), [heads, n] each.

        They lie in a buffer that the next call overwrites: the step that takes them has ended by
        then.
        """
        if len(self._buffer) < rows.size:
            self._buffer = np.zeros((rows.size, *self.config.input_shape), dtype=self._dtype)
        out = self._buffer[: rows.size]
        heads.read_features(self.config.kind, self.store, rows.ravel(), views.ravel(), out)
        return out.reshape(*rows.shape, *self.config.input_shape)
