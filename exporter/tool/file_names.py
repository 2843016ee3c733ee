"""Names of files, made of what an API or a configuration says, that never lead anywhere else."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Final

from exporter.base.text import is_text

DEFAULT_TEMPLATE: Final = "{organization}/{date}_{id}.pdf"
FIELDS: Final[Mapping[str, str]] = {
    "organization": "the organization's name in lower case, with hyphens",
    "organization_id": "its id",
    "date": "the invoice's date, as YYYY-MM-DD, or `undated`",
    "year": "the year of that date, or `undated`",
    "id": "the invoice's id",
}
LONGEST: Final = 60  # characters of a field
MOST_BYTES: Final = 255  # of a name, on most file systems
UNDATED: Final = "undated"


def slug(text: str) -> str:
    """Return a name as a part of a path: letters, marks and digits of any script, and hyphens.

    Different names may give the same part: see `distinct`.
    """
    # Folding may take a letter and its mark apart again.
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    letters = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in plain)
    return "-".join(letters.split())[:LONGEST].strip("-") or _digest(text)


def distinct(names: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return organizations' parts of paths by id, of ids and names: no two of them the same.

    The first has the slug of its name; others whose slug is the same get a digest of their id.
    """
    taken: dict[str, str] = {}
    for identifier, name in names:
        plain = slug(name)
        if taken.setdefault(plain, identifier) != identifier:
            taken[f"{plain}~{_digest(identifier)}"] = identifier
    return {identifier: plain for plain, identifier in taken.items()}


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
        raise ValueError(f"must consist of text and {known}")
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
    return tuple(map(_short, template.format(**fields).split("/")))


def _short(name: str) -> str:
    """Return a name that a file system takes: a long one is cut, and a digest of it tells it apart.

    Its extension stays.
    """
    if len(name.encode()) <= MOST_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > LONGEST // 4:
        stem, dot, extension = name, "", ""
    end = f"~{_digest(name)}{dot}{extension}".encode()
    return (stem.encode()[: MOST_BYTES - len(end)] + end).decode(errors="ignore")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
