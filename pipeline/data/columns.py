"""Which column of a label table is what: images, attributes, the user's own split, groups."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.clean_table import RESERVED
from pipeline.data.image_files import SUFFIXES
from pipeline.data.image_names import ImageNames
from pipeline.data.labels import CELLS, MINUS_ONE
from pipeline.data.table_files import IMAGE_COLUMNS, Row, names_images, squeezed
from pipeline.errors import did_you_mean, fail, listed

WEAK = ("id", "name")
"""Those of them that as often name something else."""
SAMPLED = 50
"""Rows in which is looked for names of files."""


@dataclass(frozen=True)
class Choice:
    """What params.yaml says of a table's columns; None and nothing leave it to the table."""

    attributes: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    categorical: Sequence[str] = ()
    image: str | None = None
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Columns:
    """Places of a table's columns.

    width : how many there are.
    header : name of the image column; None where the table has no header.
    image, split, group : their places, the last two None where there are none.
    attributes : name -> place of each attribute, in the order asked for.
    notes : what was taken for what, where a person may want to know, one line each.
    """

    width: int
    header: str | None
    image: int
    attributes: dict[str, int]
    split: int | None = None
    group: int | None = None
    notes: tuple[str, ...] = ()


def find(
    path: str | Path, rows: Sequence[Row], choice: Choice, names: ImageNames | None = None
) -> Columns:
    """The columns of a table, by its first row and, where that leaves it open, by its cells.

    The first row is a header if it has the ``choice``'s image column, if its first cell is one of
    `IMAGE_COLUMNS`, whatever follows (attributes may be named 0 and 1), and else unless each cell
    after its first is a label value: a data row has nothing else. Lone letters (y, n, t, f) may as
    well be attributes' names, unless the first cell names a picture. Without a header the first
    column names the images and the others are Attr1, Attr2, ...

    Raises
    ------
    PipelineError
        If no column, or none of the names asked for, can be it.
    """
    line, titles = rows[0]
    if len(titles) < 2:
        fail(
            path,
            f"row {line}: one column only ({titles[0][:60]!r}), so no attribute column; expected "
            "an image column and attributes, separated by comma, tab, semicolon, | or spaces",
        )
    letters = _is_picture(titles[0], names)
    labels = [_is_label(title, letters) for title in titles]
    wanted = choice.image is not None and choice.image in titles
    if all(labels[1:]) and not names_images(titles[0]) and not wanted:
        if choice.image is not None:
            fail(
                path,
                f"row {line}: no header, so no column {choice.image!r}, which data.image_column in "
                "params.yaml names; add a header or set it to null",
            )
        titles = ["image", *(f"Attr{number}" for number in range(1, len(titles)))]
        return _chosen(path, line, titles, [], 0, choice, ["image"], header=None)
    body = rows[1:]
    notes: list[str] = []
    image, others = _image_column(path, line, titles, body, choice, names, notes)
    odd = [
        title for place, title in enumerate(titles) if title and labels[place] and place != image
    ]
    unsettled = odd and choice.image is None and bool(titles[0])
    if unsettled and names is not None and names.exists(titles[0]):
        fail(
            path,
            f"row {line}: a header or a row? {titles[0]!r} names a column and a picture in "
            f"{names.folder}, and {odd[0]!r} may be a label; set data.image_column in "
            "params.yaml, or put a header above it",
        )
    if odd and not all(labels[1:]):
        notes.append(
            f"row {line} is taken for the header although {listed(odd, 3)} in it may be labels; if "
            "it is no header, put one above it"
        )
    return _chosen(path, line, titles, body, image, choice, others, titles[image], notes)


def _is_label(title: str, letters: bool = False) -> bool:
    """Whether a cell is a label's; with ``letters`` lone ones count, too."""
    text = title.lower()
    lone = len(text) == 1 and text.isalpha()
    return text in MINUS_ONE or (text in CELLS and (letters or not lone))


def _is_picture(name: str, names: ImageNames | None) -> bool:
    """Whether a cell names a picture, by its ending or by the files."""
    ending = f".{name.rpartition('.')[2].lower()}"
    return ending in SUFFIXES or (names is not None and bool(name) and names.exists(name))


