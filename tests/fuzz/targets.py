"""What is fuzzed: each reads damaged input, and ends in a result, or in the error that users see.

Any other exception is a defect, and so is a result that says something else than the sound input
without a word.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline import params
from pipeline.data import corrections, images, read_table
from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.features import cache
from pipeline.training import heads, saved_model
from tests.fuzz import mutations

ROOT = Path(__file__).resolve().parents[2]
Target = Callable[[random.Random], str]
"""Does one input drawn from the generator; says how it ended: ``refused``, ``same``, ``read``."""


class SilentNonsenseError(AssertionError):
    """A damaged input was taken for a sound one that says something else."""


@contextmanager
def targets() -> Iterator[dict[str, Target]]:
    """All targets by name; their files are gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="fuzz.") as name:
        folder = Path(name)
        yield {
            "params.yaml": _params(folder),
            "label table": _table(folder),
            "corrections": _corrections(folder),
            "pictures": _pictures(),
            "model.json": _card(folder / "card"),
            "classifier": _classifier(folder / "classifier"),
            "cached features": _cache(folder / "cache"),
        }


def _params(folder: Path) -> Target:
    sound, path = (ROOT / "params.yaml").read_bytes(), folder / "params.yaml"

    def once(rng: random.Random) -> str:
        path.write_bytes(mutations.of_bytes(sound, rng))
        try:
            params.load(path)
        except PipelineError as error:
            return _one_line(error)
        return "read"

    return once


def _table(folder: Path) -> Target:
    rng = random.Random(0)
    cells = [[rng.choice(("0", "1", "", "NA")) for _ in range(4)] for _ in range(25)]
    lines = ["image,hat,shoe,bag,=1+1"]
    lines += [",".join([f"a/{number}.jpg", *row]) for number, row in enumerate(cells)]
    sound, path = "\n".join(lines).encode(), folder / "labels.csv"

    def once(rng: random.Random) -> str:
        path.write_bytes(mutations.of_bytes(sound, rng))
        try:
            table = read_table.read_table(path)
        except PipelineError as error:
            return _one_line(error)
        values = table.values
        if not np.isin(values[~np.isnan(values)], (0, 1)).all():
            raise SilentNonsenseError("cells that are neither 0 nor 1 nor unknown")
        if len(set(table.images)) < len(table.images) or len(set(table.attributes)) < len(
            table.attributes
        ):
            raise SilentNonsenseError("an image or an attribute twice")
        return "read"

    return once


def _corrections(folder: Path) -> Target:
    sound = b"image,attribute,value\na.jpg,hat,1\nb.jpg,shoe,0\nc.jpg,colour,red\nd.jpg,hat,\n"
    path = folder / "corrections.csv"

    def once(rng: random.Random) -> str:
        path.write_bytes(mutations.of_bytes(sound, rng))
        try:
            corrections.read(path, categorical=("colour",))
        except PipelineError as error:
            return _one_line(error)
        return "read"

    return once


def _pictures() -> Target:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    sound = []
    for kind, mode in (
        *(("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16")),
        *(
            ("GIF", "P"),
            ("WEBP", "RGBA"),
            ("TIFF", "F"),
            ("TIFF", "RGB"),
            ("BMP", "RGB"),
            ("PPM", "L"),
        ),
    ):
        if mode == "I;16":
            image = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
        else:
            image = Image.fromarray(noise).convert("RGB").convert(mode)
        out = io.BytesIO()
        image.save(out, kind, **({"progressive": True} if mode == "CMYK" else {}))
        sound.append(out.getvalue())

    def once(rng: random.Random) -> str:
        data = mutations.of_bytes(rng.choice(sound), rng)
        try:
            picture = images.decode(data, rng.choice((None, 8, 100)))
        except images.ImageError as error:
            return _one_line(error)
        if picture.mode != "RGB" or min(picture.size) < 1:
            raise SilentNonsenseError(f"{picture.mode} of {picture.size}")
        return "read"

    return once


