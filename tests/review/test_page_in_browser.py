"""The page as a person meets it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

from tests.review.conftest import Site


@pytest.fixture
def page(browser: Any, site: Site) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(site.url)
    opened.wait_for_selector(".cell")
    yield opened
    context.close()
    assert errors == []


def cell(page: Any) -> tuple[str, str]:
    """Image and attribute of the cell that is shown."""
    return page.locator(".picture img").get_attribute("alt"), page.inner_text("h2").rstrip("?")


def until(page: Any, reached: Callable[[], bool]) -> None:
    """Wait; the page's policy admits no predicate in it."""
    for _ in range(500):
        if reached():
            return
        page.wait_for_timeout(10)
    raise AssertionError(page.inner_text("body"))


def press(page: Any, key: str) -> None:
    """Press a key, and wait until the page says what it did."""
    before = page.inner_text("#work")
    page.keyboard.press(key)
    until(page, lambda: page.inner_text("#work") != before)


def review(site: Site) -> list[tuple[str, str]]:
    listed = pd.read_csv(site.folder / "data/imputed/review.csv").query("queue == 'doubtful'")
    return list(zip(listed["image"], listed["attribute"], strict=True))


def test_thirty_cells_by_keys_in_the_order_of_the_list(page: Any, site: Site) -> None:
    order = review(site)
    assert page.inner_text("#progress").startswith("40 to go, about 3 min; ")
    assert "% of the filled cells are expected to be right now" in page.inner_text("#progress")
    said = {}
    for expected in order[:30]:
        shown = cell(page)
        assert shown == expected
        said[shown] = site.truth.loc[shown]
        press(page, said[shown])
    assert site.said() == said
    assert page.inner_text("#progress").startswith("10 to go")
    page.reload()
    page.wait_for_selector(".cell")
    assert cell(page) == order[30]
    assert page.inner_text("#progress").startswith("10 to go")


def test_undo_takes_back_answers_and_skips_also_after_a_reload(page: Any, site: Site) -> None:
    first, second, third = review(site)[:3]
    press(page, "1")
    assert cell(page) == second
    press(page, "s")
    assert cell(page) == third
    page.reload()
    page.wait_for_selector(".cell")
    assert cell(page) == third
    press(page, "z")
    assert cell(page) == second
    assert site.said() == {first: "1"}
    press(page, "Control+z")
    assert cell(page) == first
    assert site.said() == {}
    press(page, "u")
    assert site.said() == {first: "?"}


def test_skipped_cells_can_be_looked_at_again(page: Any, site: Site) -> None:
    for _ in review(site)[:-1]:
        press(page, "s")
    page.keyboard.press("s")
    page.get_by_text("Look at the 40 skipped ones again").click()
    page.wait_for_selector(".cell")
    assert cell(page) == review(site)[0]
    assert site.said() == {}


def test_a_sheet_of_24_with_two_wrong_ones(page: Any, site: Site) -> None:
    page.get_by_role("button", name="One attribute").click()
    page.get_by_label("Attribute").select_option("has_bag")
    page.get_by_label("Filled with").select_option("1")
    page.get_by_role("button", name="Sheet of 24").click()
    page.wait_for_selector(".tile")
    names = [tile.get_attribute("title") for tile in page.locator(".tile .name").all()]
    assert len(names) == 24
    own = pd.read_csv(site.folder / "data/imputed/provenance.csv", dtype=str)
    own = own[(own["attribute"] == "has_bag") & (own["value"] == "1")]
    listed = own.assign(sure=own["expected_correctness"].astype(float)).sort_values("sure")["image"]
    assert names == listed.head(24).tolist()
    page.keyboard.press("b")
    page.locator(".tile").nth(3).click()
    page.keyboard.press("e")
    page.keyboard.press("e")  # and not wrong after all
    assert page.inner_text("#confirm").startswith(f"Save: {len(names) - 2} right, 2 wrong")
    press(page, "Enter")
    said = {(name, "has_bag"): "0" if i in (1, 3) else "1" for i, name in enumerate(names)}
    assert site.said() == said
    press(page, "z")
    assert site.said() == {}
    assert page.locator(".tile").count() == len(names)


def test_wrong_ones_of_a_categorical_sheet_are_asked_for_one_by_one(page: Any, site: Site) -> None:
    page.get_by_role("button", name="One attribute").click()
    page.get_by_label("Attribute").select_option("colour")
    page.get_by_role("button", name="Sheet of 24").click()
    page.wait_for_selector(".tile")
    names = [tile.get_attribute("title") for tile in page.locator(".tile .name").all()]
    value = page.inner_text("#work h2").split()[-1]
    page.keyboard.press("a")
    press(page, "Enter")
    assert site.said() == {(name, "colour"): value for name in names[1:]}
    assert cell(page) == (names[0], "colour")
    press(page, "2")
    assert site.said()[names[0], "colour"] == "green"  # of blue, green, red
    assert page.locator(".tile").count() > 0


def test_two_pages_open_see_one_another(page: Any, site: Site) -> None:
    other = page.context.new_page()
    other.goto(site.url)
    other.wait_for_selector(".cell")
    first, second = review(site)[:2]
    press(page, "1")
    # The other still shows the cell, and would say something else.
    other.keyboard.press("0")
    until(other, lambda: other.inner_text("#trouble") != "")
    assert "another window answered 1" in other.inner_text("#trouble")
    assert site.said() == {first: "1"}
    press(other, "0")  # knowing that, it may
    assert site.said() == {first: "0"}
    assert cell(other) == second
    press(other, "1")
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    until(page, lambda: cell(page) not in (first, second))
    assert site.said() == {first: "0", second: "1"}


def test_a_full_disk_loses_nothing(page: Any, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = review(site)[:2]
    press(page, "1")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        page.keyboard.press("1")
        until(page, lambda: page.inner_text("#trouble") != "")
        assert "no space left on the disk" in page.inner_text("#trouble")
    assert cell(page) == second
    assert site.said() == {first: "1"}
    press(page, "1")
    assert site.said() == {first: "1", second: "1"}
    assert page.inner_text("#trouble") == ""


def test_names_are_text_and_never_markup(page: Any, site: Site) -> None:
    page.get_by_label("Image").fill("<img src=x onerror=document.title='caught'>")
    page.keyboard.press("Enter")
    page.wait_for_selector(".end")
    assert "caught" not in page.title()
    assert page.locator("main img").count() == 0
