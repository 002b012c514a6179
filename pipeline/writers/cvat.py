"""CVAT for images 1.1: a tag per image, whose select attributes are the table's.

https://docs.cvat.ai/docs/other/xml_format/. It has no place for a probability, and a checkbox would
have none for unknown.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from PIL import Image

from pipeline.data import image_files, images
from pipeline.errors import PipelineError, fail, one_line
from pipeline.writers.cells import Outgoing, Returned

LABEL = "attributes"
UNKNOWN = "unknown"
NAME = "annotations.xml"


def write(table: Outgoing, folder: Path) -> str:
    """annotations.xml.

    Raises
    ------
    PipelineError
        If a category is called like `UNKNOWN`, or a picture is not there any more.
    """
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    task = ET.SubElement(ET.SubElement(root, "meta"), "task")
    ET.SubElement(task, "name").text = "fill-image-attributes"
    ET.SubElement(task, "size").text = str(len(table.split))
    ET.SubElement(task, "mode").text = "annotation"
    label = ET.SubElement(ET.SubElement(task, "labels"), "label")
    ET.SubElement(label, "name").text = LABEL
    ET.SubElement(label, "type").text = "tag"
    attributes = ET.SubElement(label, "attributes")
    for name, values in table.values.items():
        if UNKNOWN in values:
            raise PipelineError(f"attribute {name!r}: a category {UNKNOWN!r} can't be told apart")
        one = ET.SubElement(attributes, "attribute")
        ET.SubElement(one, "name").text = name
        ET.SubElement(one, "mutable").text = "False"
        ET.SubElement(one, "input_type").text = "select"
        ET.SubElement(one, "default_value").text = UNKNOWN
        ET.SubElement(one, "values").text = "\n".join([UNKNOWN, *sorted(values)])
    for place, (image, cells) in enumerate(table.by_image):
        width, height = _size(table, image)
        size = {"width": str(width), "height": str(height)}
        one = ET.SubElement(root, "image", {"id": str(place), "name": image, **size})
        tag = ET.SubElement(one, "tag", label=LABEL, source="manual")
        for cell in cells:
            own = ET.SubElement(tag, "attribute", name=cell["attribute"])
            own.text = cell["value"] or UNKNOWN
    ET.indent(root)
    ET.ElementTree(root).write(folder / NAME, encoding="utf-8", xml_declaration=True)
    return f"in a task of the same images: upload {NAME} as CVAT 1.1"


def read(path: Path, table: Outgoing) -> Iterator[Returned]:
    """The attributes of each image's tag, from the XML or the ZIP that CVAT exports.

    Raises
    ------
    PipelineError
        If it is none.
    """
    try:
        content = path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                content = archive.read(NAME)
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            fail(path, "expected CVAT's XML, which has no document type of its own")
        root = ET.fromstring(content)
    except (OSError, KeyError, zipfile.BadZipFile, ET.ParseError) as error:
        fail(path, f"not an export as CVAT for images 1.1 ({one_line(error)})")
    for image in root.iter("image"):
        for tag in image.iter("tag"):
            if tag.get("label") == LABEL:
                for one in tag.iter("attribute"):
                    value = (one.text or "").strip()
                    yield Returned(
                        image.get("name", ""),
                        one.get("name", ""),
                        "" if value == UNKNOWN else value,
                    )


def _size(table: Outgoing, image: str) -> tuple[int, int]:
    try:
        with Image.open(image_files.resolve(table.folder, image)) as picture:
            return picture.size
    except (images.ImageError, OSError) as error:
        raise PipelineError(
            f"{table.folder / image}: {one_line(error)}; run `dvc repro`"
        ) from error
