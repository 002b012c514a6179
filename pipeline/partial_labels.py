"""Pictures of which some labels are known: their table, and the rows completed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.data.image_files import SUFFIXES
from pipeline.data.image_names import Found, ImageNames, Key
from pipeline.data.labels import LabelTable, written
from pipeline.data.read_table import read_table
from pipeline.data.table_files import read_rows
from pipeline.data.verdicts import LEARNABLE
from pipeline.errors import fail, listed
from pipeline.files import replace_file
from pipeline.impute import label_completion
from pipeline.impute.completion import Completion
from pipeline.impute.fill import LABELS, PICTURE, PRIOR

TABLES = ("labels.csv", "provenance.csv", "pictures.csv")
"""What `write` writes."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Partial:
    """Known labels of pictures.

    table : a row for each picture, named as a table would name it; all attributes of the
        classifier, with its values.
    notes : in words, what a person may want to know.
    """

    table: LabelTable
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Completed:
    """Rows completed, [n, A] each; evidence is empty and expected correctness 1 in known cells.

    values : bool, one-hot of categorical attributes.
    """

    probability: Floats
    values: npt.NDArray[np.bool_]
    evidence: npt.NDArray[np.str_]
    correctness: Floats


class GivenPictures(ImageNames):
    """The names of a table against pictures that are given one by one.

    A name is that of a picture by its path as given, else by the absolute path or the one without
    links, else by the last part, with its ending or without; each time of one picture alone. As of
    `ImageNames`, names that differ in more than the spelling of a path are not merged.
    """

    def __init__(self, pictures: Sequence[Path]) -> None:
        super().__init__(Path())
        self.files = [*dict.fromkeys(map(str, pictures))]
        self._by: list[dict[str, list[str]]] = []
        for key in _KEYS:
            self._by.append({})
            for file in self.files:
                self._by[-1].setdefault(key(file), []).append(file)

    def is_named(self, name: str) -> bool:
        """Whether ``name`` is a picture's path to the letter."""
        return name in self._by[0]

    def _one(self, name: str) -> Found:
        for key, files in zip(_KEYS, self._by, strict=True):
            found = files.get(key(name), [])
            if len(found) == 1:
                by_path = key not in (os.path.basename, _stem)
                certain = by_path or name == Path(found[0]).name
                return Found(found[0], "" if certain else "folder or suffix")
            if found:
                detail = f"{name!r}: fits {', '.join(found[:3])}; write the path"
                return Found(name, problem=("ambiguous", detail))
        return Found(name, problem=("missing", f"{name!r}: no such file"))


