"""The look that the reports' pictures share."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.plots import style


def test_short_leaves_short_names_alone():
    assert style.short("hat") == "hat"
    assert style.short("x" * style.LONGEST_NAME) == "x" * style.LONGEST_NAME


def test_short_keeps_both_ends():
    assert style.short("images/very/deep/folder/person_000123.jpg", 20) == "images/ve…000123.jpg"
    assert len(style.short("y" * 99)) == style.LONGEST_NAME


@pytest.mark.parametrize(
    ("count", "most", "columns"), [(0, 8, 1), (1, 8, 1), (8, 8, 8), (9, 8, 5), (40, 8, 8)]
)
def test_grids_have_even_rows(count, most, columns):
    assert style.columns_of(count, most) == columns


def test_pyplot_takes_no_part():
    code = "import sys, pipeline.plots.evaluation; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_picture_leaves_no_spare_panel_visible(tmp_path):
    with style.picture(tmp_path / "a.png", 4, 3, "title") as figure:
        axes = style.grid(figure, 5, 3)
        assert len(axes) == 5
        assert [a.axison for a in figure.axes] == [True] * 5 + [False]