CARD = saved_model.Card(
    attributes=("hat", "colour=red", "colour=blue", "shoe"),
    thresholds=(0.25, 0.5, 0.5, 0.75),
    head=heads.HeadConfig("conv", (2, 2, 3), outputs=4, dropout=0.1),
    image_size=(64, 32),
    backbone={"name": "vgg19", "sha256": "ab" * 32},
    precision="float32",
    missing="impute",
    categories=(Attribute("colour", ("red", "blue"), 1),),
    learnable=("yes", "no", "no", "too few labels"),
)


def _card(folder: Path) -> Target:
    """The description of a classifier that has no hashes beside it."""
    folder.mkdir()
    saved_model.write_card(CARD, folder)
    path = folder / "model.json"
    sound = path.read_bytes()
    content = json.loads(sound)

    def once(rng: random.Random) -> str:
        if rng.random() < 0.5:
            path.write_bytes(mutations.of_bytes(sound, rng))
        else:
            path.write_text(json.dumps(mutations.of_json(content, rng)), encoding="utf-8")
        try:
            card = saved_model.read_card(folder)
        except PipelineError as error:
            return _one_line(error)
        return "same" if card == CARD else "read"

    return once


def _classifier(folder: Path) -> Target:
    """A finished classifier's folder, of which one file is damaged, empty, absent or another."""
    folder.mkdir()
    saved_model.write_card(CARD, folder)
    (folder / "backbone").mkdir()
    rng = np.random.default_rng(0)
    for name in (saved_model.HEAD, "completion.npz", "backbone/backbone.json"):
        (folder / name).write_bytes(rng.bytes(300))
    saved_model.seal(folder)
    names = [*json.loads((folder / saved_model.SUMS).read_text("utf-8")), saved_model.SUMS]
    sound = {name: (folder / name).read_bytes() for name in names}

    def once(rng: random.Random) -> str:
        path = folder / rng.choice(names)
        name = path.relative_to(folder).as_posix()
        try:
            match rng.randrange(8):
                case 0:
                    path.unlink()
                case 1:
                    path.write_bytes(sound[rng.choice(names)])
                case 2 if name == "model.json":
                    changed = mutations.of_json(json.loads(sound[name]), rng)
                    path.write_text(json.dumps(changed), encoding="utf-8")
                case _:
                    path.write_bytes(mutations.of_bytes(sound[name], rng))
            same = path.is_file() and path.read_bytes() == sound[name]
            card = saved_model.read_card(folder)
            saved_model.check(folder)
            if card != CARD:
                raise SilentNonsenseError(f"{name}: another description was believed")
            if not same and name != saved_model.SUMS:
                raise SilentNonsenseError(f"{name}: other bytes were believed")
        except PipelineError as error:
            return _one_line(error)
        finally:
            path.write_bytes(sound[name])
        return "same"

    return once


def _cache(folder: Path) -> Target:
    keys = cache.keys(["0" * 64], views=1, seed=0)
    features = np.arange(8, dtype=np.float16).reshape(1, 2, 2, 2)
    sound = folder.with_name("sound")
    cache.put(sound, keys[0], features, features.astype(np.float32).mean(axis=(1, 2)))

    def once(rng: random.Random) -> str:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound, folder)
        path = rng.choice([file for file in sorted(folder.rglob("*")) if file.is_file()])
        path.write_bytes(mutations.of_bytes(path.read_bytes(), rng))
        refused = cache.drop_damaged(folder, keys)
        due = cache.missing(folder, ["a"], ["0" * 64], keys)
        if bool(refused) != bool(due):
            raise SilentNonsenseError(f"{path.name}: damaged and used, or absent without a word")
        return "refused" if refused else "same"

    return once


def _one_line(error: Exception) -> str:
    text = str(error)
    if "\n" in text:
        raise AssertionError(f"more than a line: {text[:300]!r}")
    return "refused"
