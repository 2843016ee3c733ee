"""Tables of a page, read back as a person would."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from support.status import Html

MINUS: Final = "\N{MINUS SIGN}"


def cents(usd: float) -> int:
    """Return an amount in cents, rounded as it is shown."""
    return round(float(f"{usd:.2f}") * 100)


def amounts(text: str) -> list[int]:
    """Return the amounts in a text, in cents."""
    found = re.findall(rf"({MINUS}?)\$([\d,]+)\.(\d\d)", text)
    return [
        int(f"{whole.replace(',', '')}{part}") * (-1 if sign else 1) for sign, whole, part in found
    ]


def table(html: Html, first: str, number: int = 0) -> Sequence[Sequence[str]]:
    """Return the rows below a head that begins with a text, up to the next head.

    `number` says which of such tables, counted from 0.
    """
    rows = [[" ".join(cell.split()) for cell in row] for row in html.rows]
    at = [place for place, row in enumerate(rows) if row[0] == first][number]
    below = []
    for row in rows[at + 1 :]:
        if not any(amounts(cell) or cell.endswith("unknown") for cell in row):
            break
        below.append(row)
    return below
