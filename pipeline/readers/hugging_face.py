"""python -m pipeline.readers hugging_face metadata.jsonl --out labels.csv: ImageFolder's records.

One per picture, with its ``file_name`` and any further fields
(https://huggingface.co/docs/datasets/image_dataset#imagefolder). A field of true, false, 1, 0 and
null is a binary attribute, one of few texts a categorical one, one of lists a column per entry.
Beside NAME, ``NAME_source`` says which cells are known; ``NAME_probability`` is no attribute.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.data.labels import CELLS, UNKNOWN
from pipeline.errors import fail, one_line, run
from pipeline.readers import table

FILE = "file_name"
FEW = 50
"""Different texts up to which a field is taken for a categorical attribute."""
KNOWN = "known"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = table.arguments(
        "hugging_face", "Write the label table of an ImageFolder's metadata.", "METADATA_JSONL"
    )
    parser.add_argument("--columns", help="fields to write, separated by comma (default: all)")
    options = parser.parse_args(arguments)
    table.check_out(options.out, options.source)
    result = read(options.source, table.names(options.columns))
    images = options.images or options.source.absolute().parent
    table.deliver(result, options.source, options.out, images)


def read(path: str | Path, columns: Sequence[str] = ()) -> table.Table:
    """The label table of a ``metadata.jsonl``; fields of free text or numbers are left out.

    Raises
    ------
    PipelineError
        If the file is not of this layout, or a field of ``columns`` can be no attribute.
    """
    path = Path(path)
    records = _records(path)
    fields = list(dict.fromkeys(name for one in records for name in one if name != FILE))
    table.check_columns_asked(path, columns, fields)
    asked = list(columns) or [name for name in fields if not _beside(name, fields)]
    found: dict[str, list[str]] = {}
    categorical, left = [], []
    for name in asked:
        sources = [one.get(f"{name}_source", KNOWN) for one in records]
        given = [
            one.get(name) if source in (KNOWN, None) else None
            for one, source in zip(records, sources, strict=True)
        ]
        if any(isinstance(value, list) for value in given):
            found |= _listed(path, name, given)
            continue
        texts = ["" if value is None else str(value).strip() for value in given]
        texts = ["" if text.lower() in UNKNOWN else text for text in texts]
        different = {*texts} - {""}
        if all(text.lower() in CELLS for text in different):
            found[name] = ["" if not text else f"{CELLS[text.lower()]:.0f}" for text in texts]
        elif columns or (
            len(different) <= min(FEW, len(records) // 2)
            and not any(isinstance(value, dict | float) for value in given)
        ):
            found[name] = texts
            categorical.append(name)
        else:
            left.append(name)
    rows = [[one[FILE], *(own[i] for own in found.values())] for i, one in enumerate(records)]
    notes = (f"left out, as no attribute: {', '.join(map(repr, left))[:200]}",) if left else ()
    params: dict[str, str | list[str]] = {"categorical.columns": categorical} if categorical else {}
    return table.Table(list(found), rows, params=params, notes=notes)


def _beside(name: str, fields: Sequence[str]) -> bool:
    """Whether a field says more about another one."""
    stems = (name.removesuffix(ending) for ending in ("_source", "_probability", "_confidence"))
    return any(stem != name and stem in fields for stem in stems)


def _records(path: Path) -> list[Mapping[str, Any]]:
    records: list[Mapping[str, Any]] = []
    seen: dict[str, int] = {}
    for line, text in enumerate(table.read_text(path, "records in JSON lines").splitlines(), 1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            fail(path, f"row {line}: not valid JSON ({one_line(error)[:100]}); correct it")
        if not isinstance(record, dict) or not isinstance(record.get(FILE), str):
            fail(path, f"row {line}: expected an object with a text {FILE!r}; correct it")
        if seen.setdefault(record[FILE], line) != line:
            earlier = seen[record[FILE]]
            fail(path, f"row {line}: {record[FILE]!r} is in row {earlier}, too; keep one")
        records.append(record)
    return records


def _listed(path: Path, name: str, given: Sequence[Any]) -> dict[str, list[str]]:
    """A column per entry of a field of lists; null is unknown, an empty list holds none."""
    wrong = next((value for value in given if not isinstance(value, list | None)), None)
    if wrong is not None:
        fail(path, f"field {name!r}: got {str(wrong)[:60]!r} beside lists; expected lists or null")
    entries = sorted({str(entry) for value in given for entry in value or ()})
    return {
        entry: ["" if value is None else str(int(entry in map(str, value))) for value in given]
        for entry in entries
    }


if __name__ == "__main__":
    run(main)
