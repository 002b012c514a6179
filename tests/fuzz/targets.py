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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import params, runtime
from pipeline.data import corrections, images, read_table
from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.features import cache
from pipeline.predict.pictures import predictions
from pipeline.predict.rows import UNLIKE
from pipeline.stages import train
from pipeline.training import heads, saved_model
from pipeline.training.inference import Predictor
from pipeline.training.saved_model import SUMS
from tests.fuzz import mutations
from tests.training import small_project

ROOT = Path(__file__).resolve().parents[2]
Target = Callable[[random.Random], str]
"""Does one input drawn from the generator; says how it ended: ``refused``, ``same``, ``read``."""


HASHED = 64
"""Classifiers of which one has no hashes: it takes a hundred times as long to find out more."""


class SilentNonsenseError(AssertionError):
    """A damaged input was taken for a sound one that says something else."""


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


def _pictures(_: Path) -> Target:
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


def _predict(folder: Path) -> Target:
    """Pictures told by a trained classifier, one file of which is damaged, empty or another.

    One of `HASHED` has no hashes, as those of earlier versions: what is damaged in its arrays can't
    be known, but its columns are those that its description names.
    """
    runtime.prepare(0, to_train=True)  # can be asked for before anything is computed, and not later
    with small_project.inside(folder):
        small_project.make(head="stack")
        train.main()
        shutil.copytree(saved_model.FOLDER, "sound")
    names = sorted(
        path.relative_to(folder / "sound").as_posix() for path in _files(folder / "sound")
    )
    sound = {name: (folder / "sound" / name).read_bytes() for name in names}
    used = [*json.loads(sound[SUMS]), SUMS]
    pictures = sorted((folder / "images").iterdir())[:3]
    expected = _predicted(folder / "sound", pictures)
    damaged = folder / "damaged"
    shutil.copytree(folder / "sound", damaged)

    def once(rng: random.Random) -> str:
        hashed = rng.random() >= 1 / HASHED
        name = rng.choice([one for one in used if hashed or one not in ("model.json", SUMS)])
        path = damaged / name
        try:
            path.unlink()  # it may be a link
            if not hashed:
                (damaged / SUMS).unlink()
                runtime.tensorflow().keras.backend.clear_session()  # of the networks before
            match rng.randrange(8):
                case 0:
                    pass
                case 1:
                    path.write_bytes(sound[rng.choice(used)])
                case 2 if path.suffix == ".json":
                    changed = mutations.of_json(json.loads(sound[name]), rng)
                    path.write_text(json.dumps(changed), encoding="utf-8")
                case 3:
                    path.write_bytes(b"")
                case _:
                    path.write_bytes(mutations.of_bytes(sound[name], rng))
            found = _predicted(damaged, pictures)
        except PipelineError as error:
            return _one_line(error)
        finally:
            for one in (name, SUMS):
                (damaged / one).unlink(missing_ok=True)
                (damaged / one).write_bytes(sound[one])
        # An earlier version's has nothing to tell unlike pictures by, either.
        optional = set() if hashed else {UNLIKE}
        if {*found[0]} | optional != {*expected[0]} | optional:
            raise SilentNonsenseError(f"{name}: other columns, {list(found[0])}")
        shares = [cell for row in found for cell in row.values() if isinstance(cell, float)]
        if not all(0 <= share <= 1 for share in shares):
            raise SilentNonsenseError(f"{name}: no probabilities, {found}")
        if found == expected:
            return "same"
        if hashed:
            raise SilentNonsenseError(f"{name}: other predictions without a word")
        return "read"

    return once


def _predicted(folder: Path, pictures: list[Path]) -> list[dict[str, Any]]:
    return list(predictions(Predictor(folder), pictures))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _cache(folder: Path) -> Target:
    keys = cache.keys(["0" * 64], views=1, seed=0)
    features = np.arange(8, dtype=np.float16).reshape(1, 2, 2, 2)
    sound, folder = folder / "sound", folder / "damaged"
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


MAKERS: dict[str, Callable[[Path], Target]] = {
    "params.yaml": _params,
    "label table": _table,
    "corrections": _corrections,
    "pictures": _pictures,
    "model.json": _card,
    "classifier": _classifier,
    "cached features": _cache,
    "predict": _predict,
}
"""Name -> how to make the target in a folder of its own, which is empty."""


@contextmanager
def targets(names: Iterable[str] = tuple(MAKERS)) -> Iterator[dict[str, Target]]:
    """The targets of these names; their files are gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="fuzz.") as root:
        made = {}
        for number, name in enumerate(names):
            folder = Path(root) / str(number)
            folder.mkdir()
            made[name] = MAKERS[name](folder)
        yield made
