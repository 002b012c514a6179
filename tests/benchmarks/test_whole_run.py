"""From files to the filled table: what is scored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import whole_run
from pipeline.demo.generate import ATTRIBUTES, VISUAL_ATTRIBUTES


def test_only_hidden_cells_of_what_pictures_show_are_scored() -> None:
    images = [f"{i}.jpg" for i in range(4)]
    truth = pd.DataFrame({name: [1, 0, 1, 0] for name in ATTRIBUTES}, index=images)
    labels = truth.astype(float)
    labels.iloc[:3] = np.nan
    # The known cell would be the worst mistake, and of the coin everything is wrong.
    found = pd.DataFrame({name: [0.9, 0.5, 0.6, 1.0] for name in VISUAL_ATTRIBUTES}, index=images)
    found["coin_toss"] = [0.0, 1.0, 0.0, 1.0]
    assert whole_run.mean_precision(found, labels, truth) == 1.0
    found.loc["2.jpg", "has_hat"] = 0.4
    # Ranks 1 and 3 of three: (1 + 2 / 3) / 2.
    expected = (3 + (1 + 2 / 3) / 2) / 4
    assert whole_run.mean_precision(found, labels, truth) == pytest.approx(expected)
