"""What people found against what was promised, by hand; and that it is no matter of the list."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from pipeline.data import corrections
from pipeline.data.categories import Attribute
from pipeline.data.labels import LabelTable
from pipeline.impute.audit_by_people import COLUMNS, Gain, gain, in_words, table
from pipeline.impute.review import AUDIT, DOUBTFUL, draw_probability, drawn_with

NAN = float("nan")


def account(rows: list[tuple]) -> pd.DataFrame:
    names = ["image", "attribute", "value", "guess", "expected_correctness", "queue"]
    frame = pd.DataFrame(rows, columns=[*names, "listed_probability"])
    return frame.assign(given="")


def test_figures_by_hand() -> None:
    out = table(
        account(
            [
                ("a", "hat", "1", "1", 0.6, DOUBTFUL, 1.0),
                ("b", "hat", "0", "1", 0.5, DOUBTFUL, 1.0),
                ("c", "bag", "0", "0", 0.7, DOUBTFUL, 1.0),
                ("d", "hat", "1", "1", 0.9, AUDIT, 0.1),
                ("e", "hat", "0", "1", 0.8, AUDIT, 0.5),
                ("f", "hat", "1", "", NAN, "", NAN),
            ]
        )
    )
    assert tuple(out.columns) == COLUMNS
    assert out[["queue", "attribute"]].to_numpy().tolist() == [
        [DOUBTFUL, ""], [DOUBTFUL, "bag"], [DOUBTFUL, "hat"], [AUDIT, ""], [AUDIT, "hat"],
    ]  # fmt: skip
    assert out["looked_at"].tolist() == [3, 1, 2, 2, 2]
    assert out["wrong"].tolist() == [1, 0, 1, 1, 1]
    assert out["found"].tolist() == pytest.approx([2 / 3, 1, 1 / 2, 10 / 12, 10 / 12])
    assert out["promised"].tolist() == pytest.approx([0.6, 0.7, 0.55, 10.6 / 12, 10.6 / 12])
    ends = binomtest(2, 3).proportion_ci(0.95)
    assert out.loc[0, ["found_low", "found_high"]].tolist() == pytest.approx([ends.low, ends.high])
    assert set(out["holds"]) == {"yes"}
    assert len(table(account([]))) == 0


def test_a_broken_promise_is_told() -> None:
    rows = [(str(i), "hat", "0", "1", 0.95, AUDIT, 0.2) for i in range(20)]
    assert set(table(account(rows))["holds"]) == {"no"}


def test_the_audit_is_right_whatever_cells_are_likelier_to_be_drawn() -> None:
    rng = np.random.default_rng(0)
    correctness = 0.5 + 0.5 * rng.random(3000)
    found, plain, inside = [], [], 0
    for _ in range(100):
        right = rng.random(3000) < correctness
        chance = draw_probability(correctness, 120)
        drawn = drawn_with(chance, rng)
        rows = [
            (str(i), "hat", "1", "1" if right[i] else "0", correctness[i], AUDIT, chance[i])
            for i in drawn
        ]
        row = table(account(rows)).iloc[0]
        found.append(row["found"] - right.mean())
        plain.append(right[drawn].mean() - right.mean())
        inside += row["found_low"] <= right.mean() <= row["found_high"]
    assert abs(np.mean(found)) < 0.012
    assert np.mean(plain) < -0.012
    assert inside >= 87


def test_what_looks_brought() -> None:
    labels = np.array([[1.0, 0, 1], [0, 1, 0], [NAN, NAN, NAN], [NAN, 1, 0]])
    filled: Any = SimpleNamespace(
        audit=pd.DataFrame({"accuracy": [0.8, NAN, NAN]}),
        categorical=pd.DataFrame({"attribute": ["colour"], "accuracy": [0.5]}),
        kept=np.ones((4, 3), dtype=bool),
        probability=np.array([[0.2, 0.9, 0.1]] * 4),
        threshold=np.full(3, 0.5),
    )
    attributes = [Attribute("hat", (), 0), Attribute("colour", ("red", "blue"), 1)]
    images = list("abcd")
    said = account(
        [
            ("a", "hat", "1", "1", 0.7, DOUBTFUL, 1.0),
            ("b", "hat", "0", "1", 0.6, DOUBTFUL, 1.0),
            # Without a record the guess is what the models say: red.
            ("a", "colour", "blue", "", NAN, "", NAN),
            ("elsewhere", "hat", "0", "1", 0.6, DOUBTFUL, 1.0),
        ]
    )
    known = said.iloc[[0]].assign(image="d", given="0")
    out = gain(filled, labels, images, attributes, pd.concat([said, known]))
    right = 3 + 2 * 0.8 + 1 * 0.5
    assert (out.looked_at, out.wrong) == (3, 2)
    assert (out.now, out.before) == pytest.approx((right / 6, (right - 2) / 6))
    assert in_words(out) == [
        "you looked at 3 cells: 2 guesses were wrong; the table is now expected to be right in "
        "0.850 (was 0.517)"
    ]
    nobody = gain(filled, labels, images, attributes, said.head(0))
    assert (nobody.looked_at, nobody.wrong) == (0, 0)
    assert in_words(nobody) == []
    assert in_words(Gain(0, 0, NAN, NAN)) == []


def test_a_list_saved_by_pandas_is_compared_as_it_was(tmp_path: Path) -> None:
    lines = ("a,hat,,1,0.6,doubtful,1", "b,hat,,0,0.7,doubtful,1", "c,hat,,1,0.9,audit,0.1")
    names = "image,attribute,correct_value,guess,expected_correctness,queue,listed_probability"
    (tmp_path / "review.csv").write_text("\n".join([names, *lines]))
    review = pd.read_csv(tmp_path / "review.csv")
    review["correct_value"] = [1, 1, 1]
    by_hand = pd.DataFrame([{"image": "d", "attribute": "hat", "correct_value": 0}])
    pd.concat([review, by_hand]).to_csv(tmp_path / "corrections.csv", index=False)
    assert "a,hat,1,1.0," in (tmp_path / "corrections.csv").read_text()
    said = corrections.read(tmp_path / "corrections.csv")
    unknown = LabelTable.binary(list("abcd"), ["hat"], np.full((4, 1), NAN), ["train"] * 4)
    out = table(corrections.account(unknown, said))
    assert out[["queue", "attribute", "looked_at", "wrong"]].to_numpy().tolist() == [
        [DOUBTFUL, "", 2, 1], [DOUBTFUL, "hat", 2, 1], [AUDIT, "", 1, 0], [AUDIT, "hat", 1, 0],
    ]  # fmt: skip
