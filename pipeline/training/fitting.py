"""Fitting models epoch by epoch: one loop for heads side by side and for whole networks.

After each epoch every model is scored on its validation labels. The best epoch has the highest
validation AUC (macro over outputs), ties broken by the validation loss; a fit stops after
``patience`` epochs without a better one (Prechelt 1998, "Early stopping -- but when?"), and its
weights are those of the best epoch.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline import progress
from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.metrics.scores import auc, shown
from pipeline.training import losses, schedules
from pipeline.training.losses import Objective


@dataclass(frozen=True)
class FitSettings:
    """How to fit; names and ranges as in params.yaml.

    objective : what is minimised, see `losses.masked_loss`.
    schedule, clip_norm
        Of the learning rate, see `schedules.SCHEDULES`; and the norm that all gradients together
        are scaled down to, None for any.
    training_scores : whether the history has AUC and accuracy on the training rows, too, which
        costs a forward pass over them per epoch.
    most_steps : an epoch ends after so many steps, a different part of the rows each time; None =
        all rows. Of `head_bank.HeadBank` only.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    objective: Objective = field(default_factory=Objective)
    schedule: str = "constant"
    clip_norm: float | None = None
    training_scores: bool = False
    most_steps: int | None = None


@dataclass(frozen=True)
class Task:
    """One model's training data.

    rows : [n] rows of the features or pictures, repeated where over-sampled; none where there is
        nothing to fit.
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

    def columns(self, start: int, stop: int) -> Task:
        """The same for the outputs from ``start`` to before ``stop`` alone."""
        return replace(
            self,
            targets=self.targets[:, start:stop],
            val_targets=self.val_targets[:, start:stop],
            weights=None if self.weights is None else self.weights[:, start:stop],
        )


@dataclass
class Fit:
    """What came of a fit: the best epoch's weights and the history.

    history : per epoch ``loss`` (training, with dropout) and ``val_loss``, both of the objective,
        ``val_auc`` and ``val_binary_accuracy``, and with ``training_scores`` ``auc`` and
        ``binary_accuracy``; NaN where undefined. With categorical attributes see
        `fitting.scores`, too.
    iterations : training loss of each step.
    best_epoch : counted from 0; -1 where none was better than what a fit began with.
    before : of `fitting.scores`, where that counts (`EarlyStopping.begin`).
    """

    weights: list[np.ndarray] = field(default_factory=list)
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    iterations: list[float] = field(default_factory=list)
    before: dict[str, float] = field(default_factory=dict)

    @property
    def best_auc(self) -> float:
        """The validation AUC of the weights."""
        if self.best_epoch < 0:
            return self.before["auc"]
        return self.history[self.best_epoch]["val_auc"]

    @property
    def epochs(self) -> list[dict[str, float]]:
        """The history, with ``kept`` 1 in the best epoch and 0 in all others; in every epoch where
        the weights that the fit began with were kept."""
        return [
            {**scores, "kept": int(epoch == self.best_epoch)}
            for epoch, scores in enumerate(self.history)
        ]


class DivergedError(PipelineError):
    """A loss or a score is no longer finite: the learning rate was too high.

    Parameters
    ----------
    param : the one in params.yaml that has the rate.
    epoch : counted from 0.
    """

    def __init__(self, param: str, rate: float, epoch: int):
        super().__init__(
            f"params.yaml: {param}: {rate:g} let the fit diverge in epoch {epoch + 1}; try a tenth "
            "of it"
        )


def scores(
    targets: np.ndarray, logits: np.ndarray, softmax: Sequence[tuple[int, int]] = ()
) -> dict[str, float]:
    """Loss, macro AUC and binary accuracy over the known cells; NaN where undefined.

    Soft targets count as the class they lean to. For the g-th categorical attribute there are
    ``accuracy_g`` and ``f1_g`` (macro over the values known or given), too.

    Parameters
    ----------
    targets, logits : [n, K]; those of a categorical attribute as of `categories.log_odds`.
    softmax : see `losses.Objective`.
    """
    of_categories = categories.scores(targets, logits, softmax)
    targets = np.where(np.isnan(targets), np.nan, targets >= 0.5)
    known = ~np.isnan(targets)
    if not known.any():
        return {"loss": np.nan, "auc": np.nan, "binary_accuracy": np.nan, **of_categories}
    signed = np.where(targets == 1, -logits, logits)[known]
    areas = [auc(targets[:, k], logits[:, k]) for k in range(targets.shape[1])]
    defined = [area for area in areas if not np.isnan(area)]
    return {
        "loss": float(np.logaddexp(0.0, signed.astype(np.float64)).mean()),
        "auc": float(np.mean(defined)) if defined else np.nan,
        "binary_accuracy": float(((logits > 0) == (targets == 1))[known].mean()),
        **of_categories,
    }


def objective_loss(targets: np.ndarray, log_odds: np.ndarray, objective: Objective) -> float:
    """The objective over the known cells, to stand beside that of training; NaN without any.

    Parameters
    ----------
    targets : [n, K] of 1, 0 and NaN.
    log_odds : [n, K], of categorical attributes as of `categories.log_odds`.
    """
    if np.isnan(targets).all():
        return float("nan")
    logits = np.array(log_odds, dtype=np.float64)
    for start, stop in objective.softmax:
        # Logarithms of probabilities are logits with the same softmax.
        logits[:, start:stop] = -np.logaddexp(0.0, -logits[:, start:stop])
    known = np.asarray(targets, dtype=np.float32)
    found = losses.masked_loss(known, logits.astype(np.float32), objective=objective)
    return float(found.numpy())


def rank_of(found: Mapping[str, float], epoch: int) -> tuple[float, float]:
    """What the best epoch has most of: AUC, then a small loss; without either, a late epoch.

    Parameters
    ----------
    found : ``auc`` and ``loss``, NaN where undefined.
    """
    area, loss = found["auc"], found["loss"]
    return (0.0 if np.isnan(area) else area, float(epoch) if np.isnan(loss) else -loss)


class EarlyStopping:
    """One model's fit so far: its history, its best epoch and the learning rate of the next one.

    Epochs are counted from 0. `keras.callbacks.EarlyStopping` watches one number of one model that
    Keras trains; here the rank is of two, and models are trained side by side.

    Parameters
    ----------
    weights : of the model before its first step.
    """

    def __init__(self, settings: FitSettings, weights: Sequence[np.ndarray]):
        self.fit = Fit()
        self.keep(weights)
        self._settings = settings
        self._best = (-np.inf, -np.inf)
        self._better: list[bool] = []

    def begin(self, of_validation: Mapping[str, float]) -> None:
        """Let the weights before the first step count: they stay where no epoch is better."""
        self.fit.before = dict(of_validation)
        self._best, self.fit.best_epoch = rank_of(of_validation, -1), -1

    def rate(self, epoch: int) -> float:
        """The learning rate of ``epoch``."""
        factor = schedules.SCHEDULES[self._settings.schedule]
        return self._settings.learning_rate * factor(epoch, self._settings.epochs, self._better)

    def ended(self, epoch: int) -> bool:
        """Whether the fit's patience had run out before ``epoch``."""
        return epoch - self.fit.best_epoch > self._settings.patience

    def observe(
        self,
        epoch: int,
        iterations: np.ndarray,
        of_training: Mapping[str, float],
        of_validation: Mapping[str, float],
        val_loss: float,
    ) -> bool:
        """Add an epoch to the history; True for the best so far, whose weights are to be kept.

        Parameters
        ----------
        iterations : [steps], the training loss of each.
        of_training : ``loss``, and what else belongs into the history.
        of_validation : of `fitting.scores`; val_loss : of `fitting.objective_loss`.
        """
        named = {f"val_{name}": value for name, value in of_validation.items()}
        self.fit.history.append({**of_training, **named, "val_loss": val_loss})
        self.fit.iterations += iterations.tolist()
        rank = rank_of(of_validation, epoch)
        better = rank > self._best
        self._better.append(better)
        if better:
            self._best, self.fit.best_epoch = rank, epoch
        return better

    def keep(self, weights: Sequence[np.ndarray]) -> None:
        """Take a copy of these as the weights of the best epoch."""
        self.fit.weights = [np.array(value) for value in weights]


