"""What the command line takes; whole runs are in tests/end_to_end."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.predict import __main__ as command


def test_a_folder_s_pictures_are_rows_and_the_rest_is_counted(tmp_path: Path) -> None:
    for name in ("a.heic", "b.jpe", "notes.txt", "LICENSE"):
        (tmp_path / name).write_text("no picture's bytes")
    Image.new("RGB", (3, 2)).save(tmp_path / "c", format="PNG")
    files = command.expand([tmp_path, tmp_path / "notes.txt"])
    assert [path.name for path in files] == ["a.heic", "b.jpe", "c", "notes.txt"]
    assert command.left_out([tmp_path, tmp_path / "notes.txt"]) == 2


def test_a_folder_as_output_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "p.csv").mkdir()
    with pytest.raises(PipelineError, match=r"p\.csv: a folder, expected a file"):
        command.main([str(tmp_path), "--out", str(tmp_path / "p.csv")])
