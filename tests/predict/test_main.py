"""What the command line takes; whole runs are in tests/end_to_end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import runtime
from pipeline.errors import PipelineError
from pipeline.impute.completion import Completion
from pipeline.impute.decisions import Decisions
from pipeline.predict import __main__ as command
from tests.predict.test_pictures import Mean


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


@pytest.fixture
def classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures in ``photos`` of the current folder, and a classifier that says how bright they are;
    other labels tell it nothing."""
    judged = Decisions.judged_by([0.5], np.array([[0.2], [0.8]]), np.array([[0.0], [1.0]]))
    monkeypatch.setattr(command, "Predictor", lambda folder: Mean())
    monkeypatch.setattr(command, "read_completion", lambda folder: Completion(None, judged, None))
    monkeypatch.setattr(runtime, "prepare", lambda seed: None)
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name, level in (("dark", 0), ("light", 255)):
        Image.new("RGB", (4, 4), (level,) * 3).save(f"photos/{name}.png")
    return tmp_path


def written(folder: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(folder).iterdir()}


@pytest.mark.parametrize(
    ("labels", "out"),
    [
        ("mine/labels.csv", "mine"),
        ("mine/provenance.csv", "mine/../mine"),
        ("mine/pictures.csv", "mine"),
        ("mine/linked.csv", "mine"),
        ("mine/labels.csv", "mine/labels.csv"),
    ],
)
@pytest.mark.usefixtures("classifier")
def test_the_labels_given_are_not_replaced(labels: str, out: str) -> None:
    Path("mine").mkdir()
    Path("mine/linked.csv").symlink_to("labels.csv")
    Path("mine/labels.csv").write_text("image,bright\ndark,1\n")
    with pytest.raises(PipelineError) as caught:
        command.main(["photos", "--labels", labels, "--out", out])
    assert str(caught.value) == (
        f"--out {Path(out)}: would replace {labels}, which --labels names; choose another name"
    )
    assert Path("mine/labels.csv").read_text() == "image,bright\ndark,1\n"


@pytest.mark.usefixtures("classifier")
def test_tables_that_were_not_predicted_are_not_replaced() -> None:
    Path("p.csv").write_text("image,bright\ndark,1\n")
    Path("data/imputed").mkdir(parents=True)
    Path("linked").symlink_to("data/imputed")
    for out in ("data/imputed", "linked", "data/imputed/labels.csv"):
        with pytest.raises(PipelineError, match="of the table that the pipeline fills"):
            command.main(["photos", "--labels", "p.csv", "--out", out])
    Path("mine").mkdir()
    Path("mine/labels.csv").write_text("mine")
    with pytest.raises(
        PipelineError, match=r"mine/labels\.csv without provenance\.csv is no table"
    ):
        command.main(["photos", "--labels", "p.csv", "--out", "mine"])
    assert written("mine") == {"labels.csv": "mine"}
    assert written("data/imputed") == {}


@pytest.mark.usefixtures("classifier")
def test_an_earlier_output_stays_where_nothing_could_be_read() -> None:
    Path("good.csv").write_text("good")
    with pytest.raises(PipelineError, match=r"^nope: no such file or folder"):
        command.main(["nope", "gone.png", "--out", "good.csv"])
    Path("broken.png").write_bytes(b"")
    Path("p.csv").write_text("image,bright\nbroken,1\n")
    for out in (["good.csv"], ["good.csv", "--labels", "p.csv"], ["new", "--labels", "p.csv"]):
        with pytest.raises(PipelineError, match=r"^broken\.png: empty_file: .* 2 of 2 pictures"):
            command.main(["broken.png", "gone.png", "--out", *out])
    assert Path("good.csv").read_text() == "good"
    assert not Path("new").exists()


@pytest.mark.usefixtures("classifier")
def test_what_came_out_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["photos", "--out", "p.csv"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "p.csv: 2 pictures"
    assert command.main(["photos", "gone.png", "--out", "p.csv"]) == 1
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "1 of 3 pictures could not be read",
        "p.csv: 2 pictures",
    ]
    assert command.main(["photos"]) == 0
    assert "pictures" not in capsys.readouterr().err


@pytest.mark.usefixtures("classifier")
def test_a_folder_has_labels_provenance_and_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/gone.png").symlink_to("nowhere")
    Path("p.csv").write_text("image,bright\ndark,1\ngone,0\n")
    command_line = ["photos", "--labels", "p.csv", "--out", "filled"]
    assert command.main(command_line) == 1
    assert written("filled") == {
        "labels.csv": "image,bright\ndark.png,1\ngone.png,0\nlight.png,1\n",
        "provenance.csv": "image,attribute,value,probability,evidence,expected_correctness\n"
        "light.png,bright,1,1.0,picture,0.666667\n",
        "pictures.csv": "image,error,unlike_training\n"
        "dark.png,,\ngone.png,unreadable: No such file or directory,\nlight.png,,\n",
    }
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("none: other labels were found to say nothing beyond the picture")
    assert said[-3:] == [
        "1 of 3 pictures could not be read",
        "filled: 2 pictures",
        "in their rows 1 known labels are kept and 1 cells told, 0 of them from labels, too",
    ]
    assert command.main(command_line) == 1, "an earlier prediction is replaced"


@pytest.mark.usefixtures("classifier")
def test_labels_are_read_as_the_project_s_table(
    write_params: Callable[[dict[str, Any]], Path],
) -> None:
    Path("p.csv").write_bytes("image,bright\né,1\n".encode("latin-1"))
    with pytest.raises(PipelineError, match="not UTF-8"):
        command.main(["photos", "--labels", "p.csv"])
    keys = {"encoding": "latin-1", "minus_one": "negative", "blank": "negative"}
    write_params({f"data.{key}": value for key, value in keys.items()} | {"data.image_column": "a"})
    Path("q.csv").write_bytes("image,bright\ndark,-1\nlight,\n# é,1\n".encode("latin-1"))
    assert command.main(["photos", "--labels", "q.csv", "--out", "filled"]) == 0
    assert written("filled")["labels.csv"] == "image,bright\ndark.png,0\nlight.png,1\n"
    Path("q.csv").write_text("a,bright\nlight,0\n")
    assert command.main(["photos", "--labels", "q.csv", "--out", "filled"]) == 0
    assert written("filled")["labels.csv"] == "image,bright\ndark.png,0\nlight.png,0\n"
