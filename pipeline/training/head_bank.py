"""Training heads on cached features: several at a time, side by side in one compiled step.

The folds of one attribute (or the variants of a final model) have the same architecture, so one
graph steps them all; it is compiled once and used again for the next attribute and round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data import categories
from pipeline.features.store import FeatureStore
from pipeline.training import fitting, heads, losses
from pipeline.training.fitting import Course, DivergedError, Fit, Settings, Task
from pipeline.training.resample import occurrence

PREDICT_BATCH = 256
NOT_FITTED = {"auc": float("nan"), "loss": float("nan")}
"""Scores of a head that there was nothing to fit to."""


class HeadBank:
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

        The best epoch is chosen as in `fitting.Course`. A task without rows is not fitted: its head
        stays as it began, its best epoch is -1 and its history empty.
        """
        for model, optimizer, task in zip(self.models, self._optimizers, tasks, strict=True):
            heads.reset(model, task.seed, self.moments)
            for variable in optimizer.variables:
                if "learning_rate" not in variable.path:
                    variable.assign(np.zeros(variable.shape, dtype=variable.dtype))
        courses = [Course(self.settings, model.get_weights()) for model in self.models]
        to_fit = [i for i, task in enumerate(tasks) if len(task.rows)]
        for i in set(range(len(tasks))) - set(to_fit):
            courses[i].begin(NOT_FITTED)
        orders = [np.random.default_rng([*task.seed, 1]) for task in tasks]
        offsets = [occurrence(task.rows) for task in tasks]
        for epoch in range(self.settings.epochs if to_fit else 0):
            for optimizer, course in zip(self._optimizers, courses, strict=True):
                optimizer.learning_rate.assign(course.rate(epoch))
            iterations = self._epoch(tasks, orders, offsets, epoch)
            training_loss = iterations.mean(axis=0)
            if not np.isfinite(training_loss).all():
                raise DivergedError("learning_rate", self.settings.learning_rate, epoch)
            logits = self.predict([task.val_rows for task in tasks])
            self._check_finite([logits[i] for i in to_fit], [courses[i] for i in to_fit], epoch)
            seen = self._training_scores(tasks)
            for i in to_fit:
                task, course = tasks[i], courses[i]
                if course.ended(epoch):
                    continue
                objective = self.settings.objective
                found = fitting.scores(task.val_targets, logits[i], objective.softmax)
                val_loss = fitting.objective_loss(task.val_targets, logits[i], objective)
                of_training = {"loss": float(training_loss[i]), **seen[i]}
                if course.observe(epoch, iterations[:, i], of_training, found, val_loss):
                    course.keep(self.models[i].get_weights())
            if all(courses[i].ended(epoch + 1) for i in to_fit):
                break
        for model, course in zip(self.models, courses, strict=True):
            model.set_weights(course.fit.weights)
        return [course.fit for course in courses]

    def _check_finite(
        self, logits: Sequence[np.ndarray], courses: Sequence[Course], epoch: int
    ) -> None:
        """The last step's damage shows in no loss of the epoch, but in the logits after it."""
        for one, course in zip(logits, courses, strict=True):
            if not course.ended(epoch) and not np.isfinite(one).all():
                raise DivergedError("learning_rate", self.settings.learning_rate, epoch)

    def _training_scores(self, tasks: Sequence[Task]) -> list[dict[str, float]]:
        """AUC and binary accuracy on the training rows as they are, without dropout."""
        if not self.settings.training_scores:
            return [{} for _ in tasks]
        scored = []
        for task, logits in zip(tasks, self.predict([t.rows for t in tasks]), strict=True):
            found = fitting.scores(task.targets, logits, self.settings.objective.softmax)
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
                if not len(order):
                    continue
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
