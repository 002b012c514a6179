"""python -m pipeline.readers styles styles.csv --out labels.csv: Kaggle's fashion products.

"Fashion Product Images" (https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-dataset)
has a table styles.csv with the columns id, gender, masterCategory, subCategory, articleType,
baseColour, season, year, usage, productDisplayName, and images named by id.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.data.labels import UNKNOWN
from pipeline.data.table_files import Row
from pipeline.errors import PipelineError, did_you_mean, fail, listed, one_line, run
from pipeline.readers import table

ID = "id"
FREE_TEXT = "productDisplayName"
DEFAULT_COLUMNS = (
    *("gender", "masterCategory", "subCategory", "articleType"),
    *("baseColour", "season", "usage"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.readers styles",
        description="Write the label table of Kaggle's Fashion Product Images.",
    )
    parser.add_argument("styles", metavar="STYLES_CSV", type=Path)
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="a .csv file")
    parser.add_argument(
        "--columns", help=f"separated by comma (default: {','.join(DEFAULT_COLUMNS)})"
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="count the rows whose image is not in it (they are written all the same)",
    )
    options = parser.parse_args(arguments)
    table.check_out(options.out, options.styles)
    if options.images is not None and not table.is_folder(options.images):
        raise PipelineError(f"--images {options.images}: no such folder; give that of the images")
    names = DEFAULT_COLUMNS if options.columns is None else options.columns.split(",")
    result = read(options.styles, [name.strip() for name in names])
    missing = ""
    if options.images is not None:
        there = set(table.list_folder(options.images))
        count = sum(row[0] not in there for row in result.rows)
        missing = f"; {count} images not in {options.images}"
    table.write(result, options.out)
    command = table.experiment(
        {
            "data.labels": options.out,
            "data.images": options.images or options.styles.parent / "images",
            "categorical.columns": result.columns,
        }
    )
    table.say(f"{options.out}: {result.summary()}{missing}; next: {command}")


def read(path: str | Path, columns: Sequence[str] = DEFAULT_COLUMNS) -> table.Table:
    """The label table of a styles.csv: image ``<id>.jpg`` and ``columns`` of each row, in order.

    Unquoted commas are put back into productDisplayName where that is the last column, as in
    Kaggle's file. Cells are text, with runs of white space as one space; unknown ones (empty, NA,
    NaN or ?) are empty.

    Raises
    ------
    PipelineError
        If the file is no such table, lacks a column, or has a wrong row: fewer or more cells than
        the header, an id that is no number or that another row has.
    """
    path = Path(path)
    rows = _rows(path)
    _, header = next(rows, (1, []))
    _check_header(path, header)
    places = _places(path, header, columns)
    id_place = header.index(ID)
    seen: dict[str, int] = {}
    found = []
    for line, raw in rows:
        cells = raw
        if len(raw) > len(header) and header[-1] == FREE_TEXT:
            cells = [*raw[: len(header) - 1], ",".join(raw[len(header) - 1 :])]
        if len(cells) != len(header):
            fail(
                path,
                f"row {line}: got {len(cells)} cells, expected {len(header)} as in the header; add "
                "or remove cells, or quote a cell that holds a comma",
            )
        name = cells[id_place].strip()
        if not (name.isascii() and name.isdigit()):
            fail(path, f"row {line}, column {ID!r}: got {name[:60]!r}, expected a number; correct")
        earlier = seen.setdefault(name, line)
        if earlier != line:
            fail(path, f"row {line}, column {ID!r}: got {name}, as in row {earlier}; keep one")
        found.append([f"{name}.jpg", *(_cell(cells[place]) for place in places)])
    if not found:
        fail(path, "a header but no row below it, expected one row per product")
    table.check_columns(path, columns)
    return table.Table(list(columns), found)


def _rows(path: Path) -> Iterator[Row]:
    text = table.read_text(path, "Kaggle's styles.csv")
    # strict: a quote that is never closed would otherwise swallow the rest of the table.
    reader = csv.reader(io.StringIO(text, newline=None), strict=True)
    line = 1
    try:
        for cells in reader:
            if len(cells) > 1 or any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        fail(path, f"row {line}: {one_line(error)}; check the quotes there")


def _check_header(path: Path, header: list[str]) -> None:
    header[:] = [name.strip() for name in header]
    if ID not in header:
        found = ", ".join(header[:10])[:200] or "nothing"
        fail(
            path,
            f"row 1: no column {ID!r}: got {found}; expected the header of Kaggle's styles.csv, "
            "separated by comma",
        )
    if twice := [name for place, name in enumerate(header) if name in header[:place]]:
        fail(path, f"row 1: two columns are named {twice[0]!r}; rename or remove one")


def _places(path: Path, header: list[str], columns: Sequence[str]) -> list[int]:
    valid = [name for name in header if name and name != ID]
    for place, name in enumerate(columns):
        if name not in valid:
            hint = did_you_mean(name, valid, " ")
            fail(
                path,
                f"no column {name!r} to write; {hint}choose some of {listed(valid)} with --columns",
            )
        if name in columns[:place]:
            raise PipelineError(f"--columns: {name!r} is listed twice; remove one")
    return [header.index(name) for name in columns]


def _cell(text: str) -> str:
    joined = " ".join(text.split())
    return "" if joined.lower() in UNKNOWN else joined


if __name__ == "__main__":
    run(main)
