from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import readme

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / path for path in readme.PAGES]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PARAMS = (ROOT / "params.yaml").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
KEPT = {*string.ascii_lowercase, *string.digits, "-", "_", " "}
"""Characters of a heading that GitHub keeps in its anchor."""


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text(page)), flags=re.MULTILINE)
    return {
        "".join(c for c in one.lower() if c in KEPT).strip().replace(" ", "-") for one in headings
    }


def leaves(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def test_the_front_page_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= 8_000


@pytest.mark.parametrize("page", LINKED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCED.sub("", text(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_of_docs_is_on_the_front_page() -> None:
    front = LINK.findall(text(ROOT / "README.md"))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= set(front)


def test_every_generated_part_has_a_place() -> None:
    placed = {name for page in PAGES for name in readme.places(text(page))}
    assert placed == {*readme.OF_THE_LAST_RUN, *readme.OF_THE_PROJECT}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_say_what_the_files_say(page: Path) -> None:
    assert readme.filled(text(page), readme.OF_THE_PROJECT) == text(page)


def test_a_place_without_an_end() -> None:
    place = readme.START.format("times")
    for unended in (place, f"{place}\n{place}{readme.END}"):
        with pytest.raises(readme.PipelineError, match=r"has no .* before the next"):
            readme.places(unended)


def test_a_part_is_put_into_its_place_and_nowhere_else() -> None:
    one, two = readme.START.format("one"), readme.START.format("two")
    page = f"a\n{one}old\n{readme.END}\nb\n{two}{readme.END}"
    new = readme.filled(page, {"one": lambda: "new\n"})
    assert new == page.replace("old\n", "\nnew\n\n")
    assert readme.filled(new, {"one": lambda: "new\n"}) == new


def run(monkeypatch: pytest.MonkeyPatch, page: Path, *arguments: str) -> None:
    monkeypatch.setattr(readme, "PAGES", (page,))
    monkeypatch.setattr("sys.argv", ["benchmarks.readme", *arguments])
    readme.main()


def test_check_names_a_stale_page_and_leaves_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    stale = f"{readme.START.format('times')}{readme.END}\n"
    page.write_text(stale, encoding="utf-8")
    with pytest.raises(readme.PipelineError, match=r"page.md: not what the files say; run"):
        run(monkeypatch, page, "--check")
    assert text(page) == stale
    run(monkeypatch, page)
    assert "| embed |" in text(page)
    run(monkeypatch, page, "--check")


def test_a_place_for_unknown_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{readme.START.format('time')}{readme.END}\n", encoding="utf-8")
    with pytest.raises(readme.PipelineError, match=r"page.md: no figures named 'time'; expected"):
        run(monkeypatch, page)


def test_every_param_is_listed_with_its_default() -> None:
    params = leaves(yaml.safe_load(PARAMS))
    listed = {key: yaml.safe_load(value) for key, value, _ in readme.commented(PARAMS)}
    assert listed == params
    assert all(comment for _, _, comment in readme.commented(PARAMS))


def test_what_a_param_may_be_is_what_its_error_says() -> None:
    table = readme.params_table(PARAMS).set_index("key")["allowed"]
    assert table["`impute.folds`"] == "a whole number from 2 to 20"
    assert table["`missing`"] == "one of impute, mask, negative"
    assert table["`image_size`"] == "[height, width] in pixels, each from 32 to 2048"


def test_a_comment_goes_on_in_indented_lines() -> None:
    lines = ["# Head.", "seed: 4  # all", "", "split:", "  test: [1, 2]   # some", "     # more"]
    assert readme.commented("\n".join([*lines, "head: x # y"])) == [
        ("seed", "4", "all"),
        ("split.test", "[1, 2]", "some more"),
        ("head", "x", "y"),
    ]


def test_every_package_is_in_the_architecture() -> None:
    page = text(ROOT / "docs/architecture.md")
    for path in (ROOT / "pipeline").glob("*/__init__.py"):
        assert f"`pipeline/{path.parent.name}/`" in page, path.parent.name


def test_every_stage_is_in_the_graph() -> None:
    graph = text(ROOT / "docs/method.md").partition("```mermaid")[2].partition("```")[0]
    for stage in yaml.safe_load(text(ROOT / "dvc.yaml"))["stages"]:
        assert f'{stage}["{stage}:' in graph


def test_differences_of_classifiers_by_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = ["data,hidden,seed,method,map,mcc,brier,ece"]
    rows += ["d,0.3,0,stack,.5,.5,.2,.1", "d,0.3,0,head,.4,.6,.3,.1", "d,0.3,1,stack,.6,.5,.2,.1"]
    # The file grew by methods of draws that it had.
    rows += ["d,0.3,1,head,.4,.5,.3,.1", "d,0.5,0,stack,.9,.9,.9,.9"]
    (tmp_path / "stack_d.csv").write_text("\n".join(rows), encoding="utf-8")
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    (found,) = readme.classifier_differences().to_dict("records")
    assert (found["against"], found["draws ahead in map"]) == ("head", "2 of 2")
    assert found["map"] == "+0.1500 ± 0.0500" and found["mcc"] == "-0.0500 ± 0.0500"
    assert found["brier"] == "+0.1000 ± 0.0000" and found["ece"] == "+0.0000 ± 0.0000"
