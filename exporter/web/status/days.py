"""What was spent on each of the last days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from exporter.forecast import ahead
from exporter.forecast.spikes import Compared
from exporter.state.day_rows import DAY, UNKNOWN, Day
from exporter.state.ledger import between
from exporter.web.summary import Summary

SHOWN: Final = 28  # whole days: those of the longest window


class DayDetail(NamedTuple):
    """A UTC day of the ledger."""

    start: float  # Unix seconds
    day: Day
    is_over: bool  # and a good answer came after it
    compared: Compared | None  # with what was expected of it; None if nothing was, or it is unknown

    @property
    def types(self) -> Sequence[tuple[str, float]]:
        """What was spent for each resource type in US dollars, the largest first."""
        spends = [(name, moved.spend) for name, moved in self.day.resources().items()]
        return sorted((each for each in spends if each[1]), key=lambda each: -each[1])


class Window(NamedTuple):
    """What was spent in the last days before today, or in those before them."""

    title: str
    usd: float | None  # None where a day is unknown
    estimated: int  # days


def whole(summary: Summary) -> Sequence[tuple[int, Day]]:
    """Return the 28 days before the one of the last good answer, the oldest first.

    They are numbered from 1970 on. Those of which the ledger has nothing are unknown.
    """
    spend = summary.report.spend
    if spend is None or spend.ledger is None:
        return ()
    until = spend.ledger.windows.answered
    days = between(spend.ledger, until - SHOWN, until - 1)
    return [(number, days.get(number, UNKNOWN)) for number in range(until - SHOWN, until)]


def windows(summary: Summary) -> Sequence[Window]:
    """Return the windows that are on /metrics; none while month to date is withdrawn."""
    found = summary.windows
    if found is None:
        return ()
    days = [day for _, day in whole(summary)]
    return [
        Window(title, usd, sum(not day.is_observed and not day.is_unknown for day in days[span]))
        for title, usd, span in (
            ("Last whole day", found.day_before, slice(-1, None)),
            ("Last 7 days", found.seven_days, slice(-7, None)),
            ("7 days before", found.seven_before, slice(-14, -7)),
            ("Last 28 days", found.twenty_eight_days, slice(None)),
        )
    ]


def listed(summary: Summary) -> Sequence[DayDetail]:
    """Return the day of the last good answer and the known ones of the 28 before, newest first."""
    spend = summary.report.spend
    if spend is None or spend.ledger is None:
        return ()
    answered = spend.ledger.windows.answered
    days = between(spend.ledger, 0, answered)
    compared = ahead.compared(spend, days, answered - SHOWN, answered)
    return [
        DayDetail(number * DAY, days[number], number < answered, compared.get(number))
        for number in sorted(days, reverse=True)
        if number >= answered - SHOWN
    ]
