"""The page without a server: sent away, answered, and taken in again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.data import answers, corrections
from pipeline.data.answers import Reading
from pipeline.errors import PipelineError
from pipeline.review import one_file
from pipeline.review.__main__ import main


@pytest.fixture
def project(
    tmp_path: Path, template: tuple[Path, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> Path:
    shutil.copytree(template[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_names_no_address_but_its_own_and_fits_a_mail(project: Path) -> None:
    main(["--export", "corrections.html"])
    text = (project / "corrections.html").read_text(encoding="utf-8")
    assert len(text.encode()) < one_file.BYTES
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", re.sub(r"base64,[\w+/=]+", "", text)) == []
    assert "connect-src" not in text  # so that none may be asked
    main(["--export", "again.html"])
    assert (project / "again.html").read_text(encoding="utf-8") == text


def test_cells_end_where_the_room_does(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--export", "small.html", "--cells", "5"])
    assert capsys.readouterr().out.startswith("small.html: 5 cells of ")
    monkeypatch.setattr(one_file, "BYTES", 20_000)
    main(["--export", "small.html"])
    assert 0 < int(re.findall(r": (\d+) cells", capsys.readouterr().out)[0]) < 40


def test_earlier_answers_of_all_lists_are_below_one_header(project: Path) -> None:
    (project / "data/corrections.csv").write_text(
        "image,attribute,value,note\nimage_005.png,colour,red,by hand\nimage_006.png,colour,?\n"
        "image,attribute,correct_value,guess,expected_correctness,queue\n"
        "image_000.png,has_hat,,1,0.7,doubtful\nimage_001.png,has_hat,0,1,0.6,doubtful\n"
    )
    main(["--export", "corrections.html"])
    text = (project / "corrections.html").read_text(encoding="utf-8")
    earlier = json.loads(re.findall(r'"earlier": ?(\[\[.*?\]\])', text)[0])
    assert earlier == [
        [*corrections.COLUMNS, *corrections.KEPT],
        ["image_005.png", "colour", "red", "", "", "", ""],
        ["image_006.png", "colour", "?", "", "", "", ""],
        ["image_001.png", "has_hat", "0", "1", "doubtful", "0.6", ""],
    ]


def test_answers_come_back_and_nothing_is_lost(project: Path, browser: Any) -> None:
    path = project / "data/corrections.csv"
    earlier = "image_005.png"
    path.write_text(f'image,attribute,value,note\n{earlier},colour,red,"by hand, once"\n')
    main(["--export", "corrections.html"])
    listed = pd.read_csv(project / "data/imputed/review.csv").query("queue == 'doubtful'")
    context = browser.new_context(offline=True, accept_downloads=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"file://{project}/corrections.html")
    page.wait_for_selector(".cell")
    for key in ("1", "0", "s", "u"):
        before = page.inner_text("#work")
        page.keyboard.press(key)
        page.wait_for_timeout(30)
        assert page.inner_text("#work") != before
    page.get_by_role("button", name="Sheet of 24").click()
    page.wait_for_selector(".tile")
    tiles = page.locator(".tile").count()
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.wait_for_timeout(50)
    page.keyboard.press("z")
    page.wait_for_timeout(50)
    page.reload()  # what is answered stays
    page.wait_for_selector(".tile")
    assert page.locator(".tile").count() == tiles
    with page.expect_download() as download:
        page.get_by_role("button", name="Save corrections.csv (3)").click()
    download.value.save_as(project / "back.csv")
    context.close()
    assert errors == []
    main(["--merge", "back.csv"])
    cells = list(zip(listed["image"], listed["attribute"], strict=True))
    said = {cells[0]: "1", cells[1]: "0", cells[3]: "?", (earlier, "colour"): "red"}
    assert answers.read(path, Reading({"colour"})) == said
    assert "by hand, once" in path.read_text()
    lines = pd.read_csv(path, dtype=str, keep_default_na=False).set_index(["image", "attribute"])
    line = lines.loc[cells[0]]
    assert (line["guess"], line["queue"]) == (str(listed["guess"].iloc[0]), "doubtful")
    assert float(line["expected_correctness"]) == listed["expected_correctness"].iloc[0]
    content = path.read_bytes()
    main(["--merge", "back.csv"])  # once more changes nothing
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("nobody.png,has_hat,1", "no image 'nobody.png' in the filled table"),
        ("image_000.png,has_hatt,1", "no attribute 'has_hatt'.*did you mean 'has_hat'"),
        ("image_000.png,has_hat,7", "row 2, column 'value': got '7'"),
        ("image_000.png,colour,yellow", "got 'yellow', expected one of blue, green, red"),
        ("image_001.png,has_hat,1\nimage_000.png,has_hat,0", "answered '1' meanwhile; nothing was"),
    ],
)
def test_what_does_not_fit_is_refused_as_a_whole(project: Path, lines: str, message: str) -> None:
    path = project / "data/corrections.csv"
    path.write_text("image,attribute,value\nimage_000.png,has_hat,1\n")
    (project / "back.csv").write_text(f"image,attribute,value\n{lines}\n")
    with pytest.raises(PipelineError, match=message):
        main(["--merge", "back.csv"])
    assert path.read_text() == "image,attribute,value\nimage_000.png,has_hat,1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--export", "page.txt"], r"--export page\.txt: expected a name that ends in \.html"),
        (["--export", "no/page.html"], r"--export no/page\.html: expected a name that ends in"),
        (["--export", "page.html", "--cells", "0"], "--cells 0: expected 1 or more"),
        (["--merge", "no.csv"], r"--merge no\.csv: no such file"),
    ],
)
def test_arguments_that_are_refused(project: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(PipelineError, match=f"^{message}"):
        main(arguments)
    assert not (project / "page.html").exists()
