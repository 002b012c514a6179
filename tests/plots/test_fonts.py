"""Names in scripts that the default font lacks."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.plots import fonts
from pipeline.plots.style import picture

NOWHERE = "\U000f1234"
"""In no font: a private character."""


def pixels(path: Path, text: str) -> np.ndarray:
    with picture(path, 3, 1, text):
        pass
    return np.asarray(Image.open(path))


def test_letters_that_no_font_has_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for number in range(2):
        pixels(tmp_path / f"{number}.png", f"hat {NOWHERE}")
    told = [record.getMessage() for record in caplog.records if record.name == "plots"]
    assert len(told) == 1
    assert f"no installed font has {NOWHERE}" in told[0]


def test_plain_names_take_the_default_font_alone() -> None:
    assert fonts.families(["has_hat", "\u00fcber \u0394 \u0416"]) == [fonts.DEFAULT]


def test_a_font_that_has_the_letters_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the fonts that matplotlib brings there is a letter that the default one lacks."""
    found = fonts.families(["\ufb01\u2a00\U0001d7cf"])
    assert found[0] == fonts.DEFAULT
    lacking = next(
        (c for c in map(chr, range(0x2A00, 0x2B00)) if len(fonts.families([c])) > 1), None
    )
    if lacking is None:
        pytest.skip("every other font here has no more letters than the default one")
    shown = pixels(tmp_path / "a.png", lacking * 5)
    monkeypatch.setattr(fonts, "families", lambda texts: [fonts.DEFAULT])
    boxes = pixels(tmp_path / "b.png", lacking * 5)
    assert (shown != boxes).any()
