"""Training heads on cached features: several at a time, side by side in one compiled step.

The folds of one attribute (or the variants of a final model) have the same architecture, so one
graph steps them all; it is compiled once and used again for the next attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data import categories
from pipeline.features.store import FeatureStore
from pipeline.training import fitting, heads, losses
from pipeline.training.fitting import Fit, FitSettings, Task
from pipeline.training.losses import Objective
from pipeline.training.resample import occurrence

PREDICT_BATCH = 256


class HeadBank:
    """``count`` heads of one config, fitted and applied together.

    models : the heads, see `heads.build`.

    Parameters
    ----------
    moments : channel mean and variance of the training images (`heads.moments`).
    """

    def __init__(
        self,
        store: FeatureStore,
        config: heads.HeadConfig,
        count: int,
        settings: FitSettings,
        moments: tuple[np.ndarray, np.ndarray],
    ):
        import keras
        import tensorflow as tf

        self.store, self.config, self.settings, self.moments = store, config, settings, moments
        self.models = [heads.build(config) for _ in range(count)]
        self.optimizers = [
            keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm)
            for _ in self.models
        ]
        for model, optimizer in zip(self.models, self.optimizers, strict=True):
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
                    loss = losses.masked_loss(y[i], logits, weights[i], settings.objective)
                    total = tf.add_n([loss, *model.losses])
                variables = model.trainable_variables
                gradients = tape.gradient(total, variables)
                self.optimizers[i].apply_gradients(zip(gradients, variables, strict=True))
                done.append(loss)
            return tf.stack(done)

        @tf.function(input_signature=[x_spec], autograph=False)
        def forward(x: Any) -> Any:
            x = tf.cast(x, tf.float32)
            return tf.stack([model(x[i], training=False) for i, model in enumerate(self.models)])

        self._step, self._forward = step, forward

    def fit(self, tasks: Sequence[Task]) -> list[Fit]:
        """Fit head i on task i from fresh weights, see `fitting.fit`."""
        for model, optimizer, task in zip(self.models, self.optimizers, tasks, strict=True):
            start = losses.constant_logits(task.targets, task.weights, self.settings.objective)
            heads.reset(model, task.seed, self.moments, start)
            for variable in optimizer.variables:
                if "learning_rate" not in variable.path:
                    variable.assign(np.zeros(variable.shape, dtype=variable.dtype))
        return fitting.fit(HeadsOnTasks(self, tasks), self.settings, "learning_rate")

    def step(
        self, rows: np.ndarray, views: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> npt.NDArray[np.float32]:
        """Take a step with each head; its loss [heads].

        Parameters
        ----------
        rows, views : [heads, n] of the store.
        targets, weights : float32 [heads, n, outputs], see `losses.masked_loss`.
        """
        return np.asarray(self._step(self._features(rows, views), targets, weights))

    def logits(self, rows: Sequence[np.ndarray], view: int = 0) -> list[np.ndarray]:
        """Logits of head i for ``rows[i]``, float32 [n_i, outputs] each."""
        longest = max(len(r) for r in rows)
        out = [np.zeros((len(r), self.config.outputs), dtype=np.float32) for r in rows]
        for start in range(0, longest, PREDICT_BATCH):
            batches = [r[start : start + PREDICT_BATCH] for r in rows]
            padded = np.zeros((len(rows), max(map(len, batches))), dtype=np.intp)
            for i, batch in enumerate(batches):
                padded[i, : len(batch)] = batch
            logits = self._forward(self._features(padded, np.full_like(padded, view))).numpy()
            for i, batch in enumerate(batches):
                out[i][start : start + len(batch)] = logits[i, : len(batch)]
        return out

    def predict(self, rows: Sequence[np.ndarray], view: int = 0) -> list[np.ndarray]:
        """`logits`, but of a categorical attribute's values the log-odds of their softmax."""
        softmax = self.settings.objective.softmax
        return [categories.log_odds(logits, softmax) for logits in self.logits(rows, view)]

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


class HeadsOnTasks:
    """The heads of ``bank``, each on a task of its own, as `fitting.fit` trains them."""

    def __init__(self, bank: HeadBank, tasks: Sequence[Task]):
        self.bank, self.tasks = bank, tasks
        self.objectives: Sequence[Objective] = [bank.settings.objective] * len(tasks)
        self._orders = [np.random.default_rng([*task.seed, 1]) for task in tasks]
        self._copies = [occurrence(task.rows) for task in tasks]

    def weights(self, i: int) -> list[np.ndarray]:
        """Of head i."""
        return self.bank.models[i].get_weights()

    def set_weights(self, i: int, weights: Sequence[np.ndarray]) -> None:
        """The inverse of `weights`."""
        self.bank.models[i].set_weights(weights)

    def set_learning_rate(self, i: int, rate: float) -> None:
        """Of head i."""
        self.bank.optimizers[i].learning_rate.assign(rate)

    def logits(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `HeadBank.logits`."""
        return self.bank.logits(rows)

    def train_epoch(self, epoch: int) -> npt.NDArray[np.float64]:
        """One pass over every task's rows; the training loss [steps, heads]."""
        settings, outputs = self.bank.settings, self.bank.config.outputs
        size, count = settings.batch_size, len(self.tasks)
        shuffled = [
            rng.permutation(len(task.rows))
            for rng, task in zip(self._orders, self.tasks, strict=True)
        ]
        steps = max(-(-len(order) // size) for order in shuffled)
        steps = min(steps, settings.most_steps or steps)
        done = np.empty((steps, count))
        for step in range(steps):
            y = np.full((count, size, outputs), np.nan, dtype=np.float32)
            weights = np.ones_like(y)
            rows = np.zeros((count, size), dtype=np.intp)
            views = np.zeros((count, size), dtype=np.intp)
            for i, (task, order) in enumerate(zip(self.tasks, shuffled, strict=True)):
                if not len(order):
                    continue
                # A shorter task goes round again, so that each step moves every head.
                chosen = np.take(order, np.arange(step * size, (step + 1) * size), mode="wrap")
                rows[i] = task.rows[chosen]
                # Copies of an image, and later epochs, take its views in turn.
                views[i] = (rows[i] + epoch + self._copies[i][chosen]) % self.bank.store.views
                y[i] = task.targets[chosen]
                if task.weights is not None:
                    weights[i] = task.weights[chosen]
            done[step] = self.bank.step(rows, views, y, weights)
        return done
