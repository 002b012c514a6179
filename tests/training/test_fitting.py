from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.training import schedules
from pipeline.training.fitting import Course, DivergedError, Settings

NONE = float("nan")


def course(**more: object) -> Course:
    settings = Settings(
        **{"epochs": 9, "batch_size": 4, "learning_rate": 0.5, "patience": 2} | more  # type: ignore[arg-type]
    )
    return Course(settings, [np.zeros(2)])


def run(one: Course, scores: list[tuple[float, float]]) -> list[bool]:
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
    one = course()
    assert run(one, [(0.6, 0.1), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8), (0.65, 0.0)]) == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert one.fit.best_epoch == 2
    assert one.fit.weights[0].tolist() == [3.0, 3.0]


def test_the_loss_decides_alone_where_no_auc_is_defined() -> None:
    one = course()
    assert run(one, [(NONE, 0.5), (NONE, 0.6), (NONE, 0.4)]) == [True, False, True]
    # Without any validation label, the last epoch is the best.
    assert run(course(), [(NONE, NONE)] * 4) == [True] * 4


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_a_fit_ends_after_its_patience(patience: int) -> None:
    one = course(patience=patience)
    done = run(one, [(0.6, 0.1), (0.9, 0.1), *[(0.5, 0.1)] * 6])
    # Without patience not even the second epoch is tried.
    best = 1 if patience else 0
    assert one.fit.best_epoch == best
    assert len(done) == best + 1 + patience


def test_the_history_names_what_is_of_validation() -> None:
    one = course()
    run(one, [(0.6, 0.1), (0.7, 0.2)])
    assert one.fit.history == [
        {"loss": 9.0, "val_auc": 0.6, "val_loss": 7.0},
        {"loss": 9.0, "val_auc": 0.7, "val_loss": 7.0},
    ]
    assert one.fit.iterations == [0.5, 1.5]


def test_where_no_epoch_is_better_the_beginning_stays() -> None:
    one = course()
    one.begin({"auc": 0.9, "loss": 0.1})
    assert run(one, [(0.8, 0.1), (0.85, 0.1), (0.7, 0.1)]) == [False, False]
    assert (one.fit.best_epoch, one.fit.best_auc) == (-1, 0.9)
    assert one.fit.weights[0].tolist() == [0.0, 0.0]
    other = course()
    other.begin({"auc": 0.6, "loss": 0.1})
    assert run(other, [(0.5, 0.1), (0.7, 0.1)]) == [False, True]
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
    one = Course(Settings(1, 1, 0.1, 1), weights)
    weights[0] += 1
    assert one.fit.weights[0].tolist() == [0.0, 0.0]
    one.keep(weights)
    weights[0] += 1
    assert one.fit.weights[0].tolist() == [1.0, 1.0]


def test_a_plateau_halves_the_rate_and_a_better_epoch_puts_it_off() -> None:
    one = course(schedule=schedules.PLATEAU, patience=9)
    assert one.rate(0) == 0.5
    run(one, [(0.6, 0.1), (0.5, 0.1), (0.5, 0.1), (0.7, 0.1), (0.5, 0.1), (0.5, 0.1)])
    assert one.rate(6) == 0.5
    one.observe(6, np.zeros(1), {"loss": 9.0}, {"auc": 0.5, "loss": 0.1}, 7.0)
    assert one.rate(7) == 0.25
