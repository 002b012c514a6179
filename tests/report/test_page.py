"""The page of a finished run, made by its stage."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import finished
from pipeline.errors import PipelineError
from pipeline.stages import report
from tests.report.html import Element, check_addresses, check_figures, parse

HOSTILE = ['<img src="https://a.b/x.png" onerror="alert(1)">', "NA", "{{ 7 * 7 }}"]


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> Path:
    monkeypatch.chdir(root)
    finished.write(tmp_path / "run", 60, ["hat", "trousers", "coin"], unknown=0.3)
    monkeypatch.chdir(tmp_path / "run")
    return tmp_path / "run"


def page() -> str:
    report.main()
    return Path("reports/report.html").read_text(encoding="utf-8")


def test_it_opens_without_anything_beside_it(run_folder: Path) -> None:
    html = page()
    check_addresses(html)
    assert html.startswith("<!DOCTYPE html>")
    assert "default-src 'none'" in html


def test_its_figures_are_those_of_the_files(run_folder: Path) -> None:
    assert check_figures(page(), run_folder) > 40


def test_the_same_run_gives_the_same_bytes(run_folder: Path) -> None:
    assert page() == page()


def test_counts_of_the_beginning_add_up(run_folder: Path) -> None:
    root = parse(page())
    tiles = [one for one in root.all("li") if "tile" in one.attributes.get("class", "").split()]
    numbers = [int(next(tile.all("p")).text.replace(",", "")) for tile in tiles]
    provenance = pd.read_csv("data/imputed/provenance.csv")
    assert sum(numbers) == len(provenance)
    assert next(root.all("h1")).text == f"{len(provenance)} unknown cells of 60 images filled"
    guesses = int((provenance["attribute"] == "coin").sum())
    assert numbers[-1] == guesses


def test_names_are_text_whatever_they_look_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(root)
    finished.write(tmp_path / "run", 60, HOSTILE, unknown=0.3)
    monkeypatch.chdir(tmp_path / "run")
    html = page()
    check_addresses(html)
    tree = parse(html)
    assert {one.text for one in tree.all("option")} >= set(HOSTILE)
    assert not [one for one in tree.all() if any(a.startswith("on") for a in one.attributes)]
    assert check_figures(html, tmp_path / "run") > 40


def test_a_screen_reader_finds_its_way(run_folder: Path) -> None:
    tree = parse(page())
    assert next(tree.all("html")).attributes["lang"] == "en"
    levels = [int(one.tag[1]) for one in tree.all() if one.tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    places = {one.attributes["id"] for one in tree.all() if "id" in one.attributes}
    for one in tree.all():
        if label := one.attributes.get("aria-labelledby"):
            assert label in places
    assert all("alt" in one.attributes for one in tree.all("img"))
    for table in tree.all("table"):
        assert all("scope" in one.attributes for one in table.all("th"))
    for control in [*tree.all("input"), *tree.all("select")]:
        assert any(control in list(label.all()) for label in tree.all("label"))


def test_pictures_stop_where_the_page_would_be_too_large(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = page()
    bare = len(whole) - sum(len(one.attributes["src"]) for one in parse(whole).all("img"))
    monkeypatch.setattr(report, "MOST_BYTES", bare + 20_000)
    small = page()
    assert len(small.encode()) <= bare + 20_000
    assert 0 < len(list(parse(small).all("img"))) < len(list(parse(whole).all("img")))


def test_nothing_to_fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.chdir(root)
    finished.write(tmp_path / "run", 60, ["hat", "coin"], unknown=0)
    monkeypatch.chdir(tmp_path / "run")
    tree = parse(page())
    assert next(tree.all("h1")).text == "No cell was unknown"
    check_addresses(page())


def test_cells_that_were_left_empty(run_folder: Path) -> None:
    path = Path("data/imputed/provenance.csv")
    cells = pd.read_csv(path, dtype=str)
    cells.loc[cells.index % 2 == 0, "value"] = ""
    cells.to_csv(path, index=False)
    tree = parse(page())
    left = (len(cells) + 1) // 2
    tiles = [one for one in tree.all("li") if one.attributes.get("class") == "tile empty"]
    assert [next(tile.all("p")).text for tile in tiles] == [str(left)]
    assert next(tree.all("h1")).text.startswith(f"{len(cells) - left} unknown cells")


def test_nothing_is_said_of_the_use_of_no_cell(run_folder: Path) -> None:
    path = Path("data/imputed/provenance.csv")
    cells = pd.read_csv(path, dtype=str)
    cells.assign(expected_correctness="0.95").to_csv(path, index=False)
    tiles = [one for one in parse(page()).all("li") if one.attributes.get("class") == "tile safe"]
    assert [one.text for one in tiles[0].all("p")] == [
        "0",
        "safe",
        "None is at least 99 % likely to be right.",
    ]


def test_too_few_labels_name_what_is_needed_and_the_likeliest_images(run_folder: Path) -> None:
    path = Path("reports/attributes.csv")
    table = pd.read_csv(path).set_index("attribute")
    table.loc["coin", ["learnable", "positive"]] = "too few labels", 2
    table.loc["coin", table.columns.str.startswith("expected_")] = float("nan")
    table.to_csv(path)
    cells = pd.read_csv("data/imputed/provenance.csv")
    sought = (
        cells.loc[cells["attribute"] == "coin"]
        .iloc[[5, 2, 7]]
        .assign(reason="likely", queue="too few labels")
    )
    sought.rename(columns={"value": "guess"}).to_csv("reports/review.csv", index=False)
    tree = parse(page())
    wanted = ", ".join(sought["image"])
    (said,) = [one.text for one in tree.all("li") if one.text.startswith("Label more of coin.")]
    assert "2 known positives among the training images, 5 needed" in said
    assert said.endswith(f"Look first at {wanted}.")
    (article,) = [one for one in tree.all("article") if "coin" in next(one.all("h3")).text]
    assert "too few labels" in next(article.all("h3")).text
    shown = [one.text for one in article.all("span") if one.attributes.get("class") == "file"]
    assert shown[:3] == sought["image"].tolist()


def texts(tree: Element, tag: str, start: str) -> list[str]:
    return [
        " ".join(one.text.split()) for one in tree.all(tag) if one.text.strip().startswith(start)
    ]


def test_what_a_run_found_has_sections_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(root)
    finished.write(tmp_path / "run", 60, ["hat", "NA", "coin"], unknown=0.3)
    monkeypatch.chdir(tmp_path / "run")
    html = page()
    check_addresses(html)
    assert check_figures(html, tmp_path / "run") > 120
    tree = parse(html)
    assert {one.attributes["href"] for one in tree.all("a")} >= {"#shares", "#suspects", "#next"}
    number = len(pd.read_csv("data/imputed/provenance.csv"))
    (budget,) = texts(tree, "p", "Look at the")
    looked_at = round(0.3 * number)
    assert budget.startswith(f"Look at the {looked_at} most doubtful of {number} filled cells")
    assert "expected to be wrong, in place of 10" in budget
    assert "No interval: nothing tells of it" in html
    promised = pd.read_csv("reports/promises.csv")
    (bounded,) = texts(tree, "summary", "With errors bounded")
    assert bounded.endswith(f": {promised['kept'].sum()} of {promised['unknown'].sum()} cells")
    (suspects,) = texts(tree, "p", "The pictures and the other labels speak against")
    assert "against 20 labels; 3 of them are more than chance explains" in suspects
    (doubtful,) = texts(tree, "p", "Listed as doubtful:")
    assert "looked at 13 filled cells and found 4 wrong" in doubtful
    assert doubtful.endswith("the promise holds.")
    (drawn,) = texts(tree, "p", "Drawn by chance:")
    assert drawn.endswith("the promise was too high.")
    assert "shop: north" in {one.text for one in tree.all("th")}


def test_what_a_run_did_not_find_has_no_section(run_folder: Path) -> None:
    for name in ("promises", "prevalence", "suspects", "label_noise", "budget", "review"):
        path = Path(f"reports/{name}.csv")
        pd.read_csv(path).iloc[:0].to_csv(path, index=False)
    html = page()
    check_addresses(html)
    assert not {one.attributes["href"] for one in parse(html).all("a")} & {"#shares", "#next"}
    assert not texts(parse(html), "summary", "With errors bounded")


@pytest.mark.parametrize("name", ["reports/review.csv", "reports/test.csv"])
def test_a_missing_file_is_named_and_leaves_the_earlier_page(run_folder: Path, name: str) -> None:
    before = page()
    Path(name).unlink()
    with pytest.raises(PipelineError, match=f"{name}: can't be read as a table .*run `dvc repro`"):
        report.main()
    assert Path("reports/report.html").read_text(encoding="utf-8") == before
