"""python -m pipeline.writers NAME OUT: the filled table for another tool, and back.

With --back FILE, what people said there goes into data/corrections.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import params
from pipeline.data import answers, corrections, filled_table
from pipeline.data.answers import Reading
from pipeline.data.filled_table import FilledTable
from pipeline.errors import PipelineError, did_you_mean, run
from pipeline.files import replace_directory, write_csv
from pipeline.writers import cells
from pipeline.writers.registry import WRITERS


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    listed = "\n".join(f"  {name:<13} {writer.layout}" for name, writer in WRITERS.items())
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.writers",
        description="Give the filled table to another tool, or take back what people said there.",
        epilog=f"writers:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="of the writer")
    parser.add_argument(
        "out", metavar="OUT", type=Path, help="folder to write, or with --back that which went out"
    )
    parser.add_argument(
        "--back",
        metavar="FILE",
        type=Path,
        help="what came back, a file or a folder; its answers go into data/corrections.csv",
    )
    options = parser.parse_args(arguments)
    if options.name not in WRITERS:
        hint = did_you_mean(options.name, WRITERS, " ")
        raise PipelineError(
            f"no writer {options.name!r}; {hint}expected one of {', '.join(WRITERS)}"
        )
    p = params.load()
    folder, table = Path(p.data.images), filled_table.read()
    if options.back is None:
        print(send(options.name, cells.outgoing(table, folder), options.out))
    else:
        reading = answers.reading_of(table.given, folder, p.data.minus_one)
        print(take_back(options.name, table, reading, options.out, options.back))


def send(name: str, outgoing: cells.Outgoing, out: Path) -> str:
    """Write the folder ``out`` for a tool, whole or not at all; a line that says what next.

    Raises
    ------
    PipelineError
        If ``out`` holds something, or its parent is no folder; and as the writer.
    """
    if not out.absolute().parent.is_dir():
        raise PipelineError(f"{out}: no such folder as {out.parent}; make it")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise PipelineError(f"{out}: there is something already; choose another folder")
    with replace_directory(out) as staging:
        advice = WRITERS[name].write(outgoing, staging)
        write_csv(outgoing.cells, staging / cells.SENT)
    counts = outgoing.cells["state"].value_counts()
    states = ", ".join(f"{counts.get(one, 0):,} {one}" for one in cells.STATES)
    advice = advice.replace("{out}", str(out))
    return f"{out}: {len(outgoing.split):,} images, cells {states}; {advice}"


def take_back(name: str, table: FilledTable, reading: Reading, out: Path, path: Path) -> str:
    """Put what people said in a tool into the file of corrections, whole or not at all.

    Raises
    ------
    PipelineError
        If it does not fit what went out into ``out``, the table, or earlier corrections.
    """
    if not path.exists():
        raise PipelineError(f"--back {path}: no such file or folder")
    sent = cells.read_sent(out)
    went = replace(cells.outgoing(table, Path()), cells=sent)
    try:
        found = cells.answers(sent, WRITERS[name].read(path, went), table.values, name)
        answers.check(found, table.row, table.values)
        before = len(answers.read(reading=reading))
        said = answers.put([table.recorded(one) for one in found], reading=reading)
    except PipelineError as error:
        raise PipelineError(f"--back {path}: {error}; nothing was written") from error
    return (
        f"{path}: {len(found):,} cells that people judged, {len(said) - before:,} of them new in "
        f"{corrections.PATH}; they count from the next `dvc repro` on"
    )


if __name__ == "__main__":
    run(main)
