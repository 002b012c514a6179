"""One XML file of PASCAL VOC's Annotations folder: which classes its image shows."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from pipeline.errors import fail, one_line
from pipeline.readers.table import read_bytes

MAX_BYTES = 16 * 2**20
"""Size above which a file is refused; an annotation has a few kilobytes."""

_DIFFICULT = {"0": False, "1": True}


def read(path: Path) -> dict[str, bool]:
    """Classes of a file's objects, in order: True if at least one object is not ``difficult``.

    An object without ``<difficult>`` is not difficult. Parts of objects (the ``<part>`` elements of
    persons) are no objects. Format:
    http://host.robots.ox.ac.uk/pascal/VOC/voc2007/devkit_doc_07-Jun-2007.pdf

    Raises
    ------
    PipelineError
        If the file can't be read, is no such XML, declares a document type, or has an object
        without a name or with another ``<difficult>`` than 0 and 1; the object is named.
    """
    content = read_bytes(path, "an annotation in XML")
    if len(content) > MAX_BYTES:
        fail(path, f"got {len(content)} bytes, expected at most {MAX_BYTES} of an annotation")
    # Python's parser expands entities, however deeply nested, and entities need a document type.
    # Every encoding it knows but UTF-16 writes this word in the same bytes.
    if b"\0" in content or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        fail(path, "UTF-16 or no text, expected an annotation in XML; save it in UTF-8")
    if b"<!DOCTYPE" in content:
        fail(path, "got <!DOCTYPE, expected an annotation without document type; remove that part")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        fail(path, f"damaged XML ({one_line(error)}); unpack the annotations again")
    if root.tag != "annotation":
        fail(path, f"element <{root.tag[:60]}>, expected <annotation> of PASCAL VOC")
    found: dict[str, bool] = {}
    for number, element in enumerate(root.findall("object"), start=1):
        name = " ".join((element.findtext("name") or "").split())
        if not name:
            fail(path, f"object {number}: no <name>, expected the object's class; add it")
        text = element.findtext("difficult", default="0").strip()
        if text not in _DIFFICULT:
            fail(
                path,
                f"object {number} ({name!r}): got {text[:60]!r} in <difficult>, expected 0 or 1; "
                "correct it",
            )
        found[name] = found.get(name, False) or not _DIFFICULT[text]
    return found
