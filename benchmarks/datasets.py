"""A label table and its pictures as arrays: labels, pooled features, brightness.

The features come from the pipeline's own backbone and encoder, and are computed once: they lie in
a cache folder named by a hash of everything that they depend on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks import tables
from pipeline import runtime
from pipeline.data.categories import Attribute
from pipeline.data.image_files import SUFFIXES, resolve
from pipeline.data.images import ImageError
from pipeline.data.labels import LabelTable
from pipeline.data.loading import loader, read
from pipeline.errors import PipelineError
from pipeline.features import backbones, int8
from pipeline.features.cache import Work, assemble, keys, missing, put
from pipeline.features.extract import Encoder, Network, compute
from pipeline.features.store import FeatureStore
from pipeline.features.weights import DownloadError, download_imagenet, load_weights, randomise
from pipeline.files import replace_directory

CACHE = Path(".benchmarks")
FORMAT = 2
"""Of the features: to be counted up when decoding, views or the encoder change."""
SEED = 42
"""Of random weights and of augmented views; the default of the pipeline's params."""

log = logging.getLogger("datasets")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labels and features of N images, sorted by name, row i of everything being images[i].

    Attributes
    ----------
    name : of the label table's folder or file.
    images : N names, relative to the image folder.
    attributes : A names.
    labels : float32 [N, A] of 1, 0 and NaN where the source has no value.
    features : float32 [N, C], pooled, of view 0.
    brightness : float32 [N], mean luminance (ITU-R 601), 0 to 1.
    store : folder of the finished `FeatureStore`, its rows in the order of ``images``.
    categories : the categorical attributes, whose values are columns.
    """

    name: str
    images: list[str]
    attributes: list[str]
    labels: np.ndarray
    features: np.ndarray
    brightness: np.ndarray
    store: Path
    categories: tuple[Attribute, ...] = ()


def add_options(parser: argparse.ArgumentParser) -> None:
    """What names a table, its images and the network of their features, as `load` takes them."""
    parser.add_argument("--labels", type=Path, required=True, help="binary or categorical table")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--weights", required=True, help="imagenet, random or a weights file")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument(
        "--image-size", type=int, nargs=2, default=(224, 224), metavar=("HEIGHT", "WIDTH")
    )
    parser.add_argument("--at-least", type=int, default=100, help="rows for and against a value")
    parser.add_argument("--cache", type=Path, default=CACHE)


def load(
    labels: Path,
    images: Path,
    *,
    backbone: str = "mobilenet_v2",
    weights: str,
    image_size: tuple[int, int] = (224, 224),
    precision: str = "bfloat16",
    at_least: int = 100,
    views: int = 1,
    categorical: bool = False,
    rows: int | None = None,
    cache: Path = CACHE,
) -> Dataset:
    """Read a table, embed its images unless the cache has them, and put both together.

    Parameters
    ----------
    labels : a binary table, or a categorical one (see `tables.indicators`).
    images : folder of the images; a name without a suffix gets the one that its file has.
    weights : ``imagenet``, ``random`` or the path of a weights file without the top.
    image_size : (height, width) in pixels.
    precision : ``float32``, ``bfloat16`` or ``int8``, whatever the machine is faster in.
    at_least : rows with and without a value that make it a column, of categorical tables.
    views : cached views per image, 1 or more; ``features`` has view 0 only.
    categorical : whether each column of a categorical table is one attribute, not one per value.
    rows : of the table, the first so many; None takes all.

    Raises
    ------
    PipelineError
        If the table can't be read, no image of it is usable, or no column is left; if a binary one
        is to be ``categorical``.
    """
    table = tables.read(Path(labels))
    if categorical and isinstance(table, LabelTable):
        raise PipelineError(
            f"{labels}: a binary table, expected a categorical one; leave out --categorical"
        )
    names = table.images if isinstance(table, LabelTable) else table.index.tolist()
    names = names[:rows]
    files = {name: _file(Path(images), name) for name in names}
    present, sums = _present(Path(images), files)
    settings = {
        "backbone": backbone,
        "weights": _fingerprint(weights),
        "image_size": list(image_size),
        "precision": precision,
        "views": views,
        "seed": SEED,
        "format": FORMAT,
    }
    key = json.dumps([settings, sums], sort_keys=True).encode()
    folder = Path(cache) / hashlib.sha256(key).hexdigest()[:16]
    if not (folder / "meta.json").is_file():
        _embed(folder, Path(images), sums, settings, weights)
    store = FeatureStore(folder)
    usable = set(store.images)
    kept = sorted((n for n in present if files[n] in usable), key=lambda name: files[name])
    if len(kept) < len(names):
        log.warning(
            "%d of %d images are missing or broken: dropped", len(names) - len(kept), len(names)
        )
    several: list[Attribute] = []
    if isinstance(table, LabelTable):
        position = {name: row for row, name in enumerate(table.images)}
        attributes, values = table.attributes, table.values[[position[name] for name in kept]]
    elif categorical:
        several, values = tables.of_several(table.loc[kept], at_least)
        attributes = [column for one in several for column in one.columns]
    else:
        attributes, values = tables.indicators(table.loc[kept], at_least)
    if not attributes or not kept:
        raise PipelineError(
            f"{labels}: {len(kept)} usable images and {len(attributes)} columns with at least "
            f"{at_least} rows for and against; lower --at-least or give other data"
        )
    chosen = [files[name] for name in kept]
    places = store.rows(chosen)
    path = Path(labels)
    generic = path.stem in ("labels", "styles", "truth")
    return Dataset(
        name=path.resolve().parent.name if generic else path.stem,
        images=chosen,
        attributes=list(attributes),
        labels=values.astype(np.float32),
        features=store.pooled(places),
        brightness=np.load(folder / "brightness.npy")[places],
        store=folder,
        categories=tuple(several),
    )


def _file(folder: Path, name: str) -> str:
    """The image file of a table's name: itself, or with the suffix of a file that is there."""
    candidates = [name, f"{name}.jpg", *(f"{name}{end}" for end in sorted(SUFFIXES))]
    return next((one for one in candidates if (folder / one).is_file()), name)


