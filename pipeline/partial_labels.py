"""Pictures of which some labels are known: their table, and the rows completed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data import categories
from pipeline.data.categories import Attribute
from pipeline.data.image_names import ImageNames
from pipeline.data.labels import LabelTable, written
from pipeline.data.read_table import read_table
from pipeline.data.verdicts import LEARNABLE
from pipeline.errors import fail, listed
from pipeline.files import replace_file, write_csv
from pipeline.impute import label_completion
from pipeline.impute.completion import Completion
from pipeline.impute.fill import LABELS, PICTURE, PRIOR

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


def read(
    path: Path, paths: Sequence[Path], files: Sequence[Path], attributes: Sequence[Attribute]
) -> Partial:
    """The labels in ``path`` of the pictures ``files``, which stand for or lie below ``paths``.

    In the table a picture is called by its path below the folder, if ``paths`` is a single one;
    otherwise by its path as given, or by the last part of that if no other picture has the same.

    Raises
    ------
    PipelineError
        If it can't be read, has a column that is none of the ``attributes``, or names none of the
        pictures.
    """
    if not path.is_file():
        fail(path, "no such file; expected a table of known labels, as of data.labels")
    folder = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    names = [str(file if folder is None else file.relative_to(folder)) for file in files]
    given = read_table(path, known=attributes, names=None if folder is None else ImageNames(folder))
    place = {name: row for row, name in enumerate(names)}
    if folder is None:
        last = [file.name for file in files]
        place |= {name: row for row, name in enumerate(last) if last.count(name) == 1}
    found = [place.get(image, -1) for image in given.images]
    missing = [image for image, row in zip(given.images, found, strict=True) if row < 0]
    if len(missing) == len(found):
        fail(
            path,
            f"none of its {len(found)} images is among the {len(files)} pictures; it has "
            f"{missing[0]!r}, expected names as {listed(names, 3)}",
        )
    notes = given.notes
    if missing:
        notes += (
            f"{path}: {len(missing)} of {len(found)} rows name none of the pictures: left out "
            f"({listed(missing, 3)})",
        )
    cells = {}
    there, to = np.flatnonzero(np.array(found) >= 0), np.array(found)
    for one in attributes:
        column = np.full(len(files), "" if one.values else np.nan, object if one.values else "f4")
        if one.name in given.cells:
            column[to[there]] = given.cells[one.name][there]
        cells[one.name] = column
        other = sorted({*column} - {"", *one.values}) if one.values else []
        if other:
            notes += (
                f"{path}: column {one.name!r}: {listed(other, 5)}: not among the values that the "
                f"classifier tells apart ({listed(one.values)}); kept as given",
            )
    vocabulary = {one.name: one.values for one in attributes if one.values}
    return Partial(LabelTable(names, cells, vocabulary=vocabulary), notes)


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


def write(table: LabelTable, rows: Sequence[int], completed: Completed, folder: Path) -> None:
    """Write ``labels.csv``, the table with its ``rows`` completed, and ``provenance.csv``."""
    values = np.array(table.values, dtype=np.float64)
    values[list(rows)] = completed.values
    filled = table.filled(values)
    cells = {name: written(own) for name, own in filled.cells.items()}
    folder.mkdir(exist_ok=True)
    for name, frame in (
        ("labels.csv", pd.DataFrame({"image": table.images, **cells})),
        ("provenance.csv", provenance(table, rows, completed)),
    ):
        with replace_file(folder / name) as staging:
            write_csv(frame, staging)
