"""A page as HTML: one file, whose scripts and styles its Content-Security-Policy names by hash."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from prefdata.files import storage
from prefdata.reports.base import Block, Grid
from prefdata.reports.page.content import Chart, Page, Section
from prefdata.text.controls import escape_controls, escape_json_controls

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
"""What ends a script element, or begins a comment in it."""
STYLE, SCRIPT, READER = "page.css", "page.js", "reader.js"


def write_html(page: Page, path: str) -> int:
    """Write a page, and return the number of its bytes."""
    content = render_page(page).encode()
    storage.write_bytes(path, content)
    return len(content)


def render_page(page: Page) -> str:
    """The page as HTML."""
    scripts = [_read_file(SCRIPT), *([_read_file(READER)] if page.rows else [])]
    style = _read_file(STYLE)
    hashed = " ".join(_hash(script) for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashed}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return _load_template().render(
        page=page,
        policy=policy,
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        rows=embed_json(list(page.rows.rows)) if page.rows else "",
    )


def embed_json(value: Any) -> Markup:
    """The value as JSON that can't end the script element that it stands in."""
    text = escape_json_controls(orjson.dumps(value).decode())
    for found, written in _ESCAPES.items():
        text = text.replace(found, written)
    return Markup(text)


@cache
def _load_template() -> Any:
    environment = Environment(
        loader=PackageLoader("prefdata.reports", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Texts of rows, models and servers come from anywhere.
        finalize=_neutralise,
    )
    environment.filters["group"] = _group_parts
    environment.filters["svg"] = lambda chart: Markup(chart.svg)
    environment.tests["chart"] = lambda part: isinstance(part, Chart)
    environment.tests["grid"] = lambda part: isinstance(part, Grid)
    return environment.get_template("page.html.jinja")


def _neutralise(value: Any) -> Any:
    """A text without controls; what is markup already stays."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return escape(escape_controls(value))
    return value


def _group_parts(section: Section) -> Iterator[tuple[bool, list[Block | Chart]]]:
    """The parts, those charts that follow one another together: (whether they are charts, they)."""
    for are_charts, parts in groupby(section.parts, lambda part: isinstance(part, Chart)):
        yield are_charts, list(parts)


@cache
def _read_file(name: str) -> str:
    return (resources.files("prefdata.reports.page") / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
