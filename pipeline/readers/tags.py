"""python -m pipeline.readers tags train.csv --out labels.csv: a list of tags for each image.

As Planet's "Understanding the Amazon from Space" has it, ``image_name,tags`` with tags separated by
spaces; by any separator and in any column here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.data.labels import UNKNOWN
from pipeline.data.table_files import names_images
from pipeline.errors import fail, listed, run
from pipeline.readers import table

TAGS = ("tags", "tag", "labels", "label", "categories", "classes", "keywords")
SEPARATORS = ("|", ";", ",", " ")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = table.arguments("tags", "Write the label table of lists of tags.", "TABLE")
    parser.add_argument("--column", help="that holds the tags (default: tags or the like)")
    parser.add_argument("--image-column", help="that names the images (default: image or the like)")
    parser.add_argument(
        "--separator", help="of the tags (default: the first of | ; , and space that occurs)"
    )
    parser.add_argument(
        "--absent",
        choices=("negative", "unknown"),
        default="negative",
        help="what a tag means that an image does not have (default: negative)",
    )
    parser.add_argument("--columns", help="the tags to write, separated by comma (default: all)")
    options = parser.parse_args(arguments)
    table.check_out(options.out, options.source)
    result = read(
        *(options.source, options.column, options.image_column, options.separator),
        absent=options.absent,
        columns=table.names(options.columns),
    )
    table.deliver(
        result, options.source, options.out, options.images or options.source.parent / "images"
    )


def read(
    path: str | Path,
    column: str | None = None,
    image_column: str | None = None,
    separator: str | None = None,
    absent: str = "negative",
    columns: Sequence[str] = (),
) -> table.Table:
    """The label table: a column per tag, the most frequent first. Without any tag all of an image's
    cells are unknown.

    Raises
    ------
    PipelineError
        If a column can't be found, or an image is in two rows.
    """
    path = Path(path)
    header, rows = table.cells_of(path, [one for one in (column, image_column) if one])
    images = [one for one in header if one == image_column or names_images(one)]
    tagged = [one for one in header if one == column or one.strip().lower() in TAGS]
    for what, found, option in (("images", images, "image-column"), ("tags", tagged, "column")):
        if not found:
            fail(path, f"no column of {what}: got {listed(header, 8)}; name it with --{option}")
    image, place = header.index(image_column or images[0]), header.index(column or tagged[0])
    texts = [cells[place] for _, cells in rows]
    if separator is None:
        separator = next((one for one in SEPARATORS if any(one in text for text in texts)), " ")
    seen: dict[str, int] = {}
    of = []
    for line, cells in rows:
        if seen.setdefault(cells[image], line) != line:
            fail(
                path, f"row {line}: image {cells[image]!r} is in another row, too; join their tags"
            )
        parts = cells[place].split(separator if separator.strip() else None)
        of.append({part.strip() for part in parts if part.strip().lower() not in UNKNOWN})
    counts = Counter(one for tags in of for one in tags)
    if columns:
        table.check_columns_asked(path, columns, counts)
    chosen = list(columns) or sorted(counts, key=lambda one: (-counts[one], one))
    no = "0" if absent == "negative" else ""
    grid = [
        [name, *("" if not tags else "1" if one in tags else no for one in chosen)]
        for name, tags in zip(seen, of, strict=True)
    ]
    empty = sum(not tags for tags in of)
    notes = (
        f"tags separated by {separator!r}; one that an image does not have is taken for {absent}; "
        f"{empty} images without any tag are unknown throughout",
    )
    return table.Table(chosen, grid, notes=notes)


if __name__ == "__main__":
    run(main)
