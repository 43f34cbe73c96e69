"""HTML templates: Jinja escapes all values, and control characters become visible escapes.

Jinja takes 51 ms to import, so only runs that write a page import it.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from convfilter import __version__
from convfilter.errors import printable
from convfilter.filters.catalog import FILTERS
from convfilter.report import pair, tables
from convfilter.report.figures import drawings
from convfilter.report.markup import memory, number


def _finished(value: object) -> object:
    return value if isinstance(value, Markup) else printable(str(value))


def _content(name: str) -> str:
    return files("convfilter.report").joinpath(name).read_text("utf-8")


_ENVIRONMENT = Environment(
    loader=FunctionLoader(_content),
    autoescape=True,
    finalize=_finished,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "base64": lambda data: Markup(b64encode(data).decode()),
    # Entities are not decoded within a script, so "<" is escaped as in JSON.
    "json": lambda value: Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")),
}
_ENVIRONMENT.globals |= {
    "catalog": FILTERS,
    "count": number,
    "drawings": drawings,
    "is_small": pair.is_small,
    "layout": pair.layout,
    "memory": memory,
    "most_listed": tables.MOST_LISTED,
    "remarks": pair.remarks,
    "version": __version__,
}


def document(template: str, title: str, scripts: Sequence[str] = ("page.js",), **values: Any) -> str:
    """Return a page with the style and scripts of this package; the page loads nothing and runs no other script."""
    script = "".join(map(_content, scripts))
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    page = _ENVIRONMENT.get_template(template)
    return page.render(title=title, policy=policy, style=_content("page.css"), script=script, **values)
