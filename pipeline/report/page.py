"""The page as HTML."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report import cells, findings, sections
from pipeline.report.figures import few, percent
from pipeline.report.sections import REVIEW, SUSPECT, Content, Pictures

FOLDER = Path(__file__).parent


def wanted(content: Content) -> dict[str, list[str]]:
    """Which images the page would show as thumbnails: group -> names, the most wanted first."""
    groups = {REVIEW: cells.reviewed(content.review)["image"].tolist()}
    groups[SUSPECT] = list(findings.suspect_images(content.findings))
    own = dict(iter(content.filled.groupby("attribute", sort=False)))
    for one in content.attributes:
        if one.name in own:
            groups[one.anchor] = cells.pictured(own[one.name], one.sought)["image"].tolist()
    return groups


def render(content: Content, pictures: Pictures) -> str:
    """The page as HTML, the same text for the same content.

    It loads nothing from anywhere: style, script and pictures are inside, and its content security
    policy forbids all else, other scripts among it.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    own = dict(iter(content.filled.groupby("attribute", sort=False)))
    nothing = content.filled.iloc[:0]
    return environment.get_template("page.html").render(
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8").rstrip()),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        attributes=content.attributes,
        answer=sections.answer(content),
        came_in=sections.came_in(content),
        look_next=sections.look_next(content, pictures.get(REVIEW, {})),
        gallery={
            one.name: sections.gallery(
                one, own.get(one.name, nothing), pictures.get(one.anchor, {})
            )
            for one in content.attributes
        },
        promises=findings.promises(content.findings.promises),
        max_wrong=percent(content.max_wrong),
        shares=findings.shares(content.findings.prevalence),
        suspects=findings.suspects(content.findings, pictures.get(SUSPECT, {})),
        looks=findings.looks(content.findings.budget),
        people=findings.people(content.findings.audit_by_people),
        classifier=sections.classifier(content),
        all_cells=sections.all_cells(content),
        made=content.made,
        few=few,
    )
