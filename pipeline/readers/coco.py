"""python -m pipeline.readers coco instances_val2017.json --out labels.csv: objects as attributes.

COCO's ``images``, ``annotations`` and ``categories`` (https://cocodataset.org/#format-data): a
category is 1 where an image has an annotation of it, else 0, as all objects are annotated. LVIS is
annotated in part (Gupta, Dollár and Girshick, "LVIS", CVPR 2019): there a category is 0 where
``neg_category_ids`` says that it was looked for and not found, and else unknown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import fail, one_line, run
from pipeline.readers import table

NEGATIVE = "neg_category_ids"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of COCO."""
    _main("coco", "Write the label table of COCO's categories.", arguments)


def main_lvis(arguments: Sequence[str] | None = None) -> None:
    """The command line of LVIS."""
    _main("lvis", "Write the label table of LVIS's categories.", arguments)


def _main(name: str, description: str, arguments: Sequence[str] | None) -> None:
    parser = table.arguments(name, description, "INSTANCES_JSON")
    parser.add_argument("--columns", help="categories, separated by comma (default: all)")
    parser.add_argument(
        "--min-count",
        type=int,
        default=1,
        metavar="N",
        help="leave out categories on fewer images (default: 1)",
    )
    options = parser.parse_args(arguments)
    table.check_out(options.out, options.source)
    columns = table.names(options.columns)
    result = read(options.source, name == "lvis", columns, options.min_count)
    source = options.source
    folder = source.absolute().parent
    if folder.name == "annotations":
        folder = folder.parent
    table.deliver(result, source, options.out, options.images or folder)


def read(
    path: str | Path, in_part: bool = False, columns: Sequence[str] = (), min_count: int = 1
) -> table.Table:
    """The label table of a file: a column per category, in its order.

    Parameters
    ----------
    in_part : whether only ``neg_category_ids`` are absent, as in LVIS.
    columns : names of categories, none for all that ``min_count`` images have.

    Raises
    ------
    PipelineError
        If the file is not of this layout.
    """
    path = Path(path)
    content = _content(path)
    names = {one["id"]: str(one["name"]) for one in content["categories"]}
    present: dict[Any, set[Any]] = {one["id"]: set() for one in content["images"]}
    for one in content["annotations"]:
        image, category = one["image_id"], one["category_id"]
        if image not in present or category not in names:
            what = f"image {image!r}" if image not in present else f"category {category!r}"
            fail(path, f"an annotation of {what}, which is not in the file; get it anew")
        present[image].add(category)
    if len({*names.values()}) < len(names):
        twice = next(name for name in names.values() if [*names.values()].count(name) > 1)
        fail(path, f"two categories are called {twice!r}; rename one")
    table.check_columns_asked(path, columns, [*names.values()])
    counts = dict.fromkeys(names, 0)
    for found in present.values():
        for category in found:
            counts[category] += 1
    kept = [
        one for one in names if counts[one] >= min_count and (not columns or names[one] in columns)
    ]
    rows = []
    for image in content["images"]:
        found = present[image["id"]]
        absent = {*image.get(NEGATIVE, ())} if in_part else {*names}
        both = found & absent if in_part else set()
        if both:
            fail(
                path,
                f"image {_file(image)!r}: category {names[both.pop()]!r} is annotated and in "
                f"{NEGATIVE}; correct it",
            )
        cells = ["1" if one in found else "0" if one in absent else "" for one in kept]
        rows.append([_file(image), *cells])
    left = len(names) - len(kept)
    notes = (f"{left} of {len(names)} categories left out",) if left else ()
    return table.Table([names[one] for one in kept], rows, notes=notes)


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(table.read_text(path, "annotations as COCO's, in JSON"))
    except (ValueError, RecursionError) as error:
        fail(path, f"not valid JSON ({one_line(error)[:100]}); get it anew")
    needed = {"images": ("id",), "annotations": ("image_id", "category_id")}
    needed |= {"categories": ("id", "name")}
    for part, keys in needed.items():
        records = content.get(part) if isinstance(content, dict) else None
        if not isinstance(records, list):
            fail(path, f"no list {part!r} in it; expected annotations as COCO's instances_*.json")
        for number, record in enumerate(records):
            lacking = [key for key in keys if not isinstance(record, dict) or key not in record]
            if lacking or any(isinstance(record[key], dict | list) for key in keys):
                fail(path, f"{part}[{number}]: expected an object with {' and '.join(keys)}")
            if part == "images" and not _file(record):
                fail(path, f"images[{number}]: neither file_name nor coco_url in it; get it anew")
    return dict(content)


def _file(image: Mapping[str, Any]) -> str:
    """The image's file; LVIS 1.0 has its address only, whose last two parts are folder and file."""
    return str(image.get("file_name") or "/".join(str(image.get("coco_url", "")).split("/")[-2:]))


if __name__ == "__main__":
    run(main)
