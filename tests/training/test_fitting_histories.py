from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.data.categories import Attribute
from pipeline.training import fitting
from pipeline.training.fitting import Fit

NAN = float("nan")


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
