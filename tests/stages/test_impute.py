from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.data.labels import LabelTable
from pipeline.stages.impute import not_learnable

NAN = float("nan")
IMAGES = [f"{i:02d}.jpg" for i in range(20)]


def table(labels: list[float], test: int = 0) -> LabelTable:
    split = ["test" if i < test else "train" for i in range(len(labels))]
    values = np.array(labels, dtype=np.float32)[:, None]
    return LabelTable.binary(IMAGES[: len(labels)], ["shoes"], values, split)


def filled(scores: list[float]) -> Any:
    found = SimpleNamespace(auc=0.5123, p_value=0.4)
    return SimpleNamespace(learnability=[found], image_scores=np.array(scores)[:, None])


def test_too_few_labels_are_no_verdict_and_the_likeliest_images_are_named() -> None:
    shoes = table([1, 1, *[0] * 10, NAN, NAN, NAN, NAN])
    kept = np.isnan(shoes.values)
    said = not_learnable(shoes, filled([9] * 12 + [0, 3, 1, 2]), kept, 0)
    assert said == (
        "TOO FEW LABELS: 2 known positives among training images, 5 needed to test it; look first "
        "at 13.jpg, 15.jpg, 14.jpg; 4 of 4 unknown cells take its prevalence"
    )
    mirrored = table([0, *[1] * 12, NAN, NAN])
    said = not_learnable(mirrored, filled([0] * 13 + [2, -2]), np.isnan(mirrored.values), 0)
    assert said.startswith("TOO FEW LABELS: 1 known negative among")
    assert "look first at 14.jpg, 13.jpg;" in said


def test_only_training_labels_count_and_nothing_filled_is_said() -> None:
    shoes = table([1] * 5 + [1] * 4 + [0] * 8 + [NAN], test=5)
    said = not_learnable(shoes, filled([0] * 18), np.zeros((18, 1), dtype=bool), 0)
    assert said.startswith("TOO FEW LABELS: 4 known positives")
    assert said.endswith("its 1 unknown cells stay empty")


def test_an_attribute_that_was_tested_and_failed() -> None:
    coin = table([1] * 6 + [0] * 6)
    said = not_learnable(coin, filled([0] * 12), np.zeros((12, 1), dtype=bool), 0)
    assert said == (
        "NOT LEARNABLE: AUC 0.512 within folds, not told from chance (p 0.4); 0 of 0 unknown cells "
        "take its prevalence"
    )
