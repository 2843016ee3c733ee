"""What was spent on past days, and where in its billing period each of them was."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from exporter.state.day_rows import DAY, Day
from exporter.state.ledger import IN_MEMORY, day_of

WEEK: Final = 7  # days
FOUR_WEEKS: Final = 28


class Place(NamedTuple):
    """Where in its period a day is."""

    passed: int  # days of the period before it
    left: int  # days of the period after it


class Period(NamedTuple):
    """The period that a forecast is about, in Unix seconds."""

    start: float
    end: float

    @property
    def middle(self) -> float:
        """When half of it is over."""
        return (self.start + self.end) / 2

    @property
    def first(self) -> int:
        """The day on which it starts, in days since 1970."""
        return day_of(self.start)

    @property
    def until(self) -> int:
        """The day on which the next one starts, if that is when this one ends."""
        # A second more, for ends that say when the last second is.
        return day_of(self.end + 1)


class History(NamedTuple):
    """Whole days without a gap, up to the one before `until`."""

    until: int  # in days since 1970
    spends: Sequence[float | None]  # US dollars; None where unknown
    places: Sequence[Place | None]  # None before the first period that is known
    corrections: Mapping[int, float]  # US dollars by day, where there are any
    period: Period  # of `until`

    @property
    def first(self) -> int:
        """The first of the days."""
        return self.until - len(self.spends)

    def ahead(self, count: int) -> Sequence[Place]:
        """Return the places of so many days from `until` on: of periods as long as this one."""
        return _places_ahead(self.until, self.period.first, self.period.until, count)


def history(days: Mapping[int, Day], until: int, period: Period) -> History:
    """Return what is known of the days before one, numbered in days since 1970.

    A day of which some hours are unknown counts as if they had been like the others.
    """
    numbers = [number for number in days if until - IN_MEMORY <= number < until]
    known = [number for number in numbers if not days[number].is_unknown]
    if not known:
        return History(until, (), (), {}, period)
    first = min(known)
    spends: list[float | None] = []
    starts = {period.first}
    corrections = {}
    for number in range(first, until):
        day = days.get(number)
        if day is None or day.is_unknown:
            spends.append(None)
            continue
        spends.append(day.spend * DAY / (DAY - day.unknown))
        starts.update(day_of(entry.period) for entry in day.entries if entry.period)
        if fallen := day.corrections:
            corrections[number] = fallen
    places = _places(range(first, until), tuple(sorted(starts)), period.until)
    return History(until, spends, places, corrections, period)


# Many organizations have the same periods.


@lru_cache(32)
def _places_ahead(until: int, first: int, end: int, count: int) -> Sequence[Place]:
    length = max(end - first, 1)
    found = []
    for number in range(until, until + count):
        passed = (number - first) % length if number >= end else number - first
        found.append(Place(passed, (end - 1 - number) % length))
    return found


@lru_cache(32)
def _places(days: range, starts: tuple[int, ...], end: int) -> Sequence[Place | None]:
    ends = [*starts[1:], end]
    found: list[Place | None] = []
    for number in days:
        at = bisect.bisect_right(starts, number) - 1
        found.append(None if at < 0 else Place(number - starts[at], max(0, ends[at] - 1 - number)))
    return found


def known(spends: Sequence[float | None]) -> list[float]:
    """Return the amounts that are known."""
    return [usd for usd in spends if usd is not None]


def mean(amounts: Sequence[float]) -> float:
    """Return the mean of some amounts, 0 of none."""
    return statistics.fmean(amounts) if amounts else 0.0


def median(amounts: Sequence[float]) -> float:
    """Return the median of some amounts, 0 of none."""
    return statistics.median(amounts) if amounts else 0.0
