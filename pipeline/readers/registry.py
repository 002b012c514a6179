"""The readers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.readers import (
    celeba,
    chexpert,
    coco,
    hugging_face,
    nih,
    open_images,
    styles,
    tags,
    voc,
)


@dataclass(frozen=True)
class Reader:
    """Turns one layout into a label table.

    layout : what it reads, for people.
    arguments : an example of its command line's.
    main : its command line, called with the arguments after the reader's name.
    """

    layout: str
    arguments: str
    main: Callable[[Sequence[str]], None]


READERS = {
    "voc": Reader("PASCAL VOC", "VOCdevkit/VOC2007 --out labels.csv", voc.main),
    "styles": Reader("Kaggle's Fashion Product Images", "styles.csv --out labels.csv", styles.main),
    "celeba": Reader("CelebA", "list_attr_celeba.txt --out labels.csv", celeba.main),
    "chexpert": Reader("CheXpert", "train.csv --out labels.csv", chexpert.main),
    "nih": Reader("NIH chest X-rays", "Data_Entry_2017.csv --out labels.csv", nih.main),
    "tags": Reader("Lists of tags, as Planet's", "train.csv --out labels.csv", tags.main),
    "coco": Reader("COCO", "instances_train2017.json --out labels.csv", coco.main),
    "lvis": Reader("LVIS", "lvis_v1_train.json --out labels.csv", coco.main_lvis),
    "open_images": Reader(
        "Open Images, image labels", "labels.csv --out table.csv", open_images.main
    ),
    "hugging_face": Reader(
        "Hugging Face ImageFolder", "metadata.jsonl --out labels.csv", hugging_face.main
    ),
}
"""Everything that names readers is made from this: the command line, its help, docs/data.md."""
