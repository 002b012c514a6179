from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import partial_labels
from benchmarks.datasets import Dataset


def test_labels_that_go_together_are_worth_more_than_the_picture() -> None:
    rng = np.random.default_rng(0)
    images = 240
    first = rng.integers(0, 2, images)
    labels = np.stack([first, np.where(rng.random(images) < 0.95, first, 1 - first)], axis=1)
    features = (0.5 * labels + rng.normal(size=(images, 2))).astype(np.float32)
    data = Dataset(
        "made",
        [f"{i}.jpg" for i in range(images)],
        ["a", "b"],
        labels.astype(np.float32),
        features,
        np.zeros(images, np.float32),
        Path(),
    )
    found = {row["method"]: row for row in partial_labels.compare(data, 0.3, seed=0)}
    methods = ["picture", "picture and labels", "imputation, image only", "imputation"]
    assert list(found) == methods
    assert float(found["picture and labels"]["ap"]) > float(found["picture"]["ap"]) + 0.05
    assert float(found["picture and labels"]["brier"]) < float(found["picture"]["brier"])
