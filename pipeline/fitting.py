"""What every fit is asked for and leaves behind, and how its best epoch is found."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline import losses, schedules, validation


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

    history : per epoch ``loss`` (training, with dropout) and ``val_loss``, both of the objective,
        ``val_auc`` and ``val_binary_accuracy``, and with ``training_scores`` ``auc`` and
        ``binary_accuracy``; NaN where undefined. With categorical attributes see
        `validation.scores`, too.
    iterations : training loss of each step.
    best_epoch : counted from 0; -1 where none was better than what a fit began with.
    before : of `validation.scores`, where that counts (`Course.begin`).
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


class Course:
    """One fit on its way through the epochs, counted from 0.

    The best epoch has the highest validation AUC (macro over outputs), ties broken by the
    validation loss; a fit ends after ``settings.patience`` epochs without a better one. Where
    validation labels have one class only, the loss decides alone.

    Parameters
    ----------
    weights : of the head before its first step.
    """

    def __init__(self, settings: Settings, weights: Sequence[np.ndarray]):
        self.fit = Fit(weights=copy.deepcopy(list(weights)))
        self._best = (-np.inf, -np.inf)
        self._patience = settings.patience
        self._schedule = schedules.Schedule(
            settings.schedule, settings.learning_rate, settings.epochs
        )

    def begin(self, of_validation: Mapping[str, float]) -> None:
        """Let the weights before the first step count: they stay where no epoch is better."""
        self.fit.before = dict(of_validation)
        self._best, self.fit.best_epoch = validation.rank_of(of_validation, -1), -1

    def rate(self, epoch: int) -> float:
        """The learning rate of ``epoch``."""
        return self._schedule.rate(epoch)

    def ended(self, epoch: int) -> bool:
        """Whether the fit had lost its patience before ``epoch``."""
        return epoch - self.fit.best_epoch > self._patience

    def observe(
        self,
        epoch: int,
        iterations: np.ndarray,
        of_training: Mapping[str, float],
        of_validation: Mapping[str, float],
        val_loss: float,
    ) -> bool:
        """Note what an epoch brought; True for the best so far, whose weights are to be kept.

        Parameters
        ----------
        iterations : [steps], the training loss of each.
        of_training : ``loss``, and what else belongs into the history.
        of_validation : of `validation.scores`; val_loss : of `validation.objective_loss`.
        """
        named = {f"val_{name}": value for name, value in of_validation.items()}
        self.fit.history.append({**of_training, **named, "val_loss": val_loss})
        self.fit.iterations += iterations.tolist()
        rank = validation.rank_of(of_validation, epoch)
        better = rank > self._best
        self._schedule.observe(better)
        if better:
            self._best, self.fit.best_epoch = rank, epoch
        return better

    def keep(self, weights: Sequence[np.ndarray]) -> None:
        """Take these for the weights of the best epoch."""
        self.fit.weights = copy.deepcopy(list(weights))
