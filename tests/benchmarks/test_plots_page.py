"""The page of `dvc plots show`: nothing in it is loaded, and it is what the package makes."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks import plots_page


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / plots_page.PAGE).read_text(encoding="utf-8")


def test_plots_are_drawn_without_a_network(page: str) -> None:
    assert page.count("{plot_divs}") == 1
    assert "{scripts}" not in page, "where DVC puts addresses of scripts"
    assert not re.search(r"<(script|link|iframe)[^>]*(src|href)=", page)
    assert page.count("</script") == 1
    assert "window.vegaEmbed=" in page


def test_dvc_takes_it(root: Path) -> None:
    config = (root / ".dvc/config").read_text(encoding="utf-8")
    assert "html_template = plots/page.html" in config


def test_it_is_as_made(page: str) -> None:
    pytest.importorskip("vl_convert", reason="the package with Vega is not installed")
    assert page.startswith(plots_page.HTML.partition("SCRIPTS")[0])
    if version("vl-convert-python") == plots_page.MADE_BY:
        assert page == plots_page.page()
