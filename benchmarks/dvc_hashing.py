"""python -m benchmarks.dvc_hashing: what DVC takes to see whether a folder of pictures has changed.

A stage that does nothing depends on generated pictures: in a folder, in an archive of it, and in a
folder that `dvc add` tracks. Start-up is in the seconds. Writes benchmarks/dvc_hashing.csv.
"""

from __future__ import annotations

import argparse
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import scale
from benchmarks.workshop import CostOfAll, costs, record

RESULT = Path("benchmarks/dvc_hashing.csv")
MORE = 100


def repro(folder: Path, on: str) -> CostOfAll:
    """What `dvc repro` costs of a stage that depends on ``on`` and does nothing."""
    content = f'stages:\n  look: {{cmd: "true", deps: [{on}]}}\n'
    (folder / "dvc.yaml").write_text(content, encoding="utf-8")
    return costs(["dvc", "repro", "--quiet"], folder)


def situations(folder: Path) -> Iterator[tuple[str, CostOfAll]]:
    """Each situation in turn, and what DVC costs in it."""
    costs(["dvc", "init", "--no-scm", "--quiet"], folder)
    pictures = folder / "images"
    yield "folder, first", repro(folder, "images")
    yield "folder, nothing new", repro(folder, "images")
    (pictures / "more").mkdir()
    for path in sorted(pictures.glob("*/*.jpg"))[:MORE]:
        shutil.copy(path, pictures / "more")
    yield f"folder, {MORE} pictures more", repro(folder, "images")
    with tarfile.open(folder / "images.tar", "w") as archive:
        archive.add(pictures, "images")
    yield "archive, first", repro(folder, "images.tar")
    yield "archive, nothing new", repro(folder, "images.tar")
    (folder / "dvc.yaml").unlink()
    yield "dvc add", costs(["dvc", "add", "--quiet", "images"], folder)
    yield "folder after dvc add, first", repro(folder, "images")
    yield "folder after dvc add, nothing new", repro(folder, "images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, nargs="+", default=(10_000, 100_000))
    a = parser.parse_args()
    rows = []
    for images in a.images:
        with tempfile.TemporaryDirectory() as name:
            scale.generate(Path(name), images)
            for situation, cost in situations(Path(name)):
                row = {"images": images, "situation": situation, "seconds": round(cost.seconds, 1)}
                row["ms_per_image"] = round(cost.seconds / images * 1e3, 3)
                rows.append(row | {"peak_mb": round(cost.all_processes_mb)})
                print(rows[-1], flush=True)
        record(rows, RESULT)


if __name__ == "__main__":
    main()
