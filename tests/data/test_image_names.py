"""Names of a table that are not those of the files to the letter: resolved, or named."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.image_names import ImageNames

NFC, NFD = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
FILES = (
    *("day0/a.jpg", "day0/b.JPG", "day1/a.jpg", "day1/c.png", f"day1/{NFD}.jpg"),
    *("root.jpg", "twice.jpg", "twice.png", "masks/d.png", "photos/d.jpg", "deep/in/it/e.jpg"),
    *("Big.jpg", "big.jpg", "notes.txt", ".hidden.jpg", "no_suffix", "day0/x.y.jpeg"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


RESOLVED = {
    "day0/a.jpg": ("day0/a.jpg", ""),
    "./day0//a.jpg": ("day0/a.jpg", "path written otherwise"),
    "day0\\a.jpg": ("day0/a.jpg", "backslashes"),
    ".\\DAY0\\a": ("day0/a.jpg", "backslashes, suffix, case"),
    "day0/a": ("day0/a.jpg", "suffix"),
    "day0/a.PNG": ("day0/a.jpg", "suffix"),
    "day0/A.JPG": ("day0/a.jpg", "case"),
    "day0/b.jpg": ("day0/b.JPG", "case"),
    "b": ("day0/b.JPG", "folder, suffix"),
    "c.png": ("day1/c.png", "folder"),
    f"day1/{NFC}.jpg": (f"day1/{NFD}.jpg", "Unicode form"),
    f"{NFC}.JPG": (f"day1/{NFD}.jpg", "folder, case"),
    "day0/day0/a.jpg": ("day0/a.jpg", "folder"),
    "pictures/day0/a.jpg": ("day0/a.jpg", "folder"),
    "pictures/root": ("root.jpg", "folder, suffix"),
    "deep/it/e.jpg": ("deep/in/it/e.jpg", "folder"),
    "e.jpg": ("deep/in/it/e.jpg", "folder"),
    "d.jpg": ("photos/d.jpg", "folder"),
    "day0/x.y": ("day0/x.y.jpeg", "suffix"),
    "no_suffix.png": ("no_suffix", "suffix"),
    "big.jpg": ("big.jpg", ""),
}
LEFT = {
    "d": ("ambiguous", "'d': fits masks/d.png, photos/d.jpg; write the path"),
    "a.jpg": ("ambiguous", "'a.jpg': fits day0/a.jpg, day1/a.jpg; write the path"),
    "twice": ("ambiguous", "'twice': fits twice.jpg, twice.png; write the path"),
    "BIG.jpg": ("ambiguous", "'BIG.jpg': fits Big.jpg, big.jpg; write the path"),
    "rooot.jpg": ("missing", "'rooot.jpg': no such file; the nearest is root.jpg"),
    "day2/xyz.jpg": ("missing", "'day2/xyz.jpg': no such file; none is alike"),
    "day3/c.png": ("missing", "'day3/c.png': no such file; the nearest is day1/c.png"),
    "hidden": ("missing", "'hidden': no such file; none is alike"),
    "notes": ("missing", "'notes': no such file; none is alike"),
    "/elsewhere/day0/a.jpg": ("outside_folder", "'/elsewhere/day0/a.jpg': an absolute path else"),
    "C:\\day0\\a.jpg": ("outside_folder", "an absolute path elsewhere"),
    "a\0b": ("missing", "NUL"),
}


@pytest.mark.parametrize("name", RESOLVED)
def test_resolves_where_exactly_one_file_fits(folder: Path, name: str) -> None:
    found = ImageNames(folder).locate([name])[name]
    assert (found.file, found.how) == RESOLVED[name]
    assert found.problem is None


@pytest.mark.parametrize("name", LEFT)
def test_never_guesses(folder: Path, name: str) -> None:
    names = ImageNames(folder)
    found = names.locate([name, "root.jpg"])[name]
    assert found.file == name
    assert found.problem is not None
    reason, detail = found.problem
    assert reason == LEFT[name][0]
    assert LEFT[name][1] in detail
    assert not names.exists(name)


def test_absolute_paths_below_the_folder_and_links(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    for root in (folder, tmp_path / "link", Path(f"{folder}/../link")):
        names = ImageNames(root)
        name = f"{folder.resolve()}/day0/a.jpg"
        assert names.locate([name])[name].file == "day0/a.jpg"
        assert names.found[name].how == "absolute path"
        assert names.exists(f"{folder.resolve()}/day0/a")


def test_names_that_lead_out_are_left_to_be_refused(folder: Path) -> None:
    (folder.parent / "out.jpg").touch()
    found = ImageNames(folder).locate(["../out.jpg", "day0/../../out.jpg", "day0/../root.jpg"])
    reasons = [one.problem[0] if one.problem else None for one in found.values()]
    assert reasons == ["outside_folder", "outside_folder", None]


def test_a_file_that_two_names_fit_is_given_to_neither(folder: Path) -> None:
    names = ImageNames(folder)
    found = names.locate(["day1/c", "c.png", "root.jpg", "ROOT.jpg", "day0/b", "day0\\b.JPG"])
    assert found["day1/c"].problem == (
        "ambiguous", "'day1/c': fits day1/c.png, but so does 'c.png'; write the path"
    )  # fmt: skip
    assert found["c.png"].problem is not None
    assert found["root.jpg"].problem is None
    assert found["ROOT.jpg"].problem is not None
    assert found["day0/b"].problem is not None
    assert found["day0\\b.JPG"].file == "day0/b.JPG"
    assert names.exists("c.png"), "alone it fits one file"


def test_two_spellings_of_one_path_are_one_image(folder: Path) -> None:
    found = ImageNames(folder).locate(["day0/a.jpg", "./day0/a.jpg", "day0\\a.jpg"])
    assert {one.file for one in found.values()} == {"day0/a.jpg"}


def test_a_backslash_may_belong_to_a_name(folder: Path) -> None:
    (folder / "odd\\name.jpg").touch()
    found = ImageNames(folder).locate(["odd\\name.jpg"])["odd\\name.jpg"]
    assert (found.file, found.how) == ("odd\\name.jpg", "")


PART = st.text("abAB.", min_size=1, max_size=2)
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join)


@given(files=st.sets(PATH, max_size=6), name=PATH)
def test_what_is_resolved_is_a_file(
    tmp_path_factory: pytest.TempPathFactory, files: set[str], name: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for one in files:
        path = folder / f"{one}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if ".." not in one.split("/") and not path.exists():
            path.touch()
    found = ImageNames(folder).locate([name])[name]
    if found.problem is None:
        assert (folder / found.file).exists()
    else:
        assert found.file == name
        assert found.problem[1]
    if found.how:
        assert (folder / found.file).exists()  # a folder is refused when it is opened
