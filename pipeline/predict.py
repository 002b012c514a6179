"""python -m pipeline.predict IMAGE_OR_FOLDER ...: attributes of any pictures.

With --labels TABLE a picture's known labels tell of its others, too: rows are completed.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from pipeline import partial_labels, progress, runtime
from pipeline.data import categories, image_files, images
from pipeline.data.labels import LabelTable
from pipeline.data.loading import ahead, read
from pipeline.data.verdicts import IN_WORDS, LEARNABLE
from pipeline.errors import PipelineError, run
from pipeline.features.extract import STEPS
from pipeline.files import escape_formula, replace_file
from pipeline.impute import label_completion
from pipeline.impute.decisions import Decisions
from pipeline.impute.label_completion import Completion
from pipeline.partial_labels import Completed
from pipeline.training.inference import Predictor

__all__ = [
    "Predictor",
    "complete",
    "expand",
    "guesses",
    "left_out",
    "load",
    "main",
    "outcomes",
    "predict_image",
    "predictions",
    "write",
]
T = TypeVar("T")
Outcome = tuple[dict[str, Any], np.ndarray | None]
"""The begin of a picture's row, and its probabilities [A]; None where it can't be read."""
EXIT_SOME_FAILED = 1
UNLIKE = "unlike_training"
"""Column: whether a picture is unlike all that the classifier was trained on."""
UNDECODABLE = "backslashreplace"
"""A file's name need not be text: its other bytes are written as escapes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 1 when a picture could not be read, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.predict",
        description="Probability and decision per attribute for pictures, by the trained "
        "classifier.",
    )
    parser.add_argument("paths", nargs="+", metavar="IMAGE_OR_FOLDER", type=Path)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="a .csv or .json file; without it CSV is printed; with --labels also a folder, for "
        "labels.csv and provenance.csv",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="TABLE",
        help="some labels of some of the pictures, as a label table has them: they are kept, and "
        "the others told from picture and labels",
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="a trained classifier, as models/multilabel is; by default the project's own",
    )
    parser.add_argument(
        "--escape-formulas",
        action="store_true",
        help="put an apostrophe before names that a spreadsheet would compute",
    )
    options = parser.parse_args(arguments)
    to_folder = options.out is not None and options.out.suffix.lower() not in (".csv", ".json")
    if to_folder and options.labels is None:
        raise PipelineError(f"--out {options.out}: expected a name that ends in .csv or .json")
    if to_folder and options.out.exists() and not options.out.is_dir():
        raise PipelineError(
            f"--out {options.out}: a file, expected a folder, or a name that ends in .csv or .json"
        )
    if options.out is not None and not options.out.absolute().parent.is_dir():
        raise PipelineError(f"--out {options.out}: no such folder as {options.out.parent}; make it")
    if options.out is not None and options.out.is_dir() and not to_folder:
        raise PipelineError(f"--out {options.out}: a folder, expected a file; choose another name")
    files = expand(options.paths)
    if not files:
        raise PipelineError(
            f"{options.paths[0]}: no image in it; expected files that end in "
            f"{', '.join(sorted(image_files.SUFFIXES))}"
        )
    runtime.prepare(seed=0)
    predictor = Predictor(options.model)
    names = [one.name for one in predictor.attributes]
    for line in guesses(predictor):
        print(line, file=sys.stderr)
    if others := left_out(options.paths):
        print(f"{others} other files in the folders are no pictures: left out", file=sys.stderr)

    def track(of_pictures: Iterator[T]) -> Iterator[T]:
        if options.out is None and sys.stdout.isatty():  # a bar would cut through the rows
            return of_pictures
        return progress.track(of_pictures, "predict", "picture", len(files))

    scaled: dict[Path, int] = {}
    if options.labels is None:
        plain = track(predictions(predictor, files, scaled))
        failed = write(plain, names, options.out, options.escape_formulas)
    else:
        completion = label_completion.read(predictor.folder)
        given = partial_labels.read(options.labels, options.paths, files, predictor.attributes)
        for line in given.notes:
            print(line, file=sys.stderr)
        found = list(track(outcomes(predictor, files, scaled)))
        rows, completed = complete(predictor, completion, given.table, found)
        failed = len(files) - len(rows)
        if to_folder:
            partial_labels.write(given.table, rows, completed, options.out)
        else:
            whole = _completed_rows(predictor, given.table, found, rows, completed)
            write(whole, names, options.out, options.escape_formulas)
    for bits in sorted({*scaled.values()}):
        same = sorted(str(file) for file, own in scaled.items() if own == bits)
        first = ", ".join(same[:3]) + (", ..." if len(same) > 3 else "")
        print(
            f"{len(same)} pictures of 16 bits have no sample above {(1 << bits) - 1} and are "
            f"scaled by these {bits} bits: {first}",
            file=sys.stderr,
        )
    if failed:
        print(f"{failed} of {len(files)} pictures could not be read", file=sys.stderr)
    return EXIT_SOME_FAILED if failed else 0


