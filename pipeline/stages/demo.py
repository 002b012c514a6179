"""Stage demo: the generated pictures, their table with holes, and the truth beside it."""

from __future__ import annotations

import pandas as pd

from pipeline import demo, demo_paths, params
from pipeline.errors import run
from pipeline.files import replace_directory, write_csv


def main() -> None:
    p = params.load()
    table = demo.generate(p.demo.rows, p.seed)
    with replace_directory(demo_paths.FOLDER) as folder:
        (folder / "images").mkdir()
        for number, name in enumerate(table.images):
            if name not in table.missing:
                picture = demo.picture(table.truth[number].tolist(), p.seed, number)
                (folder / "images" / name).write_bytes(demo.jpeg(picture))
        for file, cells in (("labels.csv", table.labels), ("truth.csv", table.truth)):
            frame = pd.DataFrame(cells, columns=list(demo.ATTRIBUTES)).astype("Int8")
            frame.insert(0, "image", table.images)
            write_csv(frame, folder / file)


if __name__ == "__main__":
    run(main)
