"""Look-alikes of the layouts that have readers, of made-up labels of two things on pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = ("Hat", "Long Sleeves")
Labels = np.ndarray
"""float [N, 2] of 1, 0 and NaN."""


@dataclass(frozen=True)
class Layout:
    """How to write a look-alike and what its reader makes of it.

    write : called with a folder and labels; returns the reader's arguments before --out.
    name : called with an image's number: its path below the folder of the images.
    images : that folder, below the one written to.
    unknown : whether the layout can say that a cell is unknown; 0 stands there else.
    """

    write: Callable[[Path, Labels], list[str]]
    name: Callable[[int], str]
    images: str
    unknown: bool = True


def celeba(folder: Path, labels: Labels) -> list[str]:
    cells = np.where(labels == 1, " 1", "-1")
    names = [f"{i:06d}.jpg" for i in range(len(labels))]
    lines = [f"{name} {' '.join(own)}" for name, own in zip(names, cells, strict=True)]
    header = " ".join(name.replace(" ", "_") for name in COLUMNS)
    (folder / "list_attr_celeba.txt").write_text(
        "\n".join([str(len(labels)), header, *lines]) + "\n"
    )
    parts = [f"{name} {int(i % 5 == 1) + 2 * int(i % 5 == 0)}" for i, name in enumerate(names)]
    (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    return [str(folder / "list_attr_celeba.txt")]


def chexpert(folder: Path, labels: Labels) -> list[str]:
    frame = pd.DataFrame(labels, columns=list(COLUMNS))
    frame.insert(0, "Path", [f"Small/{patient(i)}" for i in range(len(labels))])
    for place, name in enumerate(("Sex", "Age", "Frontal/Lateral", "AP/PA"), 1):
        frame.insert(place, name, ["Female", 68, "Frontal", ""][place - 1])
    frame[COLUMNS[1]] = frame[COLUMNS[1]].fillna(-1.0)
    (folder / "Small").mkdir(exist_ok=True)
    frame.to_csv(folder / "Small/train.csv", index=False)
    return [str(folder / "Small/train.csv")]


def patient(number: int) -> str:
    return f"train/patient{number // 2:05d}/study{number % 2}/view1_frontal.jpg"


def nih(folder: Path, labels: Labels) -> list[str]:
    rows = []
    for i, own in enumerate(labels):
        found = "|".join(name for name, one in zip(COLUMNS, own, strict=True) if one == 1)
        rows.append([f"{i:08d}_000.png", found or "No Finding", 0, i // 2, 58, "M"])
    header = ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Sex"]
    pd.DataFrame(rows, columns=header).to_csv(folder / "Data_Entry_2017.csv", index=False)
    tested = [row[0] for row in rows if row[3] % 4 == 0]
    (folder / "test_list.txt").write_text("\n".join(map(str, tested)))
    return [str(folder / "Data_Entry_2017.csv")]


def tags(folder: Path, labels: Labels) -> list[str]:
    words = ("hat", "long_sleeves")
    rows = [
        [
            f"train_{i}",
            " ".join([w for w, one in zip(words, own, strict=True) if one == 1] + ["any"]),
        ]
        for i, own in enumerate(labels)
    ]
    pd.DataFrame(rows, columns=["image_name", "tags"]).to_csv(folder / "train.csv", index=False)
    return [str(folder / "train.csv"), "--columns", ",".join(words)]


def coco(folder: Path, labels: Labels) -> list[str]:
    return _objects(folder, labels, "file_name", lambda i: f"{i:012d}.jpg")


def lvis(folder: Path, labels: Labels) -> list[str]:
    start = "http://images.cocodataset.org"
    return _objects(folder, labels, "coco_url", lambda i: f"{start}/train2017/{i:012d}.jpg")


def _objects(folder: Path, labels: Labels, key: str, name: Callable[[int], str]) -> list[str]:
    images = [
        {
            "id": i + 100,
            key: name(i),
            "neg_category_ids": [c + 7 for c in np.flatnonzero(own == 0).tolist()],
        }
        for i, own in enumerate(labels)
    ]
    pairs = np.argwhere(labels == 1).tolist()
    annotations = [
        {"id": n, "image_id": i + 100, "category_id": c + 7} for n, (i, c) in enumerate(pairs)
    ]
    content = {
        "images": images,
        "annotations": annotations + annotations[:3],
        "categories": [{"id": c + 7, "name": one} for c, one in enumerate(COLUMNS)],
    }
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations/instances.json").write_text(json.dumps(content))
    return [str(folder / "annotations/instances.json")]


def open_images(folder: Path, labels: Labels) -> list[str]:
    codes = ("/m/02wx", "/m/0lzz")
    rows = [
        [f"{i:016x}", "verification", codes[c], f"{labels[i, c]:.0f}"]
        for i, c in np.argwhere(~np.isnan(labels)).tolist()
    ]
    rows += [
        [f"{i:016x}", "machine", codes[c], "0.7"] for i, c in np.argwhere(np.isnan(labels)).tolist()
    ]
    header = ["ImageID", "Source", "LabelName", "Confidence"]
    pd.DataFrame(sorted(rows), columns=header).to_csv(folder / "labels-in.csv", index=False)
    classes = "".join(f"{c},{n}\n" for c, n in zip(codes, COLUMNS, strict=True))
    (folder / "classes.csv").write_text(classes)
    return [str(folder / "labels-in.csv"), "--classes", str(folder / "classes.csv")]


def hugging_face(folder: Path, labels: Labels) -> list[str]:
    lines = []
    for i, own in enumerate(labels):
        known = [None if np.isnan(one) else int(one) for one in own]
        record = {"file_name": f"train/{i}.png", "Hat": known[0], "Hat_probability": 0.5}
        # A guess of another model's, which is no label.
        record |= {"Long Sleeves": 0 if known[1] is None else bool(known[1])}
        record["Long Sleeves_source"] = "imputed" if known[1] is None else "known"
        lines.append(json.dumps(record | {"text": f"picture number {i}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return [str(folder / "metadata.jsonl")]


LAYOUTS = {
    "celeba": Layout(celeba, lambda i: f"{i:06d}.jpg", "img_align_celeba", unknown=False),
    "chexpert": Layout(chexpert, lambda i: f"Small/{patient(i)}", "."),
    "nih": Layout(nih, lambda i: f"images_001/images/{i:08d}_000.png", ".", unknown=False),
    "tags": Layout(tags, lambda i: f"train_{i}.jpg", "images", unknown=False),
    "coco": Layout(coco, lambda i: f"train2017/{i:012d}.jpg", ".", unknown=False),
    "lvis": Layout(lvis, lambda i: f"train2017/{i:012d}.jpg", "."),
    "open_images": Layout(open_images, lambda i: f"{i:016x}.jpg", "images"),
    "hugging_face": Layout(hugging_face, lambda i: f"train/{i}.png", "."),
}