def guesses(model: Predictor) -> list[str]:
    """A line for each attribute whose decisions are guesses, as it was not found learnable."""
    verdicts = _verdicts(model)
    return [
        f"{one.name}: {IN_WORDS[verdicts[one.start]]}: its decisions are guesses"
        for one in model.attributes
        if verdicts[one.start] != LEARNABLE
    ]


def expand(paths: Sequence[Path]) -> list[Path]:
    """Files as given, folders by the images in them.

    A path that does not exist stays, to be reported as a row.
    """
    files: list[Path] = []
    for path in paths:
        files += image_files.list_images(path) if path.is_dir() else [path]
    return files


def left_out(paths: Sequence[Path]) -> int:
    """How many files below the folders among ``paths`` `expand` leaves out."""
    folders = [path for path in paths if path.is_dir()]
    return sum(
        not image_files.is_image(file) for one in folders for file in image_files.list_files(one)
    )


def predictions(
    model: Predictor, files: Sequence[Path], scaled: dict[Path, int] | None = None
) -> Iterator[dict[str, Any]]:
    """One row per file, in order: image, error, `UNLIKE`, and `of_attribute` of each attribute.

    Only one batch of pictures is in memory at a time.
    """
    file = model.folder / label_completion.NAME
    judge = _judge(model.folder.absolute(), file.stat().st_mtime_ns) if file.is_file() else None
    found = outcomes(model, files, scaled)
    while batch := list(islice(found, model.batch)):
        rows, probability = _readable(model, batch)
        softmax = categories.spans(model.card.categories)
        values = categories.decide(probability, np.array(model.card.thresholds), softmax)
        correctness = np.where(values, probability, 1 - probability)
        if judge is not None:
            values, correctness = judge(probability, model.attributes, _verdicts(model))
        cells = dict(zip(rows, zip(probability, values, correctness, strict=True), strict=True))
        for row, (begin, _) in enumerate(batch):
            yield begin | _cells(model, *cells[row]) if row in cells else begin


@lru_cache(maxsize=1)
def _judge(folder: Path, changed: int) -> Decisions:
    """Read once for many calls with few pictures; ``changed`` tells another file from it."""
    return label_completion.read(folder).by_picture


def _readable(model: Predictor, found: Sequence[Outcome]) -> tuple[list[int], np.ndarray]:
    """Which outcomes have probabilities, and these, [n, A]."""
    rows = [row for row, (_, probability) in enumerate(found) if probability is not None]
    columns = len(model.card.attributes)
    return rows, np.reshape([found[row][1] for row in rows], (len(rows), columns))


def _verdicts(model: Predictor) -> Sequence[str]:
    """[A], of an older classifier that has none as if all were learnable."""
    return model.card.learnable or (LEARNABLE,) * len(model.card.attributes)


def outcomes(
    model: Predictor, files: Sequence[Path], scaled: dict[Path, int] | None = None
) -> Iterator[Outcome]:
    """The begin of each file's row, in order: image, error and `UNLIKE`; and its probabilities [A],
    None where it can't be read. Files of 16 bits of which
    fewer are in use, see `images.decode`, join ``scaled`` with their number.

    Pictures are decoded ahead in threads, and the network's next step starts before the last one
    has ended, so that no core waits. What is one step alone runs in the caller's thread: in a new
    one the kernels prepare themselves again, which takes as long as a small network does.
    """
    size = model.card.image_size
    read = partial(load, size=size, scaled=scaled)
    if len(files) == 1:
        yield from _of_batch(model, [(files[0], read(files[0]))])
        return
    threads = len(os.sched_getaffinity(0))
    pictures = ahead(read, files, threads, depth=2 * model.batch)
    batches = _batched(pictures, model.batch)
    if len(files) <= model.batch:
        yield from (one for batch in batches for one in _of_batch(model, batch))
        return
    for _, found in ahead(partial(_of_batch, model), batches, STEPS, depth=STEPS - 1):
        yield from found


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """``size`` items at a time; the last may be fewer."""
    several = iter(items)
    while batch := list(islice(several, size)):
        yield batch


def load(
    file: Path, size: tuple[int, int], scaled: dict[Path, int] | None = None
) -> np.ndarray | str:
    """The picture, uint8 [h, w, 3] of ``size`` (h, w), or why it can't be read; see `outcomes`."""
    try:
        picture = read(file, size)[0]
        if scaled is not None and "bits" in picture.info:
            scaled[file] = picture.info["bits"]
        return images.resize(picture, size)
    except images.ImageError as error:
        return str(error)


def _of_batch(model: Predictor, batch: list[tuple[Path, np.ndarray | str]]) -> list[Outcome]:
    good = [picture for _, picture in batch if isinstance(picture, np.ndarray)]
    found = model.predict(np.stack(good)) if good else None
    out: list[Outcome] = []
    at = 0
    for file, picture in batch:
        if found is None or isinstance(picture, str):
            out.append(({"image": str(file), "error": picture}, None))
            continue
        row = {"image": str(file), "error": ""}
        if found.unlike_training is not None:
            row[UNLIKE] = "yes" if found.unlike_training[at] else "no"
        out.append((row, found.probability[at]))
        at += 1
    return out


