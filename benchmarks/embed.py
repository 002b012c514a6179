"""python -m benchmarks.embed: how long the network waits when it is fed from image files.

The same passes, once from arrays in memory through the network and nothing else, once by the
pipeline's engine from JPEG files to shards on disk; in turns, in one process. The ratio of the two
rates is the result. Writes benchmarks/embed.csv, where other backbones and sizes keep their rows.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import runtime
from pipeline.data import image_files
from pipeline.data.loading import loader
from pipeline.errors import run
from pipeline.features import backbones, cache
from pipeline.features import weights as backbone_weights
from pipeline.features.cache import Work
from pipeline.features.extract import Encoder, compute
from pipeline.files import write_csv
from pipeline.report.machine import machine

RESULT = Path("benchmarks/embed.csv")
CASE = ["backbone", "size"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument("--backbones", nargs="+", default=["vgg19", "mobilenet_v2"])
    parser.add_argument("--image-size", type=int, nargs=2, default=(224, 224))
    parser.add_argument("--batches", type=int, default=32, help="of each turn")
    parser.add_argument("--turns", type=int, default=9)
    a = parser.parse_args()
    runtime.prepare(0)
    size = tuple(a.image_size)
    rows = []
    for name in a.backbones:
        precision = runtime.precision("auto", backbones.find(name).bfloat16)
        with tempfile.TemporaryDirectory() as space:
            weights = Path(space) / "backbone"
            weights.mkdir()
            model = backbones.build(name, size)
            backbone_weights.randomise(model, 0)
            model.network.save_weights(weights / "backbone.weights.h5")
            model = backbone_weights.load(name, size, precision, weights)
            encoder = Encoder(model, size)
            count = encoder.batch * a.batches
            files = [str(f.relative_to(a.images)) for f in image_files.list_images(a.images)]
            digests = {f: hashlib.sha256((a.images / f).read_bytes()).hexdigest() for f in files}
            names = [files[i % len(files)] for i in range(count)]
            load = loader(a.images, size, 0)
            rng = np.random.default_rng(0)
            batch = rng.integers(0, 256, (encoder.batch, *size, 3), dtype=np.uint8)
            encoder(batch)
            bare, whole = [], []
            for turn in range(a.turns):
                started = time.perf_counter()
                for _ in range(a.batches):
                    encoder(batch)
                bare.append(count / (time.perf_counter() - started))
                # Keys that no other pass has: an image may serve more than once.
                work = [
                    Work(file, digests[file], (0,), (f"{turn} {i}".encode(),))
                    for i, file in enumerate(names)
                ]
                started = time.perf_counter()
                compute(encoder, work, load, partial(cache.put, Path(space) / "cache"))
                whole.append(count / (time.perf_counter() - started))
        # Of neighbouring turns, since a machine is not equally fast all the time.
        ratio = np.median(np.divide(whole, bare))
        rows.append(
            {
                "backbone": name,
                "size": f"{size[0]} x {size[1]}",
                "precision": precision,
                "passes": count,
                "bare_per_second": round(float(np.median(bare)), 1),
                "from_files_per_second": round(float(np.median(whole)), 1),
                "ratio": round(float(ratio), 3),
                "machine": machine(),
            }
        )
        print(rows[-1], flush=True)
    found = pd.DataFrame(rows)
    if RESULT.exists():
        earlier = pd.read_csv(RESULT)
        other = ~earlier.set_index(CASE).index.isin(found.set_index(CASE).index)
        found = pd.concat([earlier[other], found])
    write_csv(found, RESULT)


if __name__ == "__main__":
    run(main)
