"""python -m pipeline.readers chexpert train.csv --out labels.csv: CheXpert's chest X-rays.

A row per picture: Path, Sex, Age, Frontal/Lateral, AP/PA, then 14 observations: 1.0 positive, 0.0
negative, -1.0 uncertain, blank not mentioned in the radiologist's report. Irvin et al., "CheXpert",
AAAI 2019, whose names for the treatments of -1 are U-Ignore, U-Zeroes and U-Ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.data.labels import CELLS, MINUS_ONE, UNKNOWN
from pipeline.errors import fail, run
from pipeline.readers import table

PATH = "Path"
NO_OBSERVATIONS = (PATH, "Sex", "Age", "Frontal/Lateral", "AP/PA")
GROUP = "patient"
MEANINGS = {"unknown": "", "negative": "0", "positive": "1"}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = table.arguments("chexpert", "Write the label table of CheXpert.", "TRAIN_CSV")
    for name, default in (("uncertain", "unknown"), ("blank", "unknown")):
        parser.add_argument(
            f"--{name}",
            choices=MEANINGS,
            default=default,
            help=f"what {'-1' if name == 'uncertain' else 'a blank'} means (default: {default})",
        )
    options = parser.parse_args(arguments)
    table.check_out(options.out, options.source)
    result = read(options.source, options.uncertain, options.blank)
    # Paths begin with the name of the folder that holds the table.
    folder = options.source.absolute().parent
    inside = all(row[0].startswith(f"{folder.name}/") for row in result.rows)
    images = options.images or (folder.parent if inside else folder)
    table.deliver(result, options.source, options.out, images)


def read(path: str | Path, uncertain: str = "unknown", blank: str = "unknown") -> table.Table:
    """The label table, with a column ``patient`` beside the observations where the paths name one.

    Parameters
    ----------
    uncertain, blank : ``unknown``, ``negative`` or ``positive``: what -1 and a blank cell mean.

    Raises
    ------
    PipelineError
        If the file is not of this layout.
    """
    path = Path(path)
    header, rows = table.cells_of(path, [PATH])
    places = {name: i for i, name in enumerate(header) if name and name not in NO_OBSERVATIONS}
    image = header.index(PATH)
    found, counts = [], {"-1": 0, "a blank": 0}
    for line, cells in rows:
        values = []
        for name, place in places.items():
            text = cells[place].lower()
            if text in UNKNOWN:
                counts["a blank"] += 1
                values.append(MEANINGS[blank])
            elif text in MINUS_ONE:
                counts["-1"] += 1
                values.append(MEANINGS[uncertain])
            elif text in CELLS:
                values.append(f"{CELLS[text]:.0f}")
            else:
                got = cells[place][:60]
                fail(path, f"row {line}, column {name!r}: got {got!r}, expected 1, 0, -1 or blank")
        found.append([cells[image], *values])
    meant = {"-1": uncertain, "a blank": blank}
    notes = tuple(f"{what} is taken for {meant[what]}: {n} cells" for what, n in counts.items())
    patients = [re.search(r"patient\d+", row[0]) for row in found]
    if not all(patients):
        return table.Table(list(places), found, notes=notes)
    beside = {GROUP: [one[0] for one in patients if one]}
    return table.Table(list(places), found, beside, {"split.group_column": GROUP}, notes)


if __name__ == "__main__":
    run(main)