class Models(Protocol):
    """Models that are trained side by side, each on a task of its own, as `fit` sees them.

    tasks, objectives : one per model.
    """

    tasks: Sequence[Task]
    objectives: Sequence[Objective]

    def weights(self, i: int) -> list[np.ndarray]:
        """All that an epoch may change in model i."""

    def set_weights(self, i: int, weights: Sequence[np.ndarray]) -> None:
        """The inverse of `weights`."""

    def set_learning_rate(self, i: int, rate: float) -> None:
        """Of the optimiser of model i."""

    def train_epoch(self, epoch: int) -> np.ndarray:
        """Take the steps of one epoch; the training loss [steps, models] of each."""

    def logits(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Logits [n_i, outputs] of model i for ``rows[i]``, without dropout or augmentation."""


NOTHING_TO_FIT = {"auc": float("nan"), "loss": float("nan")}
"""Scores of a model whose task has no rows."""


def fit(
    models: Models,
    settings: FitSettings,
    param: str,
    fitted: bool = False,
    log: logging.Logger | None = None,
) -> list[Fit]:
    """Fit model i on task i; the models hold the weights of their best epochs afterwards.

    A task without rows is not fitted: its model stays as it began, its best epoch is -1 and its
    history empty.

    Parameters
    ----------
    param : the one in params.yaml that has the learning rate, for the error.
    fitted : whether the models are good already: they stay as they are where no epoch is better.
    log : where every epoch is reported, since it may take minutes; nowhere by default.

    Raises
    ------
    DivergedError
        If a loss or a score of a model that is still being fitted is no longer finite.
    """
    tasks, objectives = models.tasks, models.objectives
    stops = [EarlyStopping(settings, models.weights(i)) for i in range(len(tasks))]
    if fitted:
        logits = models.logits([task.val_rows for task in tasks])
        for stop, task, own, objective in zip(stops, tasks, logits, objectives, strict=True):
            odds = categories.log_odds(own, objective.softmax)
            stop.begin(scores(task.val_targets, odds, objective.softmax))
        if log:
            area = np.mean([stop.fit.best_auc for stop in stops])
            log.info("as it begins: validation AUC %s", shown(float(area)))
    for stop, task in zip(stops, tasks, strict=True):
        if not len(task.rows):
            stop.begin(NOTHING_TO_FIT)
    running = [i for i, task in enumerate(tasks) if len(task.rows)]
    for epoch in progress.track(range(settings.epochs), "epochs", "epoch"):
        running = [i for i in running if not stops[i].ended(epoch)]
        if not running:
            break
        started = time.perf_counter()
        for i in running:
            models.set_learning_rate(i, stops[i].rate(epoch))
        iterations = models.train_epoch(epoch)
        logits = models.logits([task.val_rows for task in tasks])
        for i in running:
            # The last step's damage shows in no loss of the epoch, but in the logits after it.
            if not (np.isfinite(iterations[:, i]).all() and np.isfinite(logits[i]).all()):
                raise DivergedError(param, settings.learning_rate, epoch)
        trained = models.logits([t.rows for t in tasks]) if settings.training_scores else []
        areas = []
        for i in running:
            task, objective = tasks[i], objectives[i]
            of_training = {"loss": float(iterations[:, i].mean())}
            if trained:
                odds = categories.log_odds(trained[i], objective.softmax)
                # The loss of training is that of the steps, with dropout.
                of_training = scores(task.targets, odds, objective.softmax) | of_training
            odds = categories.log_odds(logits[i], objective.softmax)
            found = scores(task.val_targets, odds, objective.softmax)
            val_loss = objective_loss(task.val_targets, odds, objective)
            areas.append(found["auc"])
            if stops[i].observe(epoch, iterations[:, i], of_training, found, val_loss):
                stops[i].keep(models.weights(i))
        if log:
            log.info(
                "epoch %d of at most %d: loss %.4f, validation AUC %s, %.0f s",
                *(epoch + 1, settings.epochs, iterations[:, running].mean()),
                shown(float(np.mean(areas))),
                time.perf_counter() - started,
            )
    for i, stop in enumerate(stops):
        models.set_weights(i, stop.fit.weights)
    return [stop.fit for stop in stops]


CURVES, STEPS = "history.csv", "iterations.csv"


def curves(fit: Fit, categorical: Sequence[Attribute]) -> pd.DataFrame:
    """One row per epoch, counted from 1: ``epoch``, the scores of `fitting.Fit.history`, those of
    categorical attributes by their names, as ``val_accuracy_colour``, and ``kept``, see
    `fitting.Fit.epochs`."""
    frame = pd.DataFrame(fit.epochs)
    names = {
        f"{prefix}{score}_{g}": f"{prefix}{score}_{one.name}"
        for g, one in enumerate(categorical)
        for score in ("accuracy", "f1")
        for prefix in ("", "val_")
    }
    frame = frame.rename(columns=names).round(6)
    frame.insert(0, "epoch", range(1, len(frame) + 1))
    return frame


def steps(fit: Fit) -> pd.DataFrame:
    """One row per step of the optimiser: ``iteration_number`` from 1, ``training_loss``."""
    numbers = range(1, len(fit.iterations) + 1)
    frame = pd.DataFrame({"iteration_number": numbers, "training_loss": fit.iterations})
    return frame.round(6)


def mean(curves: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean over several fits' `curves` in each epoch that all of them reached or ended in.

    A fit that stopped early counts with its last epoch. ``kept`` becomes the share of the fits that
    kept the epoch; what lacks to 1 in all kept what they began with.
    """
    epochs = pd.RangeIndex(1, max(len(one) for one in curves) + 1, name="epoch")
    whole = []
    for one in curves:
        own = one.set_index("epoch")
        kept = own["kept"].reindex(epochs, fill_value=0)
        whole.append(own.reindex(epochs, method="ffill").assign(kept=kept))
    return pd.concat(whole).groupby(level=0, sort=True).mean().round(6).reset_index()


def joined(steps: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Several fits' `steps` one after the other, numbered through."""
    frame = pd.concat(steps, ignore_index=True)
    frame["iteration_number"] = range(1, len(frame) + 1)
    return frame
