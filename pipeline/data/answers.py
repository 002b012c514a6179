"""Answers of people, put into the file of corrections at once, whole or not at all."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data import corrections
from pipeline.data.corrections import Correction, Section
from pipeline.data.image_names import ImageNames
from pipeline.data.labels import CELLS, LabelTable, meanings
from pipeline.errors import PipelineError, did_you_mean, listed
from pipeline.files import replace_file

CANT_TELL = "?"
"""Looked at, and the picture does not say: read as unknown."""
Cell = tuple[str, str]
"""Image and attribute."""


@dataclass(frozen=True)
class Reading:
    """How a file of corrections is read, as of `corrections.read`."""

    categorical: Collection[str] = ()
    image_of: Callable[[str], str] = lambda name: name
    meaning: Mapping[str, float] = field(default_factory=lambda: CELLS)

    def lines(self, path: Path) -> list[Correction]:
        """What ``path`` says.

        Raises
        ------
        PipelineError
            As `corrections.read`.
        """
        return corrections.read(path, self.categorical, self.image_of, self.meaning)


PLAIN = Reading()


def reading_of(table: LabelTable, folder: Path, minus_one: str) -> Reading:
    """How the clean stage reads corrections of ``table``.

    Parameters
    ----------
    folder : of the images; minus_one : the param ``data.minus_one``.
    """
    known, names = {*table.images}, ImageNames(folder)

    def image_of(name: str) -> str:
        return name if name in known else names.locate([name])[name].file

    return Reading(frozenset(table.vocabulary), image_of, meanings(minus_one))


@dataclass(frozen=True)
class Answer:
    """What a person says of a cell.

    value : as it is written; None takes an answer back.
    before : the answer that the person saw there, None for none.
    further : other columns of the file and their texts, as the queue that the cell came from.
    """

    image: str
    attribute: str
    value: str | None
    before: str | None = None
    further: Mapping[str, str] = field(default_factory=dict)


class AnsweredMeanwhileError(PipelineError):
    """Somebody else answered one of the cells in another way; ``current`` has what is there now."""

    def __init__(self, answer: Answer, current: str | None) -> None:
        self.image, self.attribute, self.current = answer.image, answer.attribute, current
        super().__init__(
            f"image {answer.image!r}, attribute {answer.attribute!r}: "
            + (f"answered {current!r} meanwhile" if current is not None else "taken back meanwhile")
        )


def read(path: Path = corrections.PATH, reading: Reading = PLAIN) -> dict[Cell, str]:
    """The answer on each cell of the file: 1, 0, a category or `CANT_TELL`.

    Raises
    ------
    PipelineError
        As `corrections.read`.
    """
    return {(one.image, one.attribute): _text(one.value) for one in reading.lines(path)}


def from_file(path: Path, reading: Reading = PLAIN) -> list[Answer]:
    """The answers of another file of corrections, with its columns `corrections.KEPT`.

    Raises
    ------
    PipelineError
        As `corrections.read`.
    """
    return [
        Answer(one.image, one.attribute, _text(one.value), further=_record(one))
        for one in reading.lines(path)
    ]


def _record(one: Correction) -> dict[str, str]:
    told = {name: getattr(one, name) for name in corrections.KEPT}
    return {name: str(value) for name, value in told.items() if value not in (None, "")}


def put(
    answers: Sequence[Answer],
    path: Path = corrections.PATH,
    reading: Reading = PLAIN,
) -> dict[Cell, str]:
    """Write ``answers`` into the file and return all that it then says.

    Other lines and columns stay. Between reading and writing no other process that writes through
    this function comes in between, and the file is on the disk before this returns.

    Raises
    ------
    AnsweredMeanwhileError
        If a cell has neither the answer that the person saw nor the one given; nothing is written.
    PipelineError
        As `corrections.read`.
    OSError
        If the file can't be written; it is then as it was.
    """
    path = path.resolve()  # a link stays one
    with _alone(path.parent):
        said = read(path, reading)
        for one in answers:
            current = said.get((one.image, one.attribute))
            if current not in (one.before, one.value):
                raise AnsweredMeanwhileError(one, current)
        changed = [a for a in answers if said.get((a.image, a.attribute)) != a.value]
        if changed:
            content = _with(changed, path, reading)
            with replace_file(path) as staging, staging.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
    for one in answers:
        said.pop((one.image, one.attribute), None)
        if one.value is not None:
            said[one.image, one.attribute] = one.value
    return said


def check(
    given: Iterable[Answer], images: Container[str], values: Mapping[str, Sequence[str]]
) -> None:
    """Refuse answers on cells that are not in the table, and values that are none.

    Parameters
    ----------
    images : names; values : attribute -> what its cells may be.

    Raises
    ------
    PipelineError
        For the first one.
    """
    for one in given:
        if one.image not in images:
            raise PipelineError(f"no image {one.image[:60]!r} in the filled table")
        if one.attribute not in values:
            hint = did_you_mean(one.attribute, values) or f"expected one of {listed(values)}"
            raise PipelineError(f"no attribute {one.attribute[:60]!r} in the filled table; {hint}")
        allowed = [*values[one.attribute], CANT_TELL]
        if one.value is not None and one.value not in allowed:
            raise PipelineError(
                f"image {one.image!r}, attribute {one.attribute!r}: got {one.value[:60]!r}, "
                f"expected one of {', '.join(allowed)}"
            )


def _with(answers: Sequence[Answer], path: Path, reading: Reading) -> bytes:
    """The content of the file once ``answers`` are in it."""
    earlier = corrections.sections(path) or [Section(list(corrections.COLUMNS), [])]
    replaced = {(one.image, one.attribute) for one in answers}
    kept = [
        Section(
            list(section.header),
            [
                (line, cells)
                for line, cells in section.rows
                if _cell(section, cells, reading) not in replaced
            ],
        )
        for section in earlier
    ]
    last = kept[-1]
    for name in dict.fromkeys(name for one in answers for name in one.further):
        if name not in last.names:
            last.header.append(name)
    lines = []
    for section in kept:
        if section.rows or section is last:
            width = len(section.header)
            lines.append(section.header)
            lines += [(cells + [""] * width)[:width] for _, cells in section.rows]
    for one in answers:
        if one.value is not None:
            own = {"image": one.image, "attribute": one.attribute, last.value: one.value}
            lines.append([{**one.further, **own}.get(name, "") for name in last.names])
    text = io.StringIO()
    text.writelines(_comments(path, {line for section in earlier for line, _ in section.rows}))
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()


def _cell(section: Section, cells: Sequence[str], reading: Reading) -> Cell:
    told = dict(zip(section.names, cells, strict=True))
    return reading.image_of(told["image"]), told["attribute"]


def _comments(path: Path, rows: set[int]) -> list[str]:
    """Lines of a text that begin with # and are no row."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):  # a spreadsheet, or another encoding
        return []
    return [
        f"{line}\n" for n, line in enumerate(lines, 1) if line.startswith("#") and n not in rows
    ]


def _text(value: float | str) -> str:
    return corrections.text_of(value) or CANT_TELL


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
