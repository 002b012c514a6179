from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pipeline import samples
from pipeline.labels import LabelTable


def test_items_tell_label_imputed_value_and_prediction(tmp_path: Path) -> None:
    names = [f"{i:02d}.png" for i in range(40)]
    for name in names:
        Image.new("RGB", (700, 350), (10, 20, 30)).save(tmp_path / name)
    values = np.ones((40, 2), dtype="float32")
    values[::5, 1] = np.nan
    table = LabelTable(names, ["a", "b"], values, ["test"] * 40)
    test = np.arange(40)
    provenance = pd.DataFrame(
        {"image": names[::5], "attribute": "b", "value": 0, "probability": 0.25}
    )
    p = np.tile([0.9, 0.3], (40, 1))
    items = samples.choose(table, test, provenance, p, np.array([0.5, 0.2]), tmp_path, seed=1)
    assert len(items) == samples.SHOWN
    assert [item["name"] for item in items] == sorted(item["name"] for item in items)
    with_hole = [item for item in items if item["name"] in names[::5]]
    assert len(with_hole) == samples.SHOWN // 2
    assert with_hole[0]["rows"] == [
        ("a", "1", "", None, "1", 0.9),
        ("b", "", "0", 0.25, "1", 0.3),
    ]
    assert items[0]["image"].shape == (160, 320, 3)
    again = samples.choose(table, test, provenance, p, np.array([0.5, 0.2]), tmp_path, seed=1)
    assert [item["name"] for item in again] == [item["name"] for item in items]
