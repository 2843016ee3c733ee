"""From what a file says of the past to the days that the exporter would have in its ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from exporter.model import Ledger, Spend
from exporter.state import ledger, spend
from exporter.state.day_rows import UNKNOWN, Day
from exporter.state.ledger import STORED, day_of
from exporter.tool.history_file import Reading


class Past(NamedTuple):
    """What was known at a moment."""

    at: float  # Unix seconds
    month_to_date: float  # US dollars, as the last answer has it
    days: Mapping[int, Day]  # numbered from 1970 on, in order, up to that of the moment
    known: int  # of the days before it


def replay(readings: Iterable[Reading], at: float | None = None) -> Past | None:
    """Return what was known at a moment, that of the last answer if none is given.

    None if there was no answer by then. Those that came later are read, and left out.
    """
    book = _Book()
    last = None
    for reading in readings:
        if at is None or reading.time <= at:
            book.take(reading)
            last = reading
    if last is None:
        return None
    at = last.time if at is None else at
    return Past(at, last.usage.month_to_date, *book.days(day_of(at)))


class _Book:
    """The counters and the ledger of an organization, and the days that the ledger has let go."""

    def __init__(self) -> None:
        self._spend: Spend | None = None
        self._seen: float | None = None
        self._days: dict[int, Day] = {}

    def take(self, reading: Reading) -> None:
        """Take in a good answer, as the exporter does."""
        step = spend.advance(self._spend, reading.usage, reading.time, self._seen)
        self._keep(step.spend.ledger, day_of(reading.time))
        noted = ledger.note(step.spend.ledger, step, reading.time, STORED)
        self._spend = replace(step.spend, ledger=noted)
        self._seen = reading.time

    def days(self, until: int) -> tuple[Mapping[int, Day], int]:
        """Return the days up to one, unknown ones among them, and how many before it are known."""
        found = None if self._spend is None else self._spend.ledger
        if found is None:
            return {}, 0
        self._keep(found, None)
        first = max(min(self._days), until - STORED + 1)
        days = {n: self._days.get(n, UNKNOWN) for n in range(first, until + 1)}
        answered = min(found.windows.answered, until)
        return days, sum(day.is_observed for n, day in days.items() if n < answered)

    def _keep(self, before: Ledger | None, today: int | None) -> None:
        """Have the days of the ledger before it lets go of any, which a new day has it do."""
        if before is None or before.windows.answered == today:
            return
        self._days |= ledger.between(before, 0, before.windows.answered)
        for number in sorted(self._days)[:-STORED]:
            del self._days[number]
