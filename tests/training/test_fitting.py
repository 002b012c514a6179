"""The loop over epochs, with its scores, early stopping and histories."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.training import fitting
from pipeline.training.fitting import DivergedError, EarlyStopping, Fit, FitSettings, Task
from pipeline.training.losses import Objective

NAN = float("nan")


def settings(**more: Any) -> FitSettings:
    return FitSettings(**{"epochs": 9, "batch_size": 4, "learning_rate": 0.5, "patience": 2} | more)


def stopping(**more: Any) -> EarlyStopping:
    return EarlyStopping(settings(**more), [np.zeros(2)])


def observed(one: EarlyStopping, scores: list[tuple[float, float]]) -> list[bool]:
    """Epochs of one step each with these (AUC, loss) of validation, while patience lasts."""
    better = []
    for epoch, (auc, loss) in enumerate(scores):
        if one.ended(epoch):
            break
        better.append(
            one.observe(
                epoch, np.array([epoch + 0.5]), {"loss": 9.0}, {"auc": auc, "loss": loss}, 7.0
            )
        )
        if better[-1]:
            one.keep([np.full(2, epoch + 1.0)])
    return better


def test_the_best_epoch_has_the_highest_auc_and_then_the_lowest_loss() -> None:
    one = stopping()
    assert observed(one, [(0.6, 0.1), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8), (0.65, 0.0)]) == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert one.fit.best_epoch == 2
    assert one.fit.weights[0].tolist() == [3.0, 3.0]


def test_the_loss_decides_alone_where_no_auc_is_defined() -> None:
    one = stopping()
    assert observed(one, [(NAN, 0.5), (NAN, 0.6), (NAN, 0.4)]) == [True, False, True]
    # Without any validation label, the last epoch is the best.
    assert observed(stopping(), [(NAN, NAN)] * 4) == [True] * 4


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_a_fit_ends_after_its_patience(patience: int) -> None:
    one = stopping(patience=patience)
    done = observed(one, [(0.6, 0.1), (0.9, 0.1), *[(0.5, 0.1)] * 6])
    # Without patience not even the second epoch is tried.
    best = 1 if patience else 0
    assert one.fit.best_epoch == best
    assert len(done) == best + 1 + patience


def test_the_history_names_what_is_of_validation() -> None:
    one = stopping()
    observed(one, [(0.6, 0.1), (0.7, 0.2)])
    assert one.fit.history == [
        {"loss": 9.0, "val_auc": 0.6, "val_loss": 7.0},
        {"loss": 9.0, "val_auc": 0.7, "val_loss": 7.0},
    ]
    assert one.fit.iterations == [0.5, 1.5]


def test_where_no_epoch_is_better_the_beginning_stays() -> None:
    one = stopping()
    one.begin({"auc": 0.9, "loss": 0.1})
    assert observed(one, [(0.8, 0.1), (0.85, 0.1), (0.7, 0.1)]) == [False, False]
    assert (one.fit.best_epoch, one.fit.best_auc) == (-1, 0.9)
    assert one.fit.weights[0].tolist() == [0.0, 0.0]
    other = stopping()
    other.begin({"auc": 0.6, "loss": 0.1})
    assert observed(other, [(0.5, 0.1), (0.7, 0.1)]) == [False, True]
    assert (other.fit.best_epoch, other.fit.best_auc) == (1, 0.7)


def test_what_diverged_says_the_param_the_rate_and_the_epoch_from_one() -> None:
    error = DivergedError("fine_tune.learning_rate", 0.5, 2)
    assert isinstance(error, PipelineError)
    assert str(error) == (
        "params.yaml: fine_tune.learning_rate: 0.5 let the fit diverge in epoch 3; "
        "try a tenth of it"
    )


def test_weights_are_kept_as_they_were() -> None:
    weights = [np.zeros(2)]
    one = EarlyStopping(settings(), weights)
    weights[0] += 1
    assert one.fit.weights[0].tolist() == [0.0, 0.0]
    one.keep(weights)
    weights[0] += 1
    assert one.fit.weights[0].tolist() == [1.0, 1.0]


def test_a_plateau_halves_the_rate_and_a_better_epoch_puts_it_off() -> None:
    one = stopping(schedule="plateau", patience=9)
    assert one.rate(0) == 0.5
    observed(one, [(0.6, 0.1), (0.5, 0.1), (0.5, 0.1), (0.7, 0.1), (0.5, 0.1), (0.5, 0.1)])
    assert one.rate(6) == 0.5
    one.observe(6, np.zeros(1), {"loss": 9.0}, {"auc": 0.5, "loss": 0.1}, 7.0)
    assert one.rate(7) == 0.25


class Prescribed:
    """Models of one weight, whose validation logits of each epoch are given beforehand.

    One label of each class: a positive logit that is the higher one ranks them rightly.

    Parameters
    ----------
    logits : [epochs, models, 2], of what is 1 and what is 0.
    """

    def __init__(self, logits: Any, rows: Sequence[int] | None = None):
        self.given = np.array(logits, dtype=float)
        count = self.given.shape[1]
        labels = np.array([[1.0], [0.0]])
        self.tasks: Sequence[Task] = [
            Task(np.arange(n), np.ones((n, 1)), np.arange(2), labels, seed=(0,))
            for n in rows or [3] * count
        ]
        self.objectives: Sequence[Objective] = [Objective()] * count
        self.values = np.zeros((count, 1))
        self.rates: list[list[float]] = [[] for _ in range(count)]
        self.epoch = 0
        self.loss = 1.0

    def weights(self, i: int) -> list[np.ndarray]:
        return [self.values[i]]

    def set_weights(self, i: int, weights: Sequence[np.ndarray]) -> None:
        self.values[i] = weights[0]

    def set_learning_rate(self, i: int, rate: float) -> None:
        self.rates[i].append(rate)

    def train_epoch(self, epoch: int) -> np.ndarray:
        assert epoch == self.epoch
        self.epoch += 1
        self.values += 1
        return np.full((2, len(self.tasks)), self.loss)

    def logits(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        if len(rows[0]) != 2:
            return [np.full((len(own), 1), 0.25) for own in rows]
        return [own[:, None] for own in self.given[max(self.epoch - 1, 0)]]


RIGHT, WRONG = [1.0, -1.0], [-1.0, 1.0]
BETTER = [2.0, -2.0]


def test_each_model_holds_the_weights_of_its_own_best_epoch() -> None:
    models = Prescribed([[WRONG, RIGHT], [RIGHT, WRONG], [WRONG, WRONG], [WRONG, BETTER]])
    fits = fitting.fit(models, settings(epochs=4, patience=3), "learning_rate")
    assert [one.best_epoch for one in fits] == [1, 3]
    assert models.values.tolist() == [[2.0], [4.0]]
    assert [one.weights[0].tolist() for one in fits] == [[2.0], [4.0]]
    assert [one.best_auc for one in fits] == [1.0, 1.0]
    assert fits[0].history[1]["val_loss"] == pytest.approx(np.log1p(np.exp(-1)))
    assert fits[0].history[1]["loss"] == 1.0 and fits[0].iterations == [1.0] * 8


def test_a_model_that_has_stopped_has_no_further_epochs_and_the_last_one_ends_the_fit() -> None:
    models = Prescribed([[RIGHT, RIGHT], *[[WRONG, BETTER], [WRONG, WRONG]], *[[WRONG] * 2] * 3])
    fits = fitting.fit(models, settings(epochs=6, patience=1), "learning_rate")
    assert [len(one.history) for one in fits] == [2, 3]
    assert [len(own) for own in models.rates] == [2, 3]
    assert models.epoch == 3


def test_models_that_are_good_already_stay_where_no_epoch_is_better() -> None:
    models = Prescribed([[RIGHT, WRONG], [WRONG, RIGHT], [WRONG, WRONG]])
    models.values += 7
    fits = fitting.fit(models, settings(epochs=3), "learning_rate", fitted=True)
    assert [one.best_epoch for one in fits] == [-1, 1]
    assert models.values.tolist() == [[7.0], [9.0]]
    assert fits[0].before["auc"] == fits[0].best_auc == 1.0


def test_a_task_without_rows_is_not_fitted() -> None:
    models = Prescribed([[RIGHT, RIGHT]] * 2, rows=[0, 3])
    fits = fitting.fit(models, settings(epochs=2), "learning_rate")
    assert (fits[0].best_epoch, fits[0].history, fits[0].iterations) == (-1, [], [])
    assert models.values.tolist() == [[0.0], [1.0]]
    nothing = Prescribed([[RIGHT]], rows=[0])
    fitting.fit(nothing, settings(), "learning_rate")
    assert nothing.epoch == 0


def test_scores_of_training_rows_are_in_the_history_where_asked() -> None:
    (one,) = fitting.fit(
        Prescribed([[RIGHT]]), settings(epochs=1, training_scores=True), "learning_rate"
    )
    (epoch,) = one.history
    assert epoch["binary_accuracy"] == 1 and np.isnan(epoch["auc"])
    # That of the steps, not of the forward pass.
    assert epoch["loss"] == 1.0


@pytest.mark.parametrize("where", ["loss", "logits"])
def test_a_fit_that_diverges_is_an_error_unless_it_has_stopped(where: str) -> None:
    broken = Prescribed([[RIGHT, RIGHT], [WRONG, BETTER], [[NAN, 1.0], BETTER]])
    fits = fitting.fit(broken, settings(epochs=3, patience=1), "learning_rate")
    assert [one.best_epoch for one in fits] == [0, 1]
    wild = Prescribed([[[np.inf, 0.0] if where == "logits" else RIGHT]])
    wild.loss = np.inf if where == "loss" else 1.0
    with pytest.raises(DivergedError, match=r"^params.yaml: a\.rate: 0\.5 .* in epoch 1"):
        fitting.fit(wild, settings(), "a.rate")


def test_rates_are_those_of_the_schedule() -> None:
    models = Prescribed([[RIGHT]] * 3)
    fitting.fit(models, settings(epochs=3, schedule="exponential", patience=9), "learning_rate")
    assert models.rates[0] == pytest.approx([0.5, 0.5 * 0.95, 0.5 * 0.95**2])
    with pytest.raises(KeyError, match="linear"):
        fitting.fit(Prescribed([[RIGHT]]), settings(schedule="linear"), "learning_rate")


def test_epochs_are_reported_where_asked(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("fitting test")
    with caplog.at_level("INFO"):
        fitting.fit(Prescribed([[RIGHT]]), settings(epochs=1), "learning_rate")
        assert not caplog.messages
        fitting.fit(Prescribed([[RIGHT]]), settings(epochs=1), "learning_rate", True, log)
    assert caplog.messages[0] == "as it begins: validation AUC 1.000"
    assert caplog.messages[1].startswith("epoch 1 of at most 1: loss 1.0000, validation AUC 1.000,")


def test_columns_of_a_task() -> None:
    cells = np.arange(6.0).reshape(2, 3)
    whole = Task(np.arange(2), cells, np.arange(2), cells + 10, seed=(1,), weights=cells + 20)
    part = whole.columns(1, 3)
    assert part.targets.tolist() == [[1, 2], [4, 5]]
    assert part.val_targets.tolist() == [[11, 12], [14, 15]]
    assert part.weights is not None and part.weights.tolist() == [[21, 22], [24, 25]]
    assert Task(np.arange(2), cells, np.arange(2), cells, seed=(1,)).columns(0, 1).weights is None


def test_scores_by_hand() -> None:
    targets = np.array([[1, 0.75, NAN], [0, 0.25, NAN], [NAN, 1, NAN]])
    logits = np.array([[2.0, -1.0, 5.0], [-2.0, -3.0, 5.0], [9.0, 1.0, 5.0]])
    found = fitting.scores(targets, logits)
    losses = np.log1p(np.exp([-2, -2, 1, -3, -1]))
    assert found["loss"] == pytest.approx(losses.mean())
    assert found["auc"] == 1
    assert found["binary_accuracy"] == pytest.approx(4 / 5)
    nothing = fitting.scores(np.full((2, 1), NAN), np.zeros((2, 1)))
    assert all(np.isnan(value) for value in nothing.values())


def test_rank_prefers_auc_then_a_small_loss_then_a_late_epoch() -> None:
    ranked = [
        fitting.rank_of({"auc": NAN, "loss": 0.5}, 9),
        fitting.rank_of({"auc": NAN, "loss": 0.4}, 0),
        fitting.rank_of({"auc": 0.6, "loss": 2.0}, 1),
        fitting.rank_of({"auc": 0.6, "loss": 1.0}, 0),
        fitting.rank_of({"auc": 0.7, "loss": 9.0}, 0),
    ]
    assert ranked == sorted(ranked)
    late = [fitting.rank_of({"auc": NAN, "loss": NAN}, epoch) for epoch in range(3)]
    assert late == sorted(late)


TARGETS = np.array([[1, 0], [0, NAN], [1, 1]], dtype="float32")
LOGITS = np.array([[2.0, -1.0], [-2.0, 5.0], [0.5, 1.0]])


def test_the_objective_without_extras_is_the_loss() -> None:
    found = fitting.objective_loss(TARGETS, LOGITS, Objective())
    assert found == pytest.approx(fitting.scores(TARGETS, LOGITS)["loss"], rel=1e-6)
    assert np.isnan(fitting.objective_loss(np.full((2, 1), NAN), np.zeros((2, 1)), Objective()))


def test_the_objective_weighted_and_focal_by_hand() -> None:
    cells = np.log1p(np.exp([-2.0, -1.0, -2.0, -0.5, -1.0]))
    weighted = fitting.objective_loss(
        TARGETS, LOGITS, Objective("weighted", positive_weight=(3.0, 0.5))
    )
    assert weighted == pytest.approx((cells * [3, 1, 1, 3, 0.5]).mean(), rel=1e-6)
    focal = fitting.objective_loss(TARGETS, LOGITS, Objective("focal"))
    assert focal == pytest.approx((cells * (1 - np.exp(-cells)) ** 2).mean(), rel=1e-6)


def test_the_objective_of_categories_is_that_of_their_softmax() -> None:
    """An even guess at four values costs log 4, not a binary column's log 2."""
    softmax = ((0, 4),)
    targets = np.eye(4, dtype="float32")
    even = categories.log_odds(np.zeros((4, 4)), softmax)
    objective = Objective(softmax=softmax)
    assert fitting.objective_loss(targets, even, objective) == pytest.approx(np.log(4), rel=1e-6)
    logits = np.random.default_rng(0).normal(size=(4, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    odds = categories.log_odds(logits, softmax)
    expected = -np.log(np.diag(shares)).mean()
    assert fitting.objective_loss(targets, odds, objective) == pytest.approx(expected, rel=1e-6)


def frame(**columns: list[float]) -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    kept = {"kept": [0.0] * (length - 1) + [1.0]}
    return pd.DataFrame({"epoch": range(1, length + 1), **kept, **columns})


def test_curves_count_from_one_and_name_categorical_attributes() -> None:
    scores = {"loss": 0.12345678, "accuracy_0": 0.5, "f1_1": 0.25, "val_auc": NAN}
    more = {"val_accuracy_0": 0.5, "val_f1_0": 0.4, "val_accuracy_1": 0.3, "val_f1_1": 0.2}
    fit = Fit(history=[{**scores, **more}] * 2)
    categorical = [Attribute("colour", ("red", "blue"), 0), Attribute("size_0", ("s", "m"), 3)]
    table = fitting.curves(fit, categorical)
    assert list(table.columns) == [
        *("epoch", "loss", "accuracy_colour", "f1_size_0", "val_auc"),
        *("val_accuracy_colour", "val_f1_colour", "val_accuracy_size_0", "val_f1_size_0"),
        "kept",
    ]
    assert table["epoch"].tolist() == [1, 2]
    assert table["loss"].tolist() == [0.123457] * 2
    assert table["val_auc"].isna().all()
    assert table["val_accuracy_size_0"].tolist() == [0.3, 0.3]


def test_curves_of_binary_attributes_stay_as_they_are() -> None:
    fit = Fit(history=[{"loss": 1.0, "binary_accuracy": 0.5, "val_binary_accuracy": 0.25}])
    table = fitting.curves(fit, [])
    assert list(table.columns) == [
        *("epoch", "loss", "binary_accuracy", "val_binary_accuracy", "kept")
    ]


@pytest.mark.parametrize(("best", "kept"), [(0, [1, 0, 0]), (2, [0, 0, 1]), (-1, [0, 0, 0])])
def test_the_kept_epoch_is_a_column(best: int, kept: list[int]) -> None:
    fit = Fit(history=[{"val_auc": 0.5}] * 3, best_epoch=best)
    assert fitting.curves(fit, [])["kept"].tolist() == kept
    assert [row["kept"] for row in fit.epochs] == kept


def test_the_mean_has_the_share_of_fits_that_kept_an_epoch() -> None:
    fits = [
        Fit(history=[{"loss": 1.0}] * epochs, best_epoch=best)
        for epochs, best in ((2, 1), (4, 1), (3, 2), (3, -1))
    ]
    table = fitting.mean([fitting.curves(fit, []) for fit in fits])
    assert table["kept"].tolist() == [0.0, 0.5, 0.25, 0.0]


def test_steps_are_numbered_from_one() -> None:
    table = fitting.steps(Fit(iterations=[0.5, 0.12345678]))
    assert list(table.columns) == ["iteration_number", "training_loss"]
    assert table.to_numpy().tolist() == [[1, 0.5], [2, 0.123457]]
    assert table["iteration_number"].dtype.kind == "i"


def test_a_fit_that_stopped_counts_with_its_last_epoch() -> None:
    short, long = frame(loss=[1.0, 0.5]), frame(loss=[3.0, 2.0, 1.0, 0.0])
    for order in ([short, long], [long, short]):
        table = fitting.mean(order)
        assert table["epoch"].tolist() == [1, 2, 3, 4]
        assert table["loss"].tolist() == [2.0, 1.25, 0.75, 0.25]


def test_the_mean_leaves_out_what_is_undefined() -> None:
    table = fitting.mean([frame(val_auc=[NAN, NAN]), frame(val_auc=[0.5, 0.75])])
    assert table["val_auc"].tolist() == [0.5, 0.75]
    nowhere = fitting.mean([frame(val_auc=[NAN]), frame(val_auc=[NAN])])
    assert nowhere["val_auc"].isna().all()
    own = fitting.mean([frame(loss=[1.0], val_f1_a=[0.5]), frame(loss=[0.0])])
    assert own[["epoch", "loss", "val_f1_a"]].to_numpy().tolist() == [[1, 0.5, 0.5]]


def test_the_mean_of_one_is_itself() -> None:
    one = frame(loss=[1.0, 0.5], val_auc=[0.25, NAN])
    pd.testing.assert_frame_equal(fitting.mean([one]), one, check_dtype=False)


def test_joined_steps_are_numbered_through() -> None:
    one = fitting.steps(Fit(iterations=[0.5, 0.25]))
    two = fitting.steps(Fit(iterations=[0.75]))
    table = fitting.joined([one, two])
    assert table["iteration_number"].tolist() == [1, 2, 3]
    assert table["training_loss"].tolist() == [0.5, 0.25, 0.75]
    assert one["iteration_number"].tolist() == [1, 2]
    assert np.array_equal(fitting.joined([one]), one)
