"""Days of the ledger as programs get them. Pages, commands and files all list them from here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from exporter.state.day_rows import Day

EPOCH: Final = date(1970, 1, 1)


def plain(number: int, day: Day) -> dict[str, Any]:
    """Return a UTC day, numbered from 1970 on, as JSON has it.

    Amounts are US dollars, unrounded, and null on a day of which too little is known. `resources`
    and `resource_corrections` are before discounts, by resource type.
    """
    known = not day.is_unknown
    resources = day.resources() if known else {}
    return {
        "date": text_of(number),
        "spend_usd": day.spend if known else None,
        "corrections_usd": day.corrections if known else None,
        "estimated_usd": day.estimated if known else None,
        "unknown_seconds": day.unknown,
        "resources": {name: moved.spend for name, moved in resources.items()} if known else None,
        "resource_corrections": (
            {name: moved.corrections for name, moved in resources.items() if moved.corrections}
            if known
            else None
        ),
    }


def plain_days(days: Mapping[int, Day]) -> list[dict[str, Any]]:
    """Return days in order, as `plain` has each."""
    return [plain(number, days[number]) for number in sorted(days)]


def text_of(number: int) -> str:
    """Return the date of a day that is numbered from 1970 on, as 2026-11-23."""
    return f"{EPOCH + timedelta(number)}"


def number_of(text: str) -> int:
    """Return the number of a day that is given as 2026-11-23. Raises ValueError."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or f"{found}" != text:  # it reads other forms, too
        raise ValueError("must be a day as YYYY-MM-DD")
    return (found - EPOCH).days
