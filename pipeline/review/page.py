"""The page as one HTML text: markup, style, script and what it starts with."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

OFFLINE = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"
"""Content security policy of a page without a server, but for its own style and script."""
SERVED = (
    "default-src 'none'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def render(start: Mapping[str, Any], title: str = "Review", policy: str = "") -> str:
    """The page that begins with ``start``, of JSON's types.

    Parameters
    ----------
    policy : content security policy, for a page that no server sends with one.
    """
    # "</script>" in a name would end the element.
    data = json.dumps(start, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(_asset("page.html")).render(
        title=title,
        policy=allow(policy) if policy else "",
        style=Markup(_asset("page.css")),
        script=Markup(_asset("page.js")),
        data=Markup(data),
    )


def allow(policy: str) -> str:
    """``policy`` with the page's own style and script, by their hashes."""
    return f"{policy}; style-src '{_hash('page.css')}'; script-src '{_hash('page.js')}'"


@lru_cache
def _asset(name: str) -> str:
    return files("pipeline.review").joinpath(name).read_text(encoding="utf-8")


def _hash(name: str) -> str:
    digest = hashlib.sha256(_asset(name).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
