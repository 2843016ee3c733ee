"""Names of files, made of what an API or a configuration says, that never lead anywhere else."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from string import Formatter
from typing import Final

from exporter.text import is_text

DEFAULT_TEMPLATE: Final = "{organization}/{date}_{id}.pdf"
FIELDS: Final[Mapping[str, str]] = {
    "organization": "the organization's name in lower case, with hyphens",
    "organization_id": "its id",
    "date": "the invoice's date, as YYYY-MM-DD, or `undated`",
    "year": "the year of that date, or `undated`",
    "id": "the invoice's id",
}
LONGEST: Final = 60  # characters of a field: four bytes each, and a name has 255
UNDATED: Final = "undated"


def slug(text: str) -> str:
    """Return a name as a part of a path: letters and digits of any script, and hyphens."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).casefold())
    return "-".join(words)[:LONGEST].strip("-") or _digest(text)


def part(identifier: str) -> str:
    """Return an id as a part of a path; different ids give different parts.

    One that is not made of plain letters, digits, hyphens, dots and underscores gets a digest.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", identifier).lstrip(".-")[:LONGEST]
    return plain if plain and plain == identifier else f"{plain}~{_digest(identifier)}"


def check(template: str) -> str:
    """Return a template as it is. Raises ValueError with the rule that it breaks."""
    try:
        fields = [each for each in Formatter().parse(template) if each[1] is not None]
        plain = template.format(**dict.fromkeys(FIELDS, "x"))
    except (ValueError, KeyError, IndexError, AttributeError):
        fields, plain = [], ""
    if not plain or any(
        form or conversion or name not in FIELDS for _, name, form, conversion in fields
    ):
        known = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise ValueError(f"must be made of text and {known}")
    if "id" not in {name for _, name, _, _ in fields}:
        raise ValueError("must have {id} in it, or one invoice would replace another")
    parts = plain.split("/")
    if any(not each or each.startswith(".") or not is_text(each) for each in parts):
        raise ValueError("must be a relative path, no part of which is empty or begins with a dot")
    return template


def path(template: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders, and the file in them, that a template gives for fields of these names.

    The fields are parts of a path already, by `slug` or `part`.
    """
    return tuple(template.format(**fields).split("/"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
