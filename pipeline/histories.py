"""The course of a fit as tables: by epoch and by step."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipeline.categories import Attribute
from pipeline.fitting import Fit

CURVES, STEPS = "history.csv", "iterations.csv"


def curves(fit: Fit, categorical: Sequence[Attribute]) -> pd.DataFrame:
    """One row per epoch, counted from 1: ``epoch`` and the scores of `fitting.Fit.history`, those
    of categorical attributes by their names, as ``val_accuracy_colour``."""
    frame = pd.DataFrame(fit.history)
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

    A fit that stopped early counts with its last epoch.
    """
    last = max(len(one) for one in curves)
    whole = [one.set_index("epoch").reindex(range(1, last + 1), method="ffill") for one in curves]
    return pd.concat(whole).groupby(level=0, sort=True).mean().round(6).reset_index()


def joined(steps: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Several fits' `steps` one after the other, numbered through."""
    frame = pd.concat(steps, ignore_index=True)
    frame["iteration_number"] = range(1, len(frame) + 1)
    return frame
