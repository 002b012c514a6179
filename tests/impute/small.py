"""Imputations small enough for tests."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from pipeline.impute import image_scores, imputer, label_models, linear_models
from pipeline.impute.imputer import Imputation, Imputer, Settings, Table
from pipeline.impute.label_models import ClassModels

PENALTIES = {"logistic": (3e-3, 3e-2), "ridge": (1e3, 1e2)}


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Two penalties and one small latent class model."""
    models = {n: make for n, make in label_models.LABEL_MODELS.items() if "classes" not in n}
    patch.setattr(
        label_models, "LABEL_MODELS", models | {"3 classes": partial(ClassModels, classes=3)}
    )
    patch.setattr(linear_models, "PENALTIES", PENALTIES)


def impute(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    settings: Settings | None = None,
    **known: Any,
) -> Imputation:
    """``known`` of `Table`."""
    of_seed = replace(settings or Settings(), seed=seed)
    return Imputer(of_seed).fill(Table(features, labels, **known))


def fix_penalties(patch: pytest.MonkeyPatch) -> None:
    """All labels together choose penalties: what is left must not see a cell's own."""
    patch.setattr(
        image_scores,
        "choose_penalties",
        lambda paths, y, fold, scaled: ([1] * y.shape[1], [0.5] * y.shape[1]),
    )


def candidates_of(patch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    """The named candidates of every stack of a table, in order."""
    seen: list[dict[str, np.ndarray]] = []
    original = imputer.cross_stack

    def spy(candidates: dict[str, np.ndarray], labels: np.ndarray, fold: np.ndarray) -> Any:
        seen.append(dict(candidates))
        return original(candidates, labels, fold)

    patch.setattr(imputer, "cross_stack", spy)
    return seen
