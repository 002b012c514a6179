from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.data.labels import LabelTable
from pipeline.plots import gallery


def test_items_tell_label_imputed_value_and_prediction(tmp_path: Path) -> None:
    names = [f"{i:02d}.png" for i in range(40)]
    for name in names:
        Image.new("RGB", (700, 350), (10, 20, 30)).save(tmp_path / name)
    values = np.ones((40, 2), dtype="float32")
    values[::5, 1] = np.nan
    table = LabelTable.binary(names, ["a", "b"], values, ["test"] * 40)
    test = np.arange(40)
    provenance = pd.DataFrame(
        {"image": names[::5], "attribute": "b", "value": 0, "probability": 0.25}
    )
    p = np.tile([0.9, 0.3], (40, 1))
    items = gallery.choose(table, test, provenance, p, np.array([0.5, 0.2]), tmp_path, seed=1)
    assert len(items) == gallery.SHOWN
    assert [item["name"] for item in items] == sorted(item["name"] for item in items)
    with_hole = [item for item in items if item["name"] in names[::5]]
    assert len(with_hole) == gallery.SHOWN // 2
    assert with_hole[0]["rows"] == [
        ("a", "1", "", None, "1", 0.9),
        ("b", "", "0", 0.25, "1", 0.3),
    ]
    assert items[0]["image"].shape == (160, 320, 3)
    again = gallery.choose(table, test, provenance, p, np.array([0.5, 0.2]), tmp_path, seed=1)
    assert [item["name"] for item in again] == [item["name"] for item in items]


def test_guessed_attributes_are_marked(tmp_path: Path) -> None:
    item = {"image": np.zeros((4, 4, 3), "uint8"), "name": "a.png"}
    item["rows"] = [("hat", "1", "", None, "1", 0.9), ("coin", "", "0", 0.5, "1", 0.5)]
    drawn = {}
    for guessed in ("coin", "another", ""):
        gallery.gallery([item], tmp_path / "out.png", {guessed})
        drawn[guessed] = (tmp_path / "out.png").read_bytes()
    assert drawn["coin"] != drawn["another"] == drawn[""]


def test_a_categorical_attribute_is_one_line_with_its_values(tmp_path: Path) -> None:
    colour = np.array(["red", "teal", "", ""], dtype=object)
    hat = np.array([1, 0, 1, np.nan], dtype="float32")
    names = [f"{letter}.png" for letter in "abcd"]
    for name in names:
        Image.new("RGB", (40, 20)).save(tmp_path / name)
    cells = {"hat": hat, "colour": colour}
    table = LabelTable(names, cells, ["test"] * 4, vocabulary={"colour": ("red", "blue")})
    provenance = pd.DataFrame(
        {
            "image": ["c.png", "d.png", "d.png"],
            "attribute": ["colour", "colour", "hat"],
            "value": ["blue", "", "1"],
            "probability": [0.75, 0.5, 0.6],
        }
    )
    p = np.array([[0.9, 0.8, 0.2], [0.3, 0.4, 0.6], [0.2, 0.45, 0.55], [0.6, 0.5, 0.5]])
    # Thresholds of a value's columns decide nothing.
    items = gallery.choose(
        table, np.arange(4), provenance, p, np.array([0.5, 0.99, 0.0]), tmp_path, seed=0
    )
    assert [item["rows"] for item in items] == [
        [("hat", "1", "", None, "1", 0.9), ("colour", "red", "", None, "red", 0.8)],
        [("hat", "0", "", None, "0", 0.3), ("colour", "teal", "", None, "blue", 0.6)],
        [("hat", "1", "", None, "0", 0.2), ("colour", "", "blue", 0.75, "blue", 0.55)],
        [("hat", "", "1", 0.6, "1", 0.6), ("colour", "", "", 0.5, "red", 0.5)],
    ]