def _present(folder: Path, files: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Table names whose file can be read, and the SHA-256 of each such file."""
    present, sums = [], {}
    for name, file in files.items():
        try:
            content = resolve(folder, file).read_bytes()
        except (ImageError, OSError):
            continue
        present.append(name)
        sums[file] = hashlib.sha256(content).hexdigest()
    return present, sums


def _fingerprint(weights: str) -> str:
    if weights in ("imagenet", "random"):
        return weights
    try:
        return hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    except OSError as error:
        raise PipelineError(
            f"--weights: got {weights!r} ({error.strerror}), expected imagenet, random or the "
            "path of a weights file"
        ) from None


def build(name: str, weights: str, image_size: tuple[int, int], precision: str) -> Any:
    """The backbone with its weights, computing in bfloat16 or, for ``int8`` too, in float32."""
    import keras

    earlier = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        if weights == "imagenet":
            return download_imagenet(name, image_size)
        model = backbones.build(name, image_size)
    except DownloadError as error:
        raise PipelineError(f"--weights: imagenet can't be downloaded ({error})") from error
    finally:
        keras.config.set_dtype_policy(earlier)
    if weights == "random":
        randomise(model, SEED)
    else:
        load_weights(model, weights)
    return model


def _brightness(folder: Path, files: Iterable[str]) -> dict[str, float]:
    """Mean luminance 0 to 1 of each image that decodes."""
    found = {}
    for file in files:
        try:
            picture, _ = read(resolve(folder, file))
        except ImageError:
            continue
        found[file] = float(np.asarray(picture.convert("L"), dtype=np.float64).mean() / 255)
    return found


def network(
    model: Any,
    precision: str,
    work: Sequence[Work],
    load: Callable[[Work], np.ndarray],
    folder: Path,
) -> Network:
    """The model compiled in its precision; for ``int8`` quantised on the first pictures of
    ``work``, the network's files going to ``folder``."""
    size: tuple[int, int] = tuple(model.input_shape[1:3])
    if precision != int8.PRECISION:
        return Encoder(model, size)
    int8.check_installed()
    pictures = np.concatenate([load(one)[:1] for one in work[: int8.SAMPLE]])
    int8.quantize(model, pictures, folder)
    return int8.encoder(folder)


def _embed(
    folder: Path, images: Path, sums: dict[str, str], settings: dict[str, Any], weights: str
) -> None:
    """Fill ``folder`` with the feature store and ``brightness.npy``, whole or not at all."""
    brightness = _brightness(images, sorted(sums))
    files = list(brightness)
    if not files:
        raise PipelineError(f"{images}: none of the table's images can be read")
    runtime.prepare(SEED)
    size, views = tuple(settings["image_size"]), settings["views"]
    model = build(settings["backbone"], weights, size, settings["precision"])
    index = pd.DataFrame({"image": files, "sha256": [sums[file] for file in files]})
    digests = index["sha256"].tolist()
    named = keys(digests, views, SEED)
    with (
        replace_directory(folder) as staging,
        tempfile.TemporaryDirectory(dir=folder.parent) as space,
        tqdm(total=named.size, unit="image", desc="embed", disable=not sys.stderr.isatty()) as bar,
    ):
        work = missing(Path(space), files, digests, named)
        load = loader(images, size, SEED)
        encoder = network(model, settings["precision"], work, load, Path(space))
        write = partial(put, Path(space))
        compute(encoder, work, load, write, bar.update)
        assemble(Path(space), named, index, settings, staging)
        np.save(staging / "brightness.npy", np.array(list(brightness.values()), np.float32))
