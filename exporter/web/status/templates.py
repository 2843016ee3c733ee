"""What all templates have in common: whatever is put in is escaped, and nothing is loaded."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

import jinja2

from exporter.base.text import escaped
from exporter.forecast.methods import words
from exporter.metrics.problems import failure_words
from exporter.web.status import formatting

PAGES: Final = "exporter.web"  # the package whose templates others build on
# Filters of the templates, each a function of `formatting`.
FORMATS: Final = (
    "usd",
    "exact_usd",
    "share",
    "off",
    "moment",
    "day",
    "iso_time",
    "span",
    "ago",
    "ahead",
    "count",
    "signed_usd",
    "signed_share",
)


def environment(*packages: str) -> jinja2.Environment:
    """Return what renders the templates of packages, an earlier one's in place of a later one's."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages]),
        autoescape=True,
        auto_reload=False,  # or every use looks at the file
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in FORMATS:
        made.filters[name] = getattr(formatting, name)
    made.filters["method"] = words
    made.filters["failure"] = failure_words
    return made


def policy(style: str) -> str:
    """Return a content security policy that lets in this style and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'"


def _printable(value: object) -> object:
    """Return what is put into a page, with escapes for what no page should have in it.

    A name from the API may have NUL, which HTML cannot hold, or what steers a terminal.
    """
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return "\n".join(map(escaped, value.split("\n")))
    return value
