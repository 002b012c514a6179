"""What is said of odd cells fits the column that they are in."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.advice import on_values
from pipeline.data.read_table import read_table
from pipeline.errors import PipelineError

TAGS = "`python -m pipeline.readers tags` makes a column of each"
CATEGORY = "one of several values goes into categorical.columns"
LEAVE = "leave the column out with exclude"


@pytest.mark.parametrize(
    ("cells", "advice"),
    [
        (["Red|Dot", "Dot", "Red", ""], f"several tags in one cell: {TAGS}"),
        (["Red; Dot", "Dot", "1"], f"several tags in one cell: {TAGS}"),
        (["red dot clear", "red clear", "dot"], f"{CATEGORY}; of several tags {TAGS}"),
        (["Navy Blue", "Red", "Blue", "Green"] * 9, f"a column of {CATEGORY}"),
        (["Men", "Women", "", "Men", "Kids"], f"a column of {CATEGORY}"),
        (["ja", "nein", "", "ja"], f"write 1 for one and 0 for the other; or {CATEGORY}"),
        (["x", "", "", "x"], f"write 1 where it marks a picture; or {CATEGORY}"),
        ([f"shirt number {i}" for i in range(99)], f"99 different texts: {LEAVE}"),
        ([str(i) for i in range(99)], f"numbers of any size: write 1 and 0, or {LEAVE}"),
        (["0.25", "0.75", "1", "0"], "look like probabilities: cut them into 1 and 0"),
        (["-1", "1", "-1.0"], "set data.minus_one in params.yaml to negative or unknown"),
        (["-", "1", "unknown"], "empty the cells that mean unknown"),
        (["1", "0"] * 100 + ["2"], f"correct it, or {LEAVE}"),
    ],
)
def test_advice_on_a_column(tmp_path: Path, cells: list[str], advice: str) -> None:
    path = tmp_path / "t.csv"
    rows = [f'{i}.jpg,1,"{cell}"' for i, cell in enumerate(cells)]
    path.write_text("\n".join(["image,good,odd", *rows]))
    with pytest.raises(PipelineError) as caught:
        read_table(path)
    assert "column 'odd': got " in str(caught.value)
    assert advice in str(caught.value)
    assert len(str(caught.value)) < 500


def test_values_that_may_not_be_what_they_seem() -> None:
    texts = {"Red": 12, "red": 3, "dark blue": 4, "darkblue": 1, "2": 5, "2.0": 1, "-": 2}
    texts |= {"unknown": 7, "green": 9}
    assert on_values(texts) == [
        "'unknown' (7), '-' (2) count as values; empty the cells where they mean unknown",
        "'Red' (12), 'red' (3) are different values; write them alike if they mean the same",
        "'dark blue' (4), 'darkblue' (1) are different values; write them alike if they mean the "
        "same",
        "'2' (5), '2.0' (1) are different values; write them alike if they mean the same",
    ]
    assert on_values({"red": 3, "blue": 1, "10": 2, "100": 4}) == []
