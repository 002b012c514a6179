"""python -m pipeline.readers open_images train-labels.csv --out labels.csv: Open Images' labels.

A row per image and class: ImageID, Source, LabelName, Confidence. People's answers (verification,
crowdsource-verification) are 1 or 0, a machine's anything between. A pair without a row was never
asked: unknown. Kuznetsova et al., "The Open Images Dataset V4", IJCV 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.data.table_files import read_rows
from pipeline.errors import fail, run
from pipeline.readers import table

IMAGE, SOURCE, LABEL, CONFIDENCE = "ImageID", "Source", "LabelName", "Confidence"
MACHINE = "machine"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = table.arguments("open_images", "Write the label table of Open Images.", "LABELS_CSV")
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="class-descriptions.csv, for readable names"
    )
    parser.add_argument("--columns", help="classes to write, separated by comma (default: all)")
    parser.add_argument(
        "--machine",
        type=float,
        metavar="P",
        help="take a machine's confidence for 1 from P on (default: it is unknown)",
    )
    options = parser.parse_args(arguments)
    table.check_out(options.out, options.source)
    columns = table.names(options.columns)
    result = read(options.source, options.classes, columns, options.machine)
    images = options.images or options.source.parent / "images"
    table.deliver(result, options.source, options.out, images)


def read(
    path: str | Path,
    classes: str | Path | None = None,
    columns: Sequence[str] = (),
    machine: float | None = None,
) -> table.Table:
    """The label table: image ``<ImageID>.jpg``, a column per class by name.

    People's answers go before a machine's; where people disagree the cell is unknown.

    Raises
    ------
    PipelineError
        If a file is not of this layout.
    """
    path = Path(path)
    header, rows = table.cells_of(path, [IMAGE, LABEL, CONFIDENCE])
    places = {name: header.index(name) for name in header}
    readable = {} if classes is None else _classes(Path(classes))
    said: dict[str, dict[str, str]] = {}
    guessed: dict[str, dict[str, str]] = {}
    found: set[str] = set()
    torn = unknown = 0
    for line, cells in rows:
        name = cells[places[LABEL]]
        name = readable.get(name, name)
        try:
            confidence = float(cells[places[CONFIDENCE]])
        except ValueError:
            confidence = float("nan")
        if not 0 <= confidence <= 1:
            got = cells[places[CONFIDENCE]][:60]
            fail(path, f"row {line}, column {CONFIDENCE!r}: got {got!r}, expected 0 to 1")
        by_machine = SOURCE in places and MACHINE in cells[places[SOURCE]].lower()
        if not by_machine and confidence not in (0, 1):
            got = cells[places[CONFIDENCE]]
            fail(path, f"row {line}: got {got} of people, expected 1 or 0; correct {SOURCE}")
        image = cells[places[IMAGE]]
        own = said.setdefault(image, {})
        found.add(name)
        if by_machine:
            if machine is not None and confidence >= machine:
                guessed.setdefault(image, {})[name] = "1"
            else:
                unknown += 1
            continue
        value = str(int(confidence))
        if own.get(name, value) not in (value, ""):
            torn += 1
            value = ""
        own[name] = value if own.get(name) != "" else ""
    table.check_columns_asked(path, columns, found)
    chosen = list(columns) or sorted(found)
    grid = []
    for image, own in said.items():
        cells_of = guessed.get(image, {}) | own
        grid.append([f"{image}.jpg", *(cells_of.get(name, "") for name in chosen)])
    notes = (f"unknown for lack of a person's word: {unknown} rows; where people disagree: {torn}",)
    return table.Table(chosen, grid, notes=notes)


def _classes(path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for line, cells in read_rows(path, named_by="the path"):
        if len(cells) != 2:
            fail(path, f"row {line}: got {len(cells)} cells, expected a class and its name")
        names[cells[0]] = cells[1]
    repeated = {name for name in names.values() if [*names.values()].count(name) > 1}
    return {one: f"{name} ({one})" if name in repeated else name for one, name in names.items()}


if __name__ == "__main__":
    run(main)
