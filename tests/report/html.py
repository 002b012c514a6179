"""A page as its elements, and what holds of every report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

ADDRESSES = ("src", "href", "srcset", "action", "data", "poster", "formaction", "xlink:href")
VOID = {"br", "img", "input", "link", "meta"}


@dataclass
class Element:
    """A tag with its attributes, children and own text."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def all(self, tag: str = "") -> Iterator[Element]:
        for one in self.children:
            if tag in ("", one.tag):
                yield one
            yield from one.all(tag)


class Tree(HTMLParser):
    """The elements of a page; it must be closed as it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(page)
        self.close()
        assert [one.tag for one in self.open] == [""], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(one)
        if tag not in VOID:
            self.open.append(one)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for one in self.open:
            one.texts.append(data)


def parse(page: str) -> Element:
    return Tree(page).root


def addresses(root: Element) -> list[str]:
    return [one.attributes[a] for one in root.all() for a in ADDRESSES if a in one.attributes]


def check_addresses(html: str) -> None:
    """Every address is a picture in the page or a place in it."""
    root = parse(html)
    places = {one.attributes["id"] for one in root.all() if "id" in one.attributes}
    found = addresses(root)
    assert found
    for address in found:
        inside = address.startswith("data:image/jpeg;base64,")
        assert inside or address.removeprefix("#") in places, address
    assert "@import" not in html
    assert "url(" not in html
    assert "//" not in "".join(one.text for one in root.all("style"))


def check_figures(html: str, folder: Path) -> int:
    """Every figure that names its place has the value there; returns how many there are."""
    number = 0
    for one in parse(html).all("data"):
        file, row, column = (one.attributes.get(f"data-{n}", "") for n in ("file", "row", "column"))
        if not file:
            continue
        if file.endswith(".json"):
            value = json.loads((folder / file).read_text(encoding="utf-8"))
            for key in column.split("."):
                value = value[key]
        else:
            frame = pd.read_csv(folder / file, dtype=str, keep_default_na=False)
            own = frame.iloc[:, 0] == row
            if row.startswith("line "):
                own = frame.index == int(row.removeprefix("line ")) - 2
            value = frame.loc[own, column].item()
        assert float(one.attributes["value"]) == float(value), (file, row, column)
        number += 1
    return number
