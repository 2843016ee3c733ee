"""Days of the ledger as programs get them. Pages, commands and files all list them from here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from exporter.base import cells
from exporter.base.plain import moment
from exporter.state.day_rows import Day

EPOCH: Final = date(1970, 1, 1)
# The columns of a day in CSV. A column for each resource type comes after them.
COLUMNS: Final = ("date", "spend_usd", "corrections_usd", "estimated_usd", "unknown_seconds")


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


def with_periods(number: int, day: Day) -> dict[str, Any]:
    """Return a day as `plain` has it, with what each billing period has of it.

    `period_start` is null where it is not known. There are none on a day of which too little is
    known.
    """
    entries = () if day.is_unknown else day.entries
    periods = [
        {
            "period_start": moment(entry.period) if entry.period else None,
            "spend_usd": entry.spend,
            "corrections_usd": entry.corrections,
            "estimated_usd": entry.estimated,
        }
        for entry in entries
    ]
    return {**plain(number, day), "periods": periods}


def plain_days(days: Mapping[int, Day]) -> list[dict[str, Any]]:
    """Return days in order, as `plain` has each."""
    return [plain(number, days[number]) for number in sorted(days)]


def csv_lines(days: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield days, as `plain` has each, as lines of CSV, the header first.

    A type that a known day has nothing of is 0 there, and empty on an unknown one.
    """
    types = sorted({name for day in days for name in day["resources"] or ()})
    yield f"{cells.line((*COLUMNS, *types))}\n"
    for day in days:
        resources = day["resources"]
        spent = (None if resources is None else resources.get(name, 0.0) for name in types)
        yield f"{cells.line((*(day[name] for name in COLUMNS), *spent))}\n"


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
