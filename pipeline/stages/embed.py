"""Stage embed: the features of every image and view, computed once for everybody."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from pipeline import augment, backbones, embedding, images, params, runtime
from pipeline.errors import PipelineError, run
from pipeline.features import FeatureWriter, bytes_needed
from pipeline.files import replace_directory

OUTPUT = "data/features"
log = logging.getLogger("embed")


def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    runtime.prepare(p.seed)
    precision = runtime.precision(p.backbone.precision)
    backbone = json.loads(Path("models/backbone/backbone.json").read_text(encoding="utf-8"))
    model = backbones.load(backbone["name"], p.image_size, precision)
    encoder = embedding.Encoder(model, p.image_size)
    index = pd.read_csv("data/clean/images.csv", dtype=str, keep_default_na=False)
    index = index.sort_values("image", ignore_index=True)
    views, folder = p.features.views, Path(p.data.images)
    _check_disk(bytes_needed(len(index), views, encoder.map_shape))

    def load(name: str) -> np.ndarray:
        try:
            picture = images.decode(images.read(folder, name))
        except images.ImageError as error:
            raise PipelineError(
                f"{folder / name}: {error.reason} ({error.detail}), although the clean stage could "
                "read it; run `dvc repro` again to clean the table anew"
            ) from error
        return augment.views(picture, p.image_size, views, p.seed, name)

    started = time.perf_counter()
    with (
        replace_directory(OUTPUT) as staging,
        FeatureWriter(staging, len(index), views, encoder.map_shape) as writer,
        tqdm(
            total=len(index) * views,
            unit="image",
            desc="embed",
            disable=not sys.stderr.isatty(),
        ) as bar,
    ):
        embedding.embed(encoder, index["image"], load, views, writer.append, bar.update)
        writer.finish(
            index,
            {
                "backbone": {"name": backbone["name"], "sha256": backbone["sha256"]},
                "image_size": list(p.image_size),
                "precision": precision,
                "seed": p.seed,
            },
        )
    rate = len(index) * views / (time.perf_counter() - started)
    size = bytes_needed(len(index), views, encoder.map_shape) / 1e6
    log.info(
        "%d images x %d views through %s in %s, %.1f images per second, %.0f MB of features",
        *(len(index), views, backbone["name"], precision, rate, size),
    )


def _check_disk(needed: int) -> None:
    free = shutil.disk_usage(".").free
    if free < needed:
        raise PipelineError(
            f"{OUTPUT}: {needed / 1e9:.2f} GB of features would be written, {free / 1e9:.2f} GB "
            "are free on this disk; free some space, or lower features.views or image_size"
        )


if __name__ == "__main__":
    run(main)
