"""python -m pipeline.predict IMAGE_OR_FOLDER ...: attributes of any pictures.

With --labels TABLE a picture's known labels tell of its others, too: rows are completed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline import params, partial_labels, progress, runtime
from pipeline.data import image_files, imputed_arrays
from pipeline.data.verdicts import IN_WORDS, LEARNABLE
from pipeline.errors import PipelineError, fail, run
from pipeline.impute.completion import read as read_completion
from pipeline.predict.pictures import (
    complete,
    completed_rows,
    of_pictures,
    outcomes,
    predictions,
    verdicts,
)
from pipeline.predict.rows import Tally, write
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
        f"{', '.join(partial_labels.TABLES)}",
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
    if options.out is not None:
        check_replaceable(options.out, options.labels, to_folder)
    if not any(path.exists() for path in options.paths):
        fail(options.paths[0], "no such file or folder, expected images or folders; correct it")
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
        tally = write(plain, names, options.out, options.escape_formulas)
    else:
        completion = read_completion(predictor.folder)
        given = partial_labels.read(
            *(options.labels, options.paths, files, predictor.attributes), **tables_are_read()
        )
        if completion.model is None:
            print(
                f"{predictor.folder}: other labels were found to say nothing beyond the picture: "
                "those given are kept, and tell of no other cell",
                file=sys.stderr,
            )
        for line in given.notes:
            print(line, file=sys.stderr)
        found = list(track(outcomes(predictor, files, scaled)))
        tally = Tally()
        for begin, _ in found:
            tally.count(begin)
        if options.out is not None:
            tally.check(options.out)
        rows, completed = complete(predictor, completion, given.table, found)
        if to_folder:
            shown = of_pictures(given.table, found)
            partial_labels.write(given.table, rows, completed, shown, options.out)
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
    if tally.failed:
        print(f"{tally.failed} of {len(files)} pictures could not be read", file=sys.stderr)
    if options.out is not None:
        unlike = f", {tally.unlike} of them unlike all that the classifier was trained on"
        told = "" if tally.unlike is None else unlike
        print(f"{options.out}: {len(files) - tally.failed} pictures{told}", file=sys.stderr)
        if options.labels is not None:
            print(partial_labels.told(given.table, completed), file=sys.stderr)
    return EXIT_SOME_FAILED if tally.failed else 0


def check_replaceable(out: Path, labels: Path | None, to_folder: bool) -> None:
    """Refuse an ``out`` in whose place there are the known labels, or a table that was not
    predicted."""
    tables = [out / name for name in partial_labels.TABLES] if to_folder else [out]
    if labels is not None and os.path.realpath(labels) in map(os.path.realpath, tables):
        raise PipelineError(
            f"--out {out}: would replace {labels}, which --labels names; choose another name"
        )
    folder = out if to_folder else out.parent
    if os.path.realpath(folder) == os.path.realpath(imputed_arrays.FOLDER):
        raise PipelineError(
            f"--out {out}: {folder} is of the table that the pipeline fills; choose another folder"
        )
    if to_folder and tables[0].exists() and not tables[1].exists():
        raise PipelineError(
            f"--out {out}: {tables[0]} without {tables[1].name} is no table that was predicted; "
            "choose another folder, or move it away"
        )


def tables_are_read() -> dict[str, Any]:
    """What the params of a project in the current folder say of how a table is read.

    Not ``data.blank``: an empty cell is what is to be predicted, and never a 0.
    """
    if not Path("params.yaml").is_file():
        return {}
    p = params.load()
    return {
        "image_column": p.data.image_column,
        "encoding": p.data.encoding,
        "minus_one": p.data.minus_one,
    }


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
