"""python -m pipeline.readers NAME ARGUMENTS: another layout as the label table the pipeline reads.

The reader says what its arguments are: python -m pipeline.readers NAME --help.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pipeline.errors import PipelineError, did_you_mean, run
from pipeline.readers.registry import READERS


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    listed = "\n".join(f"  {name:<12} {reader.layout}" for name, reader in READERS.items())
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.readers",
        description="Write the label table of another layout.",
        epilog=f"readers:\n{listed}\n\nNAME --help says the arguments of one of them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="of the reader")
    parser.add_argument("arguments", metavar="ARGUMENTS", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    reader = READERS.get(options.name)
    if reader is None:
        hint = did_you_mean(options.name, READERS, " ")
        raise PipelineError(
            f"no reader {options.name!r}; {hint}expected one of {', '.join(READERS)}"
        )
    reader.main(options.arguments)


if __name__ == "__main__":
    run(main)
