"""What a finished run leaves behind, in small, without running it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from pipeline.data.clean_table import write_clean
from pipeline.data.labels import LabelTable, written
from pipeline.files import write_csv

ROOT = Path(__file__).resolve().parent.parent
IMAGES = 100
SOUGHT, DOUBTFUL, AUDITED = 5, 40, 12
COLOURS = ("red", "green", "blue")


def make(folder: Path, images: int = IMAGES, seed: int = 0) -> pd.DataFrame:
    """Write params.yaml, data/ and pictures below ``folder``; return the truth as text, by image.

    Attributes: has_hat and has_bag, binary, colour, categorical, and rare, with two known
    positives. Almost half of the cells is unknown; one filled cell in ten is wrong.
    """
    rng = np.random.default_rng(seed)
    names = [f"image_{i:03d}.png" for i in range(images)]
    cells = {
        "has_hat": (rng.random(images) < 0.5).astype(np.float32),
        "has_bag": (rng.random(images) < 0.8).astype(np.float32),
        "colour": rng.choice(np.array(COLOURS, dtype=object), images),
        "rare": np.isin(np.arange(images), [1, 2]).astype(np.float32),
    }
    split = ["val" if i % 10 == 8 else "test" if i % 10 == 9 else "train" for i in range(images)]
    table = LabelTable(names, cells, split, vocabulary={"colour": COLOURS})
    truth = pd.DataFrame({name: written(own) for name, own in cells.items()}, index=names)
    given, filled, rows = {}, {}, []
    for name, own in cells.items():
        unknown = (rng.random(images) < 0.45) & ~np.isin(np.arange(images), [0, 1, 2])
        wrong = unknown & (rng.random(images) < 0.1)
        given[name], filled[name] = own.copy(), own.copy()
        if own.dtype == object:
            given[name][unknown] = ""
            filled[name][wrong] = np.where(own[wrong] == "red", "blue", "red")
        else:
            given[name][unknown] = np.nan
            filled[name][wrong] = 1 - own[wrong]
        for i in np.flatnonzero(unknown):
            sure = round(float(rng.uniform(0.5, 0.7) if wrong[i] else rng.uniform(0.6, 1)), 6)
            value = written(filled[name])[i]
            rows.append((names[i], name, value, round(1 - sure, 6) if value == "0" else sure, sure))
    columns = ["image", "attribute", "value", "probability", "expected_correctness"]
    provenance = pd.DataFrame(rows, columns=columns).sort_values(
        ["image", "attribute"], ignore_index=True
    )
    provenance = provenance.assign(round=1, evidence="picture")
    shutil.rmtree(folder / "data", ignore_errors=True)
    for part in ("clean", "imputed", "images"):
        (folder / "data" / part).mkdir(parents=True)
    write_clean(replace(table, cells=given), folder / "data/clean/labels.csv")
    write_clean(replace(table, cells=filled), folder / "data/imputed/labels.csv")
    lists = provenance.rename(columns={"value": "guess"}).assign(correct_value="")
    hats = lists[lists["attribute"].isin(["has_hat", "has_bag"])]
    doubtful = hats.sort_values("expected_correctness").head(DOUBTFUL)
    doubtful = doubtful.assign(queue="doubtful", listed_probability=1, reason="not sure enough")
    # What is doubtful but not on the list is a guess, for which nobody is asked.
    provenance.loc[~provenance.index.isin(doubtful.index), "evidence"] = "prior"
    write_csv(provenance, folder / "data/imputed/provenance.csv")
    rest = lists.drop(index=doubtful.index)
    sought = rest[rest["attribute"] == "rare"].head(SOUGHT)
    sought = sought.assign(queue="too few labels", listed_probability=1, reason="too few labels")
    rest = rest.drop(index=sought.index)
    audit = rest.sample(min(AUDITED, len(rest)), random_state=seed)
    audit = audit.assign(
        queue="audit", listed_probability=AUDITED / len(rest), reason="drawn by chance"
    )
    write_csv(pd.concat([sought, doubtful, audit]), folder / "data/imputed/review.csv")
    known = [(name, "has_hat", given["has_hat"][i]) for i, name in enumerate(names)]
    suspects = pd.DataFrame(known, columns=["image", "attribute", "label"]).dropna().head(6)
    suspects = suspects.assign(
        label=suspects["label"].astype(int), wrong_probability=0.6, reason="contradicted"
    )
    write_csv(suspects, folder / "data/imputed/suspects.csv")
    (folder / "data/corrections.csv").write_text("image,attribute,value\n")
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("data/demo/images", "data/images")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    for name in names:
        _draw(truth.loc[name], folder / "data/images" / name)
    return truth


def _draw(cells: pd.Series, path: Path) -> None:
    picture = Image.new("RGB", (36, 48), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((10, 18, 26, 40), fill=cells["colour"])
    draw.ellipse((12, 6, 24, 18), fill="black" if cells["has_hat"] == "1" else "peachpuff")
    if cells["has_bag"] == "1":
        draw.rectangle((28, 26, 34, 34), fill="brown")
    picture.save(path)
