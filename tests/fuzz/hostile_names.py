"""python -m tests.fuzz.hostile_names FOLDER: 74 pictures and a table of 26 attributes whose names
are formulas, paths, markup, format strings, options, quotes and letters of many scripts; `dvc
repro` in a copy of the project with its two files shows that they come out as they went in."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

PICTURES = 74
ATTRIBUTES = (
    *("=1+1", "@SUM(1)", "+x", "-x", "=cmd|' /C calc'!A0", "{0}", "{x!r}", "%s", "%(a)d", "$HOME"),
    *("a,b", 'a"b', "a'b", "a;b", "a|b", "a b", "<b>x</b>", "<script>alert(1)</script>", "&amp;"),
    *("../up", "--help", "#x", "Ünï", "é", "日本語", "عربي"),
)
SCRIPTS = (
    "",
    "é",
    "日本",
    "ع",
    "Ω",
    "😀",
    "=1+1",
    "@a",
    "a,b",
    "a'b",
    'a"b',
    "a b",
    "<b>",
    "%s",
    "{0}",
)


def names() -> list[str]:
    """Of the pictures, each once; a third of them in folders."""
    stems = [f"{SCRIPTS[i % len(SCRIPTS)]}{i}" for i in range(PICTURES)]
    return [f"{'sub dir/' if i % 3 == 0 else ''}{stem}.png" for i, stem in enumerate(stems)]


def write(folder: Path) -> None:
    """``labels.csv`` and ``images/``: each attribute is how bright one part of the picture is."""
    rng = np.random.default_rng(0)
    shown = rng.random((PICTURES, len(ATTRIBUTES))) < 0.5
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["image", *ATTRIBUTES])
        for name, row in zip(names(), shown, strict=True):
            pixels = rng.integers(0, 60, (36, 36, 3), dtype=np.uint8)
            for place in np.flatnonzero(row):
                y, x = 6 * (place // 6), 6 * (place % 6)
                pixels[y : y + 6, x : x + 6] += 150
            path = folder / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            known = rng.random(len(row)) < 0.8
            table.writerow([name, *(int(v) if k else "" for v, k in zip(row, known, strict=True))])


if __name__ == "__main__":
    write(Path(sys.argv[1]))
