"""A look-alike of each layout that has a reader, from its files to the filled table."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.demo import generate
from tests.end_to_end.project import NUMBER, read, repro, run
from tests.readers.layouts import LAYOUTS

pytestmark = pytest.mark.slow


def write(folder: Path, name: str) -> list[str]:
    """Pictures and files of a layout; returns the reader's arguments."""
    layout = LAYOUTS[name]
    table = generate.generate(NUMBER, seed=3)
    hat, sleeves = (generate.ATTRIBUTES.index(one) for one in ("has_hat", "has_sleeves"))
    folder.mkdir()
    labels = np.empty((NUMBER, 2))
    for number in range(NUMBER):
        truth = table.truth[number].copy()
        truth[hat] = number % 3 == 0
        labels[number] = truth[hat], truth[sleeves]
        path = folder / layout.images / layout.name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generate.jpeg(generate.picture(truth.tolist(), 3, number)))
    holes = np.random.default_rng(0).random(labels.shape) < 0.2
    return layout.write(folder, np.where(holes, np.nan, labels) if layout.unknown else labels)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_look_alike_goes_through_all_stages(project: Path, name: str) -> None:
    arguments = write(project / "set", name)
    done = run(
        *(project, sys.executable, "-m", "pipeline.readers", name, *arguments),
        *("--out", "read.csv"),
    )
    assert done.returncode == 0, done.stderr
    line = done.stdout.split("next: ")[1]
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["categorical"]["columns"] = None
    for word in shlex.split(line):
        if found := re.fullmatch(r"([a-z_.]+)=(.+)", word):
            section, key = found[1].split(".")
            content[section][key] = found[2]
    (project / "params.yaml").write_text(yaml.safe_dump(content))
    assert "evaluate" in repro(project)
    filled = read(project / "data/imputed/labels.csv")
    assert len(filled) == NUMBER
    assert filled[filled.columns[2:4]].isin(["0", "1"]).all(axis=None)
    given = read(project / "data/clean/labels.csv")
    known = given[given.columns[2:]] != ""
    assert (filled[filled.columns[2:]] == given[given.columns[2:]])[known].sum().sum() == (
        known.sum().sum()
    )