def _nameless(title: str) -> bool:
    """No name at all, or the one that pandas gives such a column."""
    return not title or re.fullmatch(r"Unnamed: \d+(_level_\d+)?", title) is not None


def _image_column(
    path: str | Path,
    line: int,
    titles: Sequence[str],
    body: Sequence[Row],
    choice: Choice,
    names: ImageNames | None,
    notes: list[str],
) -> tuple[int, list[str]]:
    """The place of the image column, and the names of others that could have been it."""
    if choice.image is not None:
        if choice.image not in titles:
            hint = did_you_mean(choice.image, titles, "; ")
            fail(
                path,
                f"row {line}: no column {choice.image!r}, which data.image_column in params.yaml "
                f"names; {hint}expected one of {listed(titles)}",
            )
        return titles.index(choice.image), []
    candidates = [place for place, title in enumerate(titles) if names_images(title)]
    if len(candidates) == 1:
        return candidates[0], []
    sample = [cells for _, cells in body[:SAMPLED] if len(cells) == len(titles)]

    def score(place: int) -> tuple[int, int, bool, int]:
        given = [cells[place] for cells in sample if cells[place]] if names is not None else []
        files = sum(names is not None and names.exists(name) for name in given)
        exact = sum(names is not None and names.is_named(name) for name in given)
        weak = squeezed(titles[place]) in WEAK
        return files, exact, not weak, -place

    if candidates:
        best = max(candidates, key=score)
        others = [titles[place] for place in candidates if place != best]
        return best, others
    if not _is_picture(titles[0], names):
        by_files = [place for place in range(len(titles)) if 2 * score(place)[0] > len(sample) > 0]
        if by_files:
            best = max(by_files, key=score)
            title = repr(titles[best]) if titles[best] else f"{best + 1}, which has no name,"
            notes.append(f"column {title} is taken for the image column: its cells name files")
            return best, []
    odd = [title for title in titles[1:] if not _is_label(title)] or list(titles[1:])
    fail(
        path,
        f"row {line}: no image column: got {listed(titles, 3)}, expected a column named as one of "
        f"{', '.join(IMAGE_COLUMNS)}; rename it, or name it in data.image_column in params.yaml, "
        f"or, if this row is no header ({odd[0][:20]!r} may be a name), put one above it",
    )


def _chosen(
    path: str | Path,
    line: int,
    titles: Sequence[str],
    body: Sequence[Row],
    image: int,
    choice: Choice,
    others: Sequence[str],
    header: str | None,
    notes: Sequence[str] = (),
) -> Columns:
    """The columns once the one of the images is known."""
    found = [*notes]
    there = [title for place, title in enumerate(titles) if place != image]
    for key, asked in (
        ("attributes", choice.attributes or ()),
        ("exclude", choice.exclude),
        ("split.column", [choice.split] if choice.split is not None else ()),
        ("split.group_column", [choice.group] if choice.group is not None else ()),
    ):
        _check_there(path, key, asked, there)
    own = {choice.split, choice.group} - {None}
    for name in choice.attributes or ():
        if name in choice.exclude or name in own:
            other = "exclude" if name in choice.exclude else "a column of split"
            fail(path, f"params.yaml: {name!r} is in attributes and {other}; remove one")
    places: dict[str, int] = {}
    for place, title in enumerate(titles):
        if place == image or title in choice.exclude or title in own:
            continue
        if choice.attributes is not None and title not in choice.attributes:
            continue
        if choice.attributes is None and (
            told := _left_out(path, line, place, titles, body, image, others)
        ):
            found.append(told)
            continue
        if title in places:
            both = f"columns {places[title] + 1} and {place + 1}"
            fail(
                path,
                f"row {line}: {both} are both named {title!r}; rename or remove one, or leave them "
                "out with exclude in params.yaml",
            )
        places[title] = place
    if not places:
        fail(path, "no attribute column is left; choose some with attributes in params.yaml")
    order = list(places) if choice.attributes is None else list(choice.attributes)
    for name in order:
        _check_name(path, name, places[name], order)
    found += _alike(path, order)
    for name in choice.categorical:
        if name not in places:
            hint = did_you_mean(name, order, "; ")
            fail(
                path,
                f"no attribute {name!r}, which categorical.columns in params.yaml lists; "
                f"{hint}expected some of {listed(order)}",
            )
    return Columns(
        len(titles),
        header,
        image,
        {name: places[name] for name in order},
        split=None if choice.split is None else titles.index(choice.split),
        group=None if choice.group is None else titles.index(choice.group),
        notes=tuple(found),
    )


