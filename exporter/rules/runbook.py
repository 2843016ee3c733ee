"""The runbook: what to do about each alert, and what several of them share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

# A package brings the file along; a checkout that is run in place has it where people read it.
PACKAGED: Final = Path(__file__).resolve().with_name("runbook.md")
CHECKOUT: Final = PACKAGED.parents[2] / "docs" / "runbooks" / "viam-billing.md"

_SECTION: Final = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


@cache
def sections() -> Mapping[str, str]:
    """Return the text of each section by its heading, in Markdown without links.

    A link to another section becomes its heading, in brackets or, if that is the text, in quotes.
    """
    file = PACKAGED if PACKAGED.exists() else CHECKOUT
    found = dict(_SECTION.findall(file.read_text(encoding="utf-8")))
    headings = {f"#{heading.lower().replace(' ', '-')}": heading for heading in found}

    def unlinked(link: re.Match[str]) -> str:
        text, heading = link[1], headings.get(link[2])
        if heading is None:
            return text
        if heading.lower() != text.lower():
            return f"{text} ({heading})"
        return f'"{text}"' if " " in text else text

    return {heading: _LINK.sub(unlinked, text).strip() for heading, text in found.items()}
