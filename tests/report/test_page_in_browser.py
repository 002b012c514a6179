"""The page as a reader meets it, without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks import finished
from pipeline.report import cells
from pipeline.stages import report

NAMES = ["hat", "trousers", "a name that is so long that no table has a column for it", "coin"]
SCHEMES = ("light", "dark")
WIDTHS = (1280, 400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    made = tmp_path_factory.mktemp("report") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        finished.write(made, 300, NAMES, unknown=0.3)
        patch.chdir(made)
        report.main()
    return made


@pytest.fixture
def open_page(browser: Any, folder: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page in a window of some width and colour scheme; it must load nothing."""
    contexts, asked, errors = [], [], []

    def opened(width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.goto((folder / "reports/report.html").as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in asked) == len(contexts)


def shown(page: Any) -> list[list[str]]:
    """Texts of the rows of the table of cells that are to be seen."""
    script = """rows => rows.filter(row => row.checkVisibility())
                    .map(row => Array.from(row.cells, cell => cell.textContent.trim()))"""
    found: list[list[str]] = page.locator("#cell-table tbody tr").evaluate_all(script)
    return found


def expected(folder: Path) -> pd.DataFrame:
    frame = pd.read_csv(folder / "data/imputed/provenance.csv", dtype={"value": str})
    return cells.rows_shown(frame, ["coin"])


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(open_page: Callable[..., Any], width: int) -> None:
    page = open_page(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "images => images.filter(image => !image.complete || !image.naturalWidth).length"
    assert page.locator("img").evaluate_all(broken) == 0


def test_search_filters_and_reset(open_page: Callable[..., Any], folder: Path) -> None:
    page, frame = open_page(), expected(folder)
    everything = shown(page)
    assert [row[0] for row in everything] == frame["image"].tolist()
    assert page.inner_text("#shown") == "200 of 200 rows shown"
    page.locator("#of").select_option("hat")
    assert [row[0] for row in shown(page)] == frame.loc[
        frame["attribute"] == "hat", "image"
    ].tolist()
    page.locator("#by").select_option("doubtful")
    doubtful = (frame["attribute"] == "hat") & (frame["expected_correctness"] < cells.LIKELY)
    assert [row[0] for row in shown(page)] == frame.loc[doubtful, "image"].tolist()
    page.get_by_role("button", name="Show all").click()
    page.locator("#shown", has_text="200 of 200").wait_for()
    assert shown(page) == everything
    name = frame["image"].iloc[7]
    page.locator("#find").fill(f"{name.upper()} labels")
    found = [row for row in everything if name in " ".join(row) and "labels" in row[-1]]
    assert shown(page) == found
    assert page.inner_text("#shown") == f"{len(found)} of 200 rows shown"
    page.locator("#find").fill("no such thing")
    assert shown(page) == []


def test_sorting_by_keys(open_page: Callable[..., Any], folder: Path) -> None:
    page, frame = open_page(), expected(folder)
    for label, column in (
        ("expected right", "expected_correctness"),
        ("probability", "probability"),
    ):
        button = page.get_by_role("button", name=label)
        for direction in ("ascending", "descending"):
            button.focus()
            page.keyboard.press("Enter")
            head = page.locator("#cell-table th[aria-sort]")
            assert head.count() == 1
            assert head.get_attribute("aria-sort") == direction
            place = head.evaluate("head => head.cellIndex")
            script = "(cells, at) => cells.map(row => row.cells[at].querySelector('data').value)"
            values = [
                float(v) for v in page.locator("#cell-table tbody tr").evaluate_all(script, place)
            ]
            assert values == sorted(frame[column].tolist(), reverse=direction == "descending")
    page.get_by_role("button", name="image").click()
    numbers = [int(row[0].split()[1].split(".")[0]) for row in shown(page)]
    assert numbers == sorted(numbers), "image 9 before image 10"


def test_keys_alone_reach_everything(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.tagName + (e.id || e.getAttribute('href') || e.textContent.trim()))"
                "(document.activeElement)"
            )
        )
    links = page.locator("nav a").evaluate_all("all => all.map(a => 'A' + a.getAttribute('href'))")
    assert reached >= {*links, "INPUTfind", "SELECTof", "SELECTby", "BUTTONShow all"}


def luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_stands_out_from_its_ground(open_page: Callable[..., Any], scheme: str) -> None:
    """Contrast of WCAG 2.2, level AA: 4.5 to 1 for text, 3 to 1 for marks that say something."""
    page = open_page(scheme=scheme)

    def color(name: str) -> float:
        script = "name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
        found = page.evaluate(script, f"--{name}")
        return luminance("#" + "".join(2 * c for c in found[1:]) if len(found) == 4 else found)

    for ground in map(color, ("paper", "card")):
        for name, least in (
            *(("ink", 4.5), ("soft", 4.5), ("accent", 4.5)),
            *(("safe", 3), ("likely", 3), ("doubtful", 3), ("guess", 3), ("one", 3)),
        ):
            low, high = sorted((ground, color(name)))
            assert (high + 0.05) / (low + 0.05) >= least, name
    dark = color("paper") < 0.2
    assert dark == (scheme == "dark")


def test_print_shows_all_that_is_folded_and_no_controls(open_page: Callable[..., Any]) -> None:
    page = open_page(scheme="dark")
    assert page.pdf().startswith(b"%PDF")
    folded = page.locator("details").evaluate_all("all => all.filter(one => !one.open).length")
    assert folded == 0
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator(".controls").is_visible()
    assert page.locator("#cell-table tbody tr").first.is_visible()


def test_without_scripts_it_is_whole(browser: Any, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((folder / "reports/report.html").as_uri())
    assert page.locator("#cell-table tbody tr").count() == 200
    assert not page.locator(".controls").is_visible()
    context.close()