def _check_there(path: str | Path, key: str, asked: Sequence[str], there: Sequence[str]) -> None:
    for position, name in enumerate(asked):
        if name not in there:
            hint = did_you_mean(name, there, "; ")
            fail(
                path,
                f"no column {name!r}, which {key} in params.yaml names; "
                f"{hint}expected some of {listed(there)}",
            )
        if name in asked[:position]:
            fail(path, f"params.yaml: {key} lists {name!r} twice; remove one")
        if key.startswith("split") and there.count(name) > 1:
            fail(path, f"two columns are named {name!r}, which {key} in params.yaml names; rename")


def _left_out(
    path: str | Path,
    line: int,
    place: int,
    titles: Sequence[str],
    body: Sequence[Row],
    image: int,
    others: Sequence[str],
) -> str:
    """Why a column is no attribute although none were chosen; empty where it is one."""
    title = titles[place]
    if not (_nameless(title) or title in others):
        return ""
    cells = [cells[place] for _, cells in body if len(cells) == len(titles)]
    if title in others:
        if all(_is_label(cell) for cell in cells):
            return ""
        return (
            f"column {title!r} could name the images, too, and is left out beside "
            f"{titles[image]!r}; data.image_column in params.yaml settles it"
        )
    if not any(cells):
        return f"column {place + 1} has neither a name nor a cell and is left out"
    distinct = len({*cells}) == len(cells) and all(one.isdecimal() for one in cells)
    if distinct and not all(map(_is_label, cells)):
        return f"column {place + 1} has no name and counts the rows; it is left out"
    fail(
        path,
        f"row {line}: column {place + 1} has no name; give it one or remove it, or choose the "
        "others with attributes in params.yaml",
    )


OF_PREDICT = ("_probability", "_expected_correctness", "_learnable")
"""What predict adds to an attribute's name for further columns."""


def _check_name(path: str | Path, name: str, place: int, chosen: Sequence[str]) -> None:
    beside = [name + ending for ending in OF_PREDICT]
    if name in (*RESERVED, "error", "unlike_training") or not set(beside).isdisjoint(chosen):
        advice = ""
        if name == "split":
            advice = "; if it says train, val or test, set split.column in params.yaml to it"
        fail(
            path,
            f"column {place + 1}: {name!r} can't name an attribute: image, split, error, "
            "unlike_training and a name to which another attribute adds "
            f"{', '.join(OF_PREDICT)} are reserved, as predict has such columns; rename it, or "
            f"leave it out with exclude in params.yaml{advice}",
        )
    if has_control_character(name):
        fail(path, f"column {place + 1}: {name[:60]!r} has a control character; rename it")


def has_control_character(name: str) -> bool:
    """Whether a name has a character below the space."""
    # str.isprintable alone would refuse the narrow no-break spaces of macOS screenshots.
    return not name.isprintable() and any(ord(character) < 32 for character in name)


def _alike(path: str | Path, names: Sequence[str]) -> list[str]:
    """Refuse names that look the same; a line on those that differ by case or spacing alone."""
    visible: dict[str, str] = {}
    for name in names:
        shown = unicodedata.normalize("NFC", name)
        shown = "".join(c for c in shown if unicodedata.category(c) not in ("Cf", "Cc"))
        other = visible.setdefault(shown, name)
        if other != name:
            fail(
                path,
                f"the columns {other!a} and {name!a} look the same; rename one, or leave "
                "it out with exclude in params.yaml",
            )
    counts = Counter(squeezed(name).casefold() for name in names)
    twins = [name for name in names if counts[squeezed(name).casefold()] > 1]
    if not twins:
        return []
    return [f"the columns {listed(twins, 6)} differ by case or spacing alone: each is an attribute"]
