"""python -m pipeline.readers nih Data_Entry_2017.csv --out labels.csv: NIH's chest X-rays.

A row per picture: Image Index, Finding Labels (``Effusion|Mass``, or ``No Finding``), Patient ID
and more; ``test_list.txt`` names the test images. Wang et al., "ChestX-ray8", CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import fail, run
from pipeline.readers import table

IMAGE, FINDINGS, PATIENT = "Image Index", "Finding Labels", "Patient ID"
NONE = "No Finding"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = table.arguments("nih", "Write the label table of NIH's chest X-rays.", "DATA_ENTRY")
    parser.add_argument(
        "--test-list",
        type=Path,
        metavar="FILE",
        help="test_list.txt, for the split (default: the one beside, if any)",
    )
    options = parser.parse_args(arguments)
    table.check_out(options.out, options.source)
    beside = options.source.with_name("test_list.txt")
    result = read(options.source, options.test_list or (beside if beside.is_file() else None))
    table.deliver(
        result, options.source, options.out, options.images or options.source.absolute().parent
    )


def read(path: str | Path, test_list: str | Path | None = None) -> table.Table:
    """The label table: a column per finding, 0 where a picture's list lacks it, and ``patient``;
    with ``test_list`` a column ``split``, without validation.

    Raises
    ------
    PipelineError
        If a file is not of this layout.
    """
    path = Path(path)
    header, rows = table.cells_of(path, [IMAGE, FINDINGS])
    image, findings = header.index(IMAGE), header.index(FINDINGS)
    of: dict[str, set[str]] = {}
    for line, cells in rows:
        found = {one.strip() for one in cells[findings].split("|") if one.strip()}
        if not found:
            fail(path, f"row {line}, column {FINDINGS!r}: it is empty, expected {NONE} or findings")
        if NONE in found and len(found) > 1:
            fail(path, f"row {line}, column {FINDINGS!r}: {NONE} beside a finding; correct it")
        if cells[image] in of:
            fail(path, f"row {line}: image {cells[image]!r} is in another row, too; keep one")
        of[cells[image]] = found - {NONE}
    columns = sorted(set().union(*of.values()))
    grid = [[name, *(str(int(one in found)) for one in columns)] for name, found in of.items()]
    beside, params = {}, {}
    if PATIENT in header:
        beside["patient"] = [cells[header.index(PATIENT)] for _, cells in rows]
        params["split.group_column"] = "patient"
    if test_list is not None:
        test = {*table.read_text(Path(test_list), "a list of images").split()}
        if not test & {*of}:
            fail(test_list, f"none of its images is in {path.name}; give the list of these images")
        beside["split"] = ["test" if name in test else "train" for name in of]
        params["split.column"] = "split"
    return table.Table(columns, grid, beside, dict(params))


if __name__ == "__main__":
    run(main)
