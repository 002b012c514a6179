"""One table in any dialect is the same labels, or refused: never others."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.image_names import ImageNames
from pipeline.data.read_table import read_table
from pipeline.errors import PipelineError

FILES = [f"im_{i:02d}.jpg" for i in range(6)] + [f"day{i}/p {i}.png" for i in range(3)]
WORDS = {1: ["1", "True", "yes", "T", "1.0"], 0: ["0", "False", "no", "N", "0.0"]}
UNKNOWN = ["NA", "NaN", "?", "N/A", "None", "null", "<NA>", ""]
WAYS = {
    "as they are": lambda name: name,
    "no suffix": lambda name: name[:-4],
    "upper case": str.upper,
    "backslashes": lambda name: name.replace("/", "\\"),
    "a folder too many": lambda name: f"pictures/{name}",
    "./": lambda name: f"./{name}",
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dialects") / "pictures"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_dialect_is_the_same_table(pictures: Path, data: st.DataObject) -> None:
    draw = data.draw
    images = draw(st.lists(st.sampled_from(FILES), min_size=1, unique=True))
    count = draw(st.integers(1, 3))
    cells = st.lists(st.sampled_from([1, 0, None]), min_size=count, max_size=count)
    truth = [draw(cells) for _ in images]
    separator = draw(st.sampled_from([",", ";", "\t", "|", " "]))
    way = WAYS[draw(st.sampled_from(sorted(WAYS)))]
    unknown = st.sampled_from(UNKNOWN[:-1] if separator == " " else UNKNOWN)
    rows = [
        [way(image), *(draw(unknown if c is None else st.sampled_from(WORDS[c])) for c in own)]
        for image, own in zip(images, truth, strict=True)
    ]
    names = [f"has {i}, x" for i in range(count)]
    if draw(st.booleans()):
        rows.insert(0, [draw(st.sampled_from(["image", "File Name", "ID"])), *names])
        if separator != " " and draw(st.booleans()):
            rows = [["" if not i else str(i + 4), *row] for i, row in enumerate(rows)]
        if draw(st.booleans()):
            rows = [[*row[1:], row[0]] for row in rows] if len(rows[0]) == count + 1 else rows
    else:
        names = [f"Attr{i + 1}" for i in range(count)]
    text = io.StringIO()
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    csv.writer(text, delimiter=separator, lineterminator=ending).writerows(rows)
    path = pictures.parent / draw(st.sampled_from(["t.csv", "t.txt", "t.tsv"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    path.write_bytes(text.getvalue().encode(encoding))
    try:
        table = read_table(path, names=ImageNames(pictures))
    except PipelineError as error:
        assert "is unknown, expected some" in str(error)  # nothing but holes was drawn
        assert not any(cell is not None for own in truth for cell in own)
        return
    assert table.attributes == names
    order = [table.images.index(image) for image in images]
    expected = np.array([[np.nan if c is None else c for c in own] for own in truth])
    np.testing.assert_array_equal(table.values[order], expected)
