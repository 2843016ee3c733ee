"""From what a file says of the past to what the exporter would have known at a moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from exporter.forecast import ahead
from exporter.forecast.outlook import Said
from exporter.forecast.spikes import Compared
from exporter.model import Forecast, Ledger, Spend
from exporter.state import ledger, spend
from exporter.state.day_rows import UNKNOWN, Day
from exporter.state.ledger import STORED, day_of
from exporter.tool.history_file import Reading


class Judged(NamedTuple):
    """A day that is over, beside what was expected of it."""

    day: int  # in days since 1970
    compared: Compared | None  # None if nothing was expected, or the day is not known


class Past(NamedTuple):
    """What was known at a moment."""

    at: float  # Unix seconds
    month_to_date: float  # US dollars, as the last answer has it
    is_behind: bool  # whether the last answer is of a period before the one that is known
    forecast: Forecast | None  # None if the answer has no dates, or does not count
    said: Sequence[Said]  # what each method says, those that count most first
    days: Mapping[int, Day]  # numbered from 1970 on, in order, up to that of the moment
    known: int  # of the days before it
    yesterday: Judged | None  # the last day that has an answer after its end; None without any


def replay(readings: Iterable[Reading], at: float | None = None) -> Past | None:
    """Return what was known at a moment, that of the last answer if none is given.

    None if there was no answer by then. Those that came later are read, and left out.
    """
    book = Book()
    for reading in readings:
        if at is None or reading.time <= at:
            book.take(reading)
    return book.past(at)


def at_first_sight(reading: Reading, budget: float | None) -> Forecast | None:
    """Return the forecast after an answer before which nothing is known, as an exporter has it.

    None on the first day of the period: usage is hours late, and nothing follows from so little.
    """
    start = reading.usage.period_start
    if start is None or reading.time - start < spend.DAY:
        return None
    book = Book(budget)
    book.take(reading)
    return book.forecast


class Book:
    """An organization's counters and ledger, and what is expected of the days ahead.

    With the days that the ledger has let go.
    """

    def __init__(self, budget: float | None = None) -> None:
        """`budget` is that of each period, in US dollars."""
        self._budget = budget
        self._spend: Spend | None = None
        self._last: Reading | None = None
        self._days: dict[int, Day] = {}
        self._forecast: Forecast | None = None

    def take(self, reading: Reading) -> None:
        """Take in a good answer, as the exporter does."""
        seen = None if self._last is None else self._last.time
        step = spend.advance(self._spend, reading.usage, reading.time, seen)
        self._keep(step.spend.ledger, day_of(reading.time))
        noted = ledger.note(step.spend.ledger, step, reading.time, STORED)
        counted = replace(step.spend, ledger=noted)
        self._spend = ahead.look_ahead(counted, reading.time, self._forecast)
        self._last = reading
        self._forecast = ahead.forecast(
            self._spend, reading.time, reading.usage.month_to_date, self._budget
        )

    def past(self, at: float | None = None) -> Past | None:
        """Return what is known at a moment that is not before the last answer, or at that one.

        None if there was no answer.
        """
        last = self._last
        if last is None:
            return None
        at = last.time if at is None else at
        is_behind = self._spend is not None and self._spend.paused is not None
        return Past(
            at,
            last.usage.month_to_date,
            is_behind,
            self._forecast,
            self.said,
            *self._listed(day_of(at)),
            self.yesterday(),
        )

    @property
    def last(self) -> Reading | None:
        """The last answer."""
        return self._last

    @property
    def period_start(self) -> float | None:
        """When the period of the last answer began, in Unix seconds, as it was told first."""
        return None if self._spend is None else self._spend.period_start

    @property
    def forecast(self) -> Forecast | None:
        """Where the period of the last answer will end; None if nothing is known of it."""
        return self._forecast

    @property
    def said(self) -> Sequence[Said]:
        """What each method says."""
        last = self._last
        return () if last is None else ahead.said(self._spend, last.time, last.usage.month_to_date)

    def yesterday(self) -> Judged | None:
        """Return the day before that of the last answer; None without an answer."""
        found = None if self._spend is None else self._spend.ledger
        if found is None:
            return None
        today = found.windows.answered
        days = ledger.between(found, 0, today - 1)
        compared = ahead.compared(self._spend, days, today - 1, today)
        return Judged(today - 1, compared.get(today - 1))

    def _listed(self, until: int) -> tuple[Mapping[int, Day], int]:
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