def _cells(
    model: Predictor, probability: np.ndarray, values: np.ndarray, correctness: np.ndarray
) -> dict[str, Any]:
    """The columns `of_attribute` of each attribute, from [A] of the table's columns each; of a
    categorical attribute the most probable value is taken."""
    cells: dict[str, Any] = {}
    verdicts = _verdicts(model)
    for one in model.attributes:
        at = one.start + int(np.argmax(probability[one.start : one.stop]))
        of = (
            one.values[at - one.start] if one.values else int(values[at]),
            round(float(probability[at]), 6),
            round(float(correctness[at]), 6),
            verdicts[at],
        )
        cells |= dict(zip(of_attribute(one.name), of, strict=True))
    return cells


def complete(
    model: Predictor, completion: Completion, table: LabelTable, found: Sequence[Outcome]
) -> tuple[list[int], Completed]:
    """The rows of ``table``, one for each outcome, whose picture could be read, and these rows
    completed."""
    rows, probability = _readable(model, found)
    return rows, partial_labels.complete(
        completion, probability, table.values[rows], model.attributes, _verdicts(model)
    )


def _completed_rows(
    model: Predictor,
    table: LabelTable,
    found: Sequence[Outcome],
    rows: Sequence[int],
    completed: Completed,
) -> Iterator[dict[str, Any]]:
    """As `predictions`; a known cell is as given, of probability 1 or 0."""
    place = {row: number for number, row in enumerate(rows)}
    for row, (begin, _) in enumerate(found):
        if row not in place:
            yield begin
            continue
        at = place[row]
        parts = completed.probability[at], completed.values[at], completed.correctness[at]
        cells = begin | _cells(model, *parts)
        for one in model.attributes:
            given = table.cells[one.name][row]
            if one.values and given:  # it may be a value that the classifier does not tell apart
                value, probability, *_ = of_attribute(one.name)
                cells |= {value: given, probability: 1.0}
        yield cells


def of_attribute(name: str) -> tuple[str, str, str, str]:
    """Columns of an attribute: its value; the probability of 1, or of a categorical attribute's
    value; how likely the value is right; whether the attribute was found learnable."""
    return name, f"{name}_probability", f"{name}_expected_correctness", f"{name}_learnable"


def predict_image(
    model: Predictor, image_path: str | Path, threshold: float | None = None
) -> tuple[dict[str, float], list[str]]:
    """Probabilities of one picture, and what is present in it.

    Parameters
    ----------
    model : made once, for any number of pictures.
    threshold : for all attributes; None takes each one's own.

    Returns
    -------
    Probability of each column (``colour=red`` for a value of a categorical attribute), and the
    names of those that reach the threshold; of a categorical attribute the most probable value.

    Raises
    ------
    PipelineError
        If the picture can't be read.
    """
    picture = load(Path(image_path), model.card.image_size)
    if isinstance(picture, str):
        raise PipelineError(f"{image_path}: {picture}")
    (probability,) = model.probabilities(picture[None])
    present = []
    for one in model.attributes:
        own = probability[one.start : one.stop]
        limit = model.card.thresholds[one.start] if threshold is None else threshold
        if one.values or own[0] >= limit:
            present.append(one.columns[int(np.argmax(own))])
    return dict(zip(model.card.attributes, probability.tolist(), strict=True)), present


def write(
    rows: Iterator[dict[str, Any]],
    attributes: Sequence[str],
    out: Path | None,
    escape: bool = False,
) -> int:
    """Write ``rows`` as they come, to standard output without ``out``; the number of failures.

    ``escape`` is for CSV that people open, see `files.escape_formula`. An earlier ``out`` is
    replaced when all rows are written, and not before.
    """
    if out is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors=UNDECODABLE)
        return _write_csv(rows, attributes, sys.stdout, escape)
    with (
        replace_file(out) as staging,
        staging.open("w", encoding="utf-8", errors=UNDECODABLE, newline="") as stream,
    ):
        if out.suffix.lower() == ".json":
            return _write_json(rows, stream)
        return _write_csv(rows, attributes, stream, escape)


def _write_csv(
    rows: Iterator[dict[str, Any]], attributes: Sequence[str], stream: IO[str], escape: bool
) -> int:
    columns = ["image", "error", UNLIKE]
    for attribute in attributes:
        columns += of_attribute(attribute)
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    show = escape_formula if escape else str
    writer.writerow({name: show(name) for name in columns})
    failed = 0
    for row in rows:
        failed += bool(row["error"])
        texts = {name: show(cell) for name, cell in row.items() if isinstance(cell, str)}
        writer.writerow(row | texts)
    return failed


def _write_json(rows: Iterator[dict[str, Any]], stream: IO[str]) -> int:
    """A JSON array, one object per line."""
    failed = 0
    separator = "[\n"
    for row in rows:
        failed += bool(row["error"])
        stream.write(separator + json.dumps(row, ensure_ascii=False))
        separator = ",\n"
    stream.write("\n]\n")
    return failed


if __name__ == "__main__":
    run(main)
