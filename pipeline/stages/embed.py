"""Stage embed: the features of every image and view, computed once for everybody.

What an earlier run has computed, finished or not, is found again by its content in `CACHE` and not
computed again: DVC removes the output before a stage runs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import pandas as pd

from pipeline import params, progress, runtime
from pipeline.data import augment, images, loading
from pipeline.data.loading import Request
from pipeline.errors import run
from pipeline.features import (
    backbones,
    cache,
    extract,
    int8,
    openvino_network,
    ray_engine,
    store,
    weights,
)
from pipeline.features.cache import Work
from pipeline.files import check_space, readable, replace_directory

OUTPUT = Path("data/features")
CACHE = cache.FOLDER
BACKBONE = Path("models/backbone")
NETWORK = "network"
"""Folder of the quantised network among the features cached with it."""
log = logging.getLogger("embed")


@progress.task("embed")
def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    runtime.prepare(p.seed)
    backbone = weights.description(BACKBONE)
    wanted = p.backbone.precision
    if (p.backbone.runtime, wanted) == (openvino_network.PACKAGE, "auto"):
        wanted = "float32"
    convolutions = backbones.find(backbone.name).bfloat16
    precision = runtime.precision(wanted, convolutions)
    by_openvino = openvino_network.chosen(
        p.backbone.runtime, precision, not convolutions, p.compute.engine == "local"
    )
    meta = {
        "backbone": {"name": backbone.name, "sha256": backbone.sha256},
        "image_size": list(p.image_size),
        "precision": precision,
        "grid": p.features.grid,
    }
    index = pd.read_csv("data/clean/images.csv", dtype=str, keep_default_na=False)
    circumstances = _circumstances()
    if by_openvino:
        # An address of its own: its last digits are not those of TensorFlow.
        meta["runtime"] = openvino_network.PACKAGE
        circumstances |= openvino_network.circumstances()
    if precision == int8.PRECISION:
        sample = index.drop_duplicates("sha256").head(int8.SAMPLE)
        circumstances |= int8.circumstances(sample["sha256"].tolist())
    index = index.sort_values("image", ignore_index=True)
    sha256 = index["sha256"].tolist()
    keys = cache.keys(sha256, p.features.views, p.seed)
    folder = CACHE / _digest({**meta, **circumstances})
    with cache.alone(folder) as locked:
        if not locked:
            log.warning(
                "%s: no locks here: let no second embed run in this project at the same time", CACHE
            )
        for line in cache.drop_damaged(folder, keys):
            log.warning("%s", line)
        work = cache.missing(folder, index["image"].tolist(), sha256, keys)
        due = [key for one in work for key in one.keys]
        found = keys.size - int(np.isin(keys, due).sum())
        shape = store.stored_shape(backbone.map, p.features.grid)
        one = store.bytes_needed(1, 1, shape)
        # A network is quantised by way of the temporary folder.
        quantized = (BACKBONE / weights.FILE).stat().st_size * (precision == int8.PRECISION)
        check_space(
            [
                *((OUTPUT, one * keys.size), (CACHE, one * len(due) + quantized)),
                (Path(gettempdir()), quantized),
            ],
            "free some space, or lower features.views, features.grid or image_size",
        )
        if precision == int8.PRECISION:
            _quantized(p, backbone.name, sample, folder)
        started = time.perf_counter()
        if work:
            _compute(p, backbone.name, precision, work, folder, by_openvino)
        took = time.perf_counter() - started
        with replace_directory(OUTPUT) as staging:
            cache.assemble(folder, keys, index, {**meta, "seed": p.seed}, staging)
            if precision == int8.PRECISION:
                int8.copy(folder / NETWORK, staging)
        if not cache.keep(folder, keys, OUTPUT):
            log.warning("%s: no hard links here: computed features are kept twice", CACHE)
        cache.forget(folder)
    numbers = len(index), p.features.views
    computed = f"{precision} by OpenVINO" if by_openvino else precision
    rate = len(due) / took if took else 0.0
    log.info(
        "%d images x %d views through %s in %s: %d passes computed in %.1f s, %.1f per second; "
        "%d found from earlier runs; %s of features",
        *(*numbers, backbone.name, computed, len(due), took, rate),
        *(found, readable(store.bytes_needed(*numbers, shape))),
    )


def _compute(
    p: params.Params,
    name: str,
    precision: str,
    work: Sequence[Work],
    folder: Path,
    by_openvino: bool,
) -> None:
    images_folder = Path(p.data.images)
    due = sum(len(one.keys) for one in work)
    with progress.task("pictures", due, "pass") as advance:
        if p.compute.engine == "ray":
            job = ray_engine.Job(
                backbone=name,
                weights=BACKBONE.absolute(),
                precision=precision,
                image_size=p.image_size,
                images=images_folder.absolute(),
                seed=p.seed,
                grid=p.features.grid,
                device=runtime.device(),
                cache=folder.absolute(),
            )
            ray_engine.compute(job, work, advance, p.compute.address)
            return
        encoder: extract.Network
        if precision == int8.PRECISION:
            encoder = int8.encoder(folder / NETWORK)
        else:
            # OpenVINO converts the network in float32, whatever it is to compute in.
            model = weights.load(name, p.image_size, "float32" if by_openvino else precision)
            encoder = (
                openvino_network.encoder(model, precision)
                if by_openvino
                else extract.Encoder(model, p.image_size)
            )
        load = loading.loader(images_folder, p.image_size, p.seed)
        write = partial(cache.put, folder)
        extract.compute(encoder, work, load, write, advance, p.features.grid)


def _quantized(p: params.Params, name: str, sample: pd.DataFrame, folder: Path) -> None:
    """Quantise the network, unless an earlier run has."""
    if (folder / NETWORK).is_dir():
        problem = int8.damaged(folder / NETWORK)
        if problem is None:
            return
        log.warning("%s: damaged (%s); it is quantised anew", folder / NETWORK, problem)
    started = time.perf_counter()
    load = loading.loader(Path(p.data.images), p.image_size, p.seed)
    rows = zip(sample["image"], sample["sha256"], strict=True)
    pictures = np.concatenate([load(Request(image, digest, (0,))) for image, digest in rows])
    model = weights.load(name, p.image_size, "float32")
    with replace_directory(folder / NETWORK) as staging:
        int8.quantize(model, pictures, staging)
    log.info(
        "%s quantised to 8 bits on %d pictures in %.0f s",
        *(name, len(pictures), time.perf_counter() - started),
    )


def _circumstances() -> dict[str, str]:
    """What else decides over the features: a run must not continue what another code, version or
    kind of device began."""
    code = hashlib.sha256()
    for module in (augment, images, loading, backbones, weights, extract, store):
        code.update(Path(str(module.__file__)).read_bytes())
    versions = {name: version(name) for name in ("tensorflow", "keras", "pillow", "numpy")}
    kernels = "onednn" if runtime.onednn() else "eigen"
    return {"code": code.hexdigest(), "device": runtime.device(), "kernels": kernels, **versions}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    run(main)
