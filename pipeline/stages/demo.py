"""Stage demo: the generated pictures, their label table with holes, and the truth."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline import params, progress
from pipeline.demo import generate, paths
from pipeline.errors import run
from pipeline.files import replace_directory, write_csv

log = logging.getLogger("demo")


@progress.task("demo")
def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    if not paths.is_needed(p.data.labels, p.data.images):
        with replace_directory(paths.FOLDER) as folder:  # DVC warns of one that is empty
            (folder / "off.txt").write_text("The data is your own.\n", encoding="utf-8")
        log.info("off: the data is your own")
        return
    table = generate.generate(p.demo.rows, p.seed)
    with replace_directory(paths.IMAGES) as folder:
        for i, name in enumerate(progress.track(table.images, "pictures", "image")):
            if name not in table.missing:
                image = generate.picture(table.truth[i].tolist(), p.seed, i)
                (folder / name).write_bytes(generate.jpeg(image))
    write_csv(_frame(table.images, table.labels), paths.LABELS)
    write_csv(_frame(table.images, table.truth), paths.TRUTH)
    log.info(
        "%d rows, %d cells hidden, %d images missing",
        len(table.images),
        np.isnan(table.labels).sum(),
        len(table.missing),
    )


def _frame(
    images: list[str], values: npt.NDArray[np.int64] | npt.NDArray[np.float32]
) -> pd.DataFrame:
    """``image,<attributes>``, cells 1, 0 or NA."""
    frame = pd.DataFrame(values, columns=list(generate.ATTRIBUTES)).astype("Int64")
    frame.insert(0, "image", images)
    return frame


if __name__ == "__main__":
    run(main)
