"""python -m benchmarks.review: cells a minute on the review page, at a person's pace.

After `dvc repro` on the demo, drives the page in Chromium (Playwright) and answers from the labels
that the demo holds back: a second for a look at a picture, five for one at a sheet, and whatever
the page itself takes. Beside it the time that the same look takes with reports/review.csv in a
spreadsheet, by the keystroke-level model (Card, Moran and Newell 1980, Commun. ACM 23:396): the
picture is opened by typing its name, the value and a key to the next line are typed, at 0.28 s a
key. Corrections go into a temporary file. Writes benchmarks/review.csv.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.data import filled_table
from pipeline.demo import paths
from pipeline.errors import PipelineError, require_extra, run
from pipeline.files import write_csv
from pipeline.report.machine import machine
from pipeline.review import session
from pipeline.review.pictures import Pictures
from pipeline.review.server import Run, Server

RESULT = Path("benchmarks/review.csv")
LOOK, SHEET = 1.0, 5.0
KEY = 0.28
"""Seconds of an average typist for a key, by the model."""
CELLS, SHEETS = 40, 8


def main() -> None:
    require_extra("dev", {"playwright": "playwright"}, "the review page is driven with")
    from playwright.sync_api import sync_playwright

    truth = pd.read_csv(paths.TRUTH, dtype=str).set_index("image")
    names = filled_table.read().provenance["image"]
    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "corrections.csv"
        server = Server(_load(path), secrets.token_urlsafe(24), "127.0.0.1", 0, lambda: _load(path))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.goto(server.url)
        page.get_by_role("button", name="One attribute").click()
        for way, do in (("one by one", one_by_one), ("sheets of 24", by_sheets)):
            cells, seconds = do(page, truth)
            rows.append({"way": way, "cells": cells, "seconds": seconds})
        chromium.close()
        server.shutdown()
    seconds = LOOK + KEY * (names.str.len().mean() + 1 + 2)
    rows.append({"way": "reports/review.csv in a spreadsheet", "cells": 1, "seconds": seconds})
    frame = pd.DataFrame(rows)
    frame["cells_a_minute"] = (60 * frame["cells"] / frame["seconds"]).round(1)
    frame["seconds"] = frame["seconds"].round(1)
    write_csv(frame.assign(machine=machine()), RESULT)
    print(frame.to_string(index=False))


def one_by_one(page: Any, truth: pd.DataFrame) -> tuple[int, float]:
    """Cells answered and seconds for them."""
    page.wait_for_selector(".cell")
    began = time.monotonic()
    for _ in range(CELLS):
        time.sleep(LOOK)
        before = page.inner_text("#work")
        image = page.locator(".picture img").get_attribute("alt")
        page.keyboard.press(truth.loc[image, page.inner_text("h2").rstrip("?")])
        _until_other(page, before)
    return CELLS, time.monotonic() - began


def by_sheets(page: Any, truth: pd.DataFrame) -> tuple[int, float]:
    """Cells answered and seconds for them."""
    page.get_by_role("button", name="Sheet of 24").click()
    page.wait_for_selector(".tile")
    began, cells = time.monotonic(), 0
    for _ in range(SHEETS):
        time.sleep(SHEET)
        before = page.inner_text("#work")
        name, _, rest = page.inner_text("#work h2").partition(":")
        value = rest.split()[-1]
        tiles = page.locator(".tile .name").all()
        for letter, tile in zip("abcdefghijklmnopqrstuvwx", tiles):
            if truth.loc[tile.get_attribute("title"), name] != value:
                page.keyboard.press(letter)
        page.keyboard.press("Enter")
        _until_other(page, before)
        cells += len(tiles)
    return cells, time.monotonic() - began


def _load(path: Path) -> Run:
    reviewed = session.load(paths.IMAGES, path=path)
    return Run(reviewed, Pictures(paths.IMAGES, reviewed.lists.table.given.images))


def _until_other(page: Any, before: str) -> None:
    for _ in range(1000):
        if page.inner_text("#work") != before:
            return
        page.wait_for_timeout(5)
    raise PipelineError("the page does not go on")


if __name__ == "__main__":
    run(main)
