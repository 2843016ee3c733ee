"""The days of a billing period: what each had of it, beside what was expected."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from exporter.metrics.extract.values import exact_sum
from exporter.state.day_rows import APART, UNKNOWN, Day, Entry, Moved
from exporter.state.ledger import day_of
from exporter.state.listing import number_of
from exporter.tool.api_answers import DayLine, ExpectedLine, WholeOrganization
from exporter.tool.report.credits import credits_of
from exporter.tool.report.periods import Period
from exporter.tool.times import parsed


class MonthDays(NamedTuple):
    """The days of a period that are in a ledger, one after another, up to that of the last answer.

    Days are numbered from 1970 on.
    """

    days: Sequence[tuple[int, Day]]
    first: int  # the one on which the period begins: a ledger may begin later
    until: int  # the one before which they are over
    expected: Mapping[int, ExpectedLine]
    latest: int  # the last that has begun so long ago that an answer of it should be there

    @property
    def shown(self) -> Sequence[tuple[int, Day]]:
        """The days, and those after the last answer, of which nothing is known."""
        if not self.days:
            return self.days
        after = range(self.days[-1][0] + 1, self.latest + 1)
        return [*self.days, *((number, UNKNOWN) for number in after)]

    def spend_on(self, number: int) -> float | None:
        """Return what was spent on a day, in US dollars; None if that is not known."""
        place = number - self.days[0][0] if self.days else -1
        day = self.days[place][1] if 0 <= place < len(self.days) else UNKNOWN
        return None if day.is_unknown else day.spend

    @property
    def not_compared(self) -> Sequence[int]:
        """The days that are over, but cannot be compared with what was expected of them."""
        return [number for number in range(self.first, self.until) if number not in self.expected]

    @property
    def highest_not_compared(self) -> tuple[int, float] | None:
        """The day that cost most of those, and how much, in US dollars. Estimates are alike."""
        observed = self._observed
        return self._highest(number for number in self.not_compared if number in observed)

    @property
    def highest(self) -> tuple[int, float] | None:
        """The day that cost most of all, and how much; None if it is one of estimates."""
        found = self._highest(number for number, _ in self.days)
        return found if found and found[0] in self._observed else None

    @property
    def _observed(self) -> Collection[int]:
        return {number for number, day in self.days if day.is_observed}

    def _highest(self, numbers: Iterable[int]) -> tuple[int, float] | None:
        spends = {number: usd for number in numbers if (usd := self.spend_on(number)) is not None}
        return max(spends.items(), key=lambda each: each[1], default=None)

    @property
    def known(self) -> float:
        """What was spent on known days, less corrections, in US dollars."""
        return exact_sum(net(day) for _, day in self.days if not day.is_unknown)

    @property
    def estimated(self) -> float:
        """How much of what was spent was divided among days, in US dollars."""
        return exact_sum(day.estimated for _, day in self.days if not day.is_unknown)

    @property
    def credits(self) -> Mapping[int, float]:
        """Credits and corrections by day: about how much they were, in US dollars."""
        return credits_of(self.days)

    @property
    def unknown(self) -> int:
        """How many days are not known."""
        return sum(day.is_unknown for _, day in self.days)

    @property
    def spikes(self) -> Sequence[tuple[int, ExpectedLine]]:
        """The days that cost far more than expected."""
        return [(number, each) for number, each in self.expected.items() if each.is_spike]


NO_DAYS: Final = MonthDays((), 0, 0, {}, 0)


def net(day: Day) -> float:
    """Return what was spent on a day, less corrections, in US dollars."""
    return day.spend - day.corrections


def of_period(
    period: Period, whole: WholeOrganization, listed: Sequence[DayLine], now: float
) -> MonthDays:
    """Return the days of a period that are in a ledger; none if it is not known when it began."""
    if period.start is None or not listed:
        return NO_DAYS
    lines = {number_of(line.date): line for line in listed}
    first, last = day_of(period.start), max(lines)
    until = last
    end = now if period.end is None else min(now, period.end - 1)
    if period.end is not None:
        last = min(last, day_of(period.end - 1))
        until = min(until, last + 1)
    days = [
        (number, _day(lines[number], period) if number in lines else UNKNOWN)
        for number in range(max(first, min(lines)), last + 1)
    ]
    expected = {number_of(each.date): each for each in whole.expected_days or ()}
    return MonthDays(
        days,
        first,
        until,
        {number: each for number, each in expected.items() if first <= number <= last},
        day_of(end - APART),
    )


def _day(line: DayLine, period: Period) -> Day:
    """Return what a period has of a day. Types of cost are those of the whole day."""
    if line.spend_usd is None:
        return Day(max(line.unknown_seconds, UNKNOWN.unknown), ())
    parts = [
        (each.spend_usd, each.corrections_usd, each.estimated_usd)
        for each in line.periods
        if each.period_start is None or period.owns(parsed(each.period_start))
    ]
    if not line.periods:  # an older exporter, or a day without any
        parts = [(line.spend_usd, line.corrections_usd or 0.0, line.estimated_usd or 0.0)]
    fallen = line.resource_corrections or {}
    types = {
        name: Moved(usd, fallen.get(name, 0.0)) for name, usd in (line.resources or {}).items()
    }
    entries = tuple(
        Entry(period.start or 0.0, *amounts, types if number == 0 else {})
        for number, amounts in enumerate(parts)
    )
    return Day(line.unknown_seconds, entries)
