"""python -m pipeline.readers celeba list_attr_celeba.txt --out labels.csv: CelebA's attributes.

``list_attr_celeba.txt`` has the number of images, the names of the attributes, then a line per
image with 1 or -1 for each; ``list_eval_partition.txt`` says 0, 1 or 2 of each image: training,
validation, test. Kaggle's copies are CSV with a header. Layout:
https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.data.labels import SPLITS
from pipeline.data.table_files import Row
from pipeline.errors import fail, run
from pipeline.readers import table

CELLS = {"1": "1", "-1": "0"}
PARTITION = dict(zip(("0", "1", "2"), SPLITS, strict=True))
IMAGES = "img_align_celeba"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = table.arguments("celeba", "Write the label table of CelebA.", "LIST_ATTR_CELEBA")
    parser.add_argument(
        "--partition",
        type=Path,
        metavar="FILE",
        help="list_eval_partition, for the split (default: the one beside, if any)",
    )
    options = parser.parse_args(arguments)
    table.check_out(options.out, options.source)
    beside = options.source.with_name(f"list_eval_partition{options.source.suffix}")
    partition = options.partition or (beside if beside.is_file() else None)
    result = read(options.source, partition)
    images = options.images or options.source.parent / IMAGES
    table.deliver(result, options.source, options.out, images)


def read(path: str | Path, partition: str | Path | None = None) -> table.Table:
    """The label table; with ``partition`` a column ``split`` beside the attributes.

    Raises
    ------
    PipelineError
        If a file is not of this layout: a row of another width, a cell that is neither 1 nor -1,
        another number of images than said, an image twice or without its part.
    """
    path = Path(path)
    rows = _rows(path)
    line, first = rows[0]
    if len(first) == 1 and first[0].isdecimal() and len(rows) > 1:
        names, body = rows[1][1], rows[2:]
        if len(body) != int(first[0]):
            fail(path, f"row {line}: {first[0]} images, but {len(body)} rows follow; get it anew")
    elif first[0] == "image_id":
        names, body = first[1:], rows[1:]
    else:
        fail(
            path,
            f"row {line}: got {' '.join(first)[:60]!r}, expected the number of images or a header "
            "that begins with image_id; give list_attr_celeba",
        )
    seen: dict[str, int] = {}
    found = []
    for line, cells in body:
        if len(cells) != len(names) + 1:
            fail(path, f"row {line}: got {len(cells)} cells, expected {len(names) + 1}; correct")
        if seen.setdefault(cells[0], line) != line:
            fail(path, f"row {line}: image {cells[0]!r} is in row {seen[cells[0]]}, too; keep one")
        wrong = next((i for i, cell in enumerate(cells[1:]) if cell not in CELLS), None)
        if wrong is not None:
            got = cells[wrong + 1][:60]
            fail(path, f"row {line}, column {names[wrong]!r}: got {got!r}, expected 1 or -1")
        found.append([cells[0], *(CELLS[cell] for cell in cells[1:])])
    if partition is None:
        return table.Table(names, found)
    parts = _partition(Path(partition))
    if absent := next((row[0] for row in found if row[0] not in parts), None):
        fail(partition, f"image {absent!r} is not in it; give the list of the same images")
    splits = [parts[row[0]] for row in found]
    return table.Table(names, found, {"split": splits}, {"split.column": "split"})


def _rows(path: Path) -> list[Row]:
    """Cells separated by comma or by white space, whose width is no matter."""
    text = table.read_text(path, "a list of CelebA")
    split = (lambda line: line.split(",")) if "," in text[:200] else str.split
    lines = enumerate(text.splitlines(), 1)
    rows = [(i, [cell.strip() for cell in split(line)]) for i, line in lines if line.strip()]
    if not rows:
        fail(path, "an empty file; expected a list of CelebA")
    return rows


def _partition(path: Path) -> dict[str, str]:
    parts = {}
    for line, cells in _rows(path):
        if cells[:1] == ["image_id"]:
            continue
        if len(cells) != 2 or cells[1] not in PARTITION:
            fail(
                path,
                f"row {line}: got {' '.join(cells)[:60]!r}, expected an image and 0, 1 or 2; "
                "give list_eval_partition",
            )
        parts[cells[0]] = PARTITION[cells[1]]
    return parts


if __name__ == "__main__":
    run(main)
