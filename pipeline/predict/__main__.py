"""python -m pipeline.predict IMAGE_OR_FOLDER ...: attributes of any pictures.

With --labels TABLE a picture's known labels tell of its others, too: rows are completed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline import partial_labels, progress, runtime
from pipeline.data import image_files
from pipeline.data.verdicts import IN_WORDS, LEARNABLE
from pipeline.errors import PipelineError, run
from pipeline.impute.completion import read as read_completion
from pipeline.predict.pictures import complete, completed_rows, outcomes, predictions, verdicts
from pipeline.predict.rows import write
from pipeline.training.inference import Predictor

T = TypeVar("T")
EXIT_SOME_FAILED = 1


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
        completion = read_completion(predictor.folder)
        given = partial_labels.read(options.labels, options.paths, files, predictor.attributes)
        for line in given.notes:
            print(line, file=sys.stderr)
        found = list(track(outcomes(predictor, files, scaled)))
        rows, completed = complete(predictor, completion, given.table, found)
        failed = len(files) - len(rows)
        if to_folder:
            partial_labels.write(given.table, rows, completed, options.out)
        else:
            whole = completed_rows(predictor, given.table, found, rows, completed)
            write(whole, names, options.out, options.escape_formulas)
    for bits in sorted({*scaled.values()}):
        same = sorted(str(file) for file, own in scaled.items() if own == bits)
        first = ", ".join(same[:3]) + (", ..." if len(same) > 3 else "")
        print(
            f"pictures of 16 bits with samples up to {(1 << bits) - 1} are scaled by "
            f"{bits} bits, {len(same)} of them: {first}",
            file=sys.stderr,
        )
    if failed:
        print(f"{failed} of {len(files)} pictures could not be read", file=sys.stderr)
    return EXIT_SOME_FAILED if failed else 0


def guesses(model: Predictor) -> list[str]:
    """A line for each attribute whose decisions are guesses, as it was not found learnable."""
    found = verdicts(model)
    return [
        f"{one.name}: {IN_WORDS[found[one.start]]}: its decisions are guesses"
        for one in model.attributes
        if found[one.start] != LEARNABLE
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


if __name__ == "__main__":
    run(main)