def _stem(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


_KEYS: tuple[Key, ...] = (str, os.path.abspath, os.path.realpath, os.path.basename, _stem)


def read(
    path: Path,
    paths: Sequence[Path],
    files: Sequence[Path],
    attributes: Sequence[Attribute],
    *,
    image_column: str | None = None,
    encoding: str | None = None,
    minus_one: str = "error",
) -> Partial:
    """The labels in ``path`` of the pictures ``files``, which stand for or lie below ``paths``.

    In the table a picture is called by its path below the folder, if ``paths`` is a single one, as
    `ImageNames` has it; otherwise as `GivenPictures` has it.

    Parameters
    ----------
    image_column : if the table has it; encoding, minus_one : as of `read_table`.

    Raises
    ------
    PipelineError
        If it can't be read, has a column that is none of the ``attributes``, or names none of the
        pictures.
    """
    if path.is_dir():
        fail(path, "a folder, expected a table of known labels, as of data.labels; name the file")
    if not path.is_file():
        fail(path, "no such file; expected a table of known labels, as of data.labels")
    folder = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    names = [str(file if folder is None else file.relative_to(folder)) for file in files]
    called = GivenPictures(files) if folder is None else ImageNames(folder)
    titles = read_rows(path, encoding)[0][1]
    given = read_table(
        path,
        known=attributes,
        names=called,
        image_column=image_column if image_column in titles else None,
        encoding=encoding,
        minus_one=minus_one,
    )
    place = {image: row for row, image in enumerate(given.images)}
    found = np.array([place.get(name, -1) for name in names])
    there = np.flatnonzero(found >= 0)
    pictures = {*names}
    missing = [image for image in given.images if image not in pictures]
    problems = {image: one.problem for image, one in called.found.items() if one.problem}
    unclear = {
        image: problems[image][1]
        for image in missing
        if image in problems and problems[image][0] == "ambiguous"
    }
    if not len(there):
        first = next(iter(unclear.values()), f"it has {missing[0]!r}")
        fail(
            path,
            f"none of its {len(missing)} images is among the {len(files)} pictures; {first}, "
            f"expected names as {listed(names, 3)}",
        )
    notes = given.notes
    if unclear:
        notes += (
            f"{path}: {len(unclear)} of {len(place)} rows may name several pictures, or one that "
            f"another row names: left out ({'; '.join([*unclear.values()][:3])})",
        )
    if others := [image for image in missing if image not in unclear]:
        notes += (
            f"{path}: {len(others)} of {len(place)} rows name none of the pictures: left out "
            f"({listed(others, 3)})",
        )
    cells = {}
    for one in attributes:
        column = np.full(len(files), "" if one.values else np.nan, object if one.values else "f4")
        if one.name in given.cells:
            column[there] = given.cells[one.name][found[there]]
        cells[one.name] = column
        other = sorted({*column} - {"", *one.values}) if one.values else []
        if other:
            notes += (
                f"{path}: column {one.name!r}: {listed(other, 5)}: not among the values that the "
                f"classifier tells apart ({listed(one.values)}); kept as given",
            )
    vocabulary = {one.name: one.values for one in attributes if one.values}
    # As in `predict.rows`; a frame holds no name that is no text.
    shown = [name.encode(errors="backslashreplace").decode() for name in names]
    return Partial(LabelTable(shown, cells, vocabulary=vocabulary), notes)


def complete(
    completion: Completion,
    probability: np.ndarray,
    labels: np.ndarray,
    attributes: Sequence[Attribute],
    verdicts: Sequence[str],
) -> Completed:
    """Complete rows by their pictures and what is known of their labels.

    Parameters
    ----------
    probability, labels : [n, A] of the classifier, and of 1, 0 and NaN for unknown.
    verdicts : [A], of `pipeline.data.verdicts`.
    """
    softmax = categories.spans([one for one in attributes if one.values])
    known = ~np.isnan(labels)
    learnable = np.array(verdicts) == LEARNABLE
    found = label_completion.completed(completion.model, probability, labels, softmax)
    values, correctness = completion.by_picture(found, attributes, verdicts)
    evidence = np.where(learnable, PICTURE, PRIOR) * np.ones(labels.shape, dtype=object)
    if completion.model is not None and completion.by_labels is not None:
        informed = known.any(axis=1, keepdims=True) & learnable
        better = completion.by_labels(found, attributes, verdicts)
        values, correctness = (
            np.where(informed, new, old)
            for new, old in zip(better, (values, correctness), strict=True)
        )
        evidence = np.where(informed, LABELS, evidence)
    return Completed(
        found,
        np.where(known, labels == 1, values),
        np.where(known, "", evidence).astype(str),
        np.where(known, 1.0, correctness),
    )


def provenance(table: LabelTable, rows: Sequence[int], completed: Completed) -> pd.DataFrame:
    """One row per unknown cell of the ``rows`` of the table that were ``completed``: image,
    attribute, value, probability, evidence, expected_correctness."""
    labels = table.values[list(rows)]
    parts = []
    for one in table.layout:
        unknown = np.flatnonzero(np.isnan(labels[:, one.start]))
        own = completed.probability[unknown, one.start : one.stop]
        best = categories.chosen(own)
        at = unknown, one.start + best
        binary = completed.values[at].astype(int).astype(str)
        value = np.array(one.values, dtype=object)[best] if one.values else binary
        parts.append(
            pd.DataFrame(
                {
                    "image": [table.images[rows[int(row)]] for row in unknown],
                    "attribute": one.name,
                    "value": value,
                    "probability": completed.probability[at].round(6),
                    "evidence": completed.evidence[at],
                    "expected_correctness": completed.correctness[at].round(6),
                }
            )
        )
    order = ["image", "attribute"]
    return pd.concat(parts).sort_values(order, kind="stable", ignore_index=True)


def told(table: LabelTable, completed: Completed) -> str:
    """In words, how many cells of the completed rows were known and how many were told."""
    evidence = completed.evidence[:, [one.start for one in table.layout]]
    unknown, by_labels = (evidence != "").sum(), (evidence == LABELS).sum()
    return (
        f"in their rows {evidence.size - unknown} known labels are kept and {unknown} cells told, "
        f"{by_labels} of them from labels, too"
    )


def write(
    table: LabelTable,
    rows: Sequence[int],
    completed: Completed,
    pictures: pd.DataFrame,
    folder: Path,
) -> None:
    """Write ``labels.csv``, the table with its ``rows`` completed, ``provenance.csv`` and
    ``pictures.csv``, all of them or none."""
    values = np.array(table.values, dtype=np.float64)
    values[list(rows)] = completed.values
    filled = table.filled(values)
    cells = {name: written(own) for name, own in filled.cells.items()}
    folder.mkdir(exist_ok=True)
    frames = (
        pd.DataFrame({"image": table.images, **cells}),
        provenance(table, rows, completed),
        pictures,
    )
    with ExitStack() as stack:
        stagings = [stack.enter_context(replace_file(folder / name)) for name in TABLES]
        for frame, staging in zip(frames, stagings, strict=True):
            # Not write_csv: a staging's file is held by its lock, and must stay the same file.
            frame.to_csv(staging, index=False, lineterminator="\n")
