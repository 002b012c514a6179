"""What every fit is asked for and leaves behind, and how its best epoch is found."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.metrics.scores import auc
from pipeline.training import losses, schedules


def rank_of(found: Mapping[str, float], epoch: int) -> tuple[float, float]:
    """What the best epoch has most of: AUC, then a small loss; without either, a late epoch.

    Parameters
    ----------
    found : ``auc`` and ``loss``, NaN where undefined.
    """
    area, loss = found["auc"], found["loss"]
    return (0.0 if np.isnan(area) else area, float(epoch) if np.isnan(loss) else -loss)


def objective_loss(targets: np.ndarray, log_odds: np.ndarray, objective: losses.Objective) -> float:
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
    found = losses.masked_cross_entropy(known, logits.astype(np.float32), objective=objective)
    return float(found.numpy())


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

    rows : [n] rows of the store, repeated where over-sampled; none where there is nothing to fit.
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
        `fitting.scores`, too.
    iterations : training loss of each step.
    best_epoch : counted from 0; -1 where none was better than what a fit began with.
    before : of `fitting.scores`, where that counts (`Course.begin`).
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
        self._best, self.fit.best_epoch = rank_of(of_validation, -1), -1

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
        of_validation : of `fitting.scores`; val_loss : of `fitting.objective_loss`.
        """
        named = {f"val_{name}": value for name, value in of_validation.items()}
        self.fit.history.append({**of_training, **named, "val_loss": val_loss})
        self.fit.iterations += iterations.tolist()
        rank = rank_of(of_validation, epoch)
        better = rank > self._best
        self._schedule.observe(better)
        if better:
            self._best, self.fit.best_epoch = rank, epoch
        return better

    def keep(self, weights: Sequence[np.ndarray]) -> None:
        """Take these for the weights of the best epoch."""
        self.fit.weights = copy.deepcopy(list(weights))


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
