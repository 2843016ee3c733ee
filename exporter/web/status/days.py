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


def whole(summary: Summary) -> Sequence[tuple[int, Day]]:
    """Return the whole days of the longest window, numbered from 1970 on, the oldest first.

    Those of which the ledger has nothing are unknown. None while the amounts are withdrawn.
    """
    spend, windows = summary.state.spend, summary.windows
    if spend is None or spend.ledger is None or windows is None:
        return ()
    first, until = windows.answered - SHOWN, windows.answered
    days = between(spend.ledger, first, until - 1)
    return [(number, days.get(number, UNKNOWN)) for number in range(first, until)]


def listed(summary: Summary) -> Sequence[DayDetail]:
    """Return the whole days of the longest window and the day of the last good answer.

    The newest first; none while the amounts are withdrawn.
    """
    spend, windows = summary.state.spend, summary.windows
    if spend is None or spend.ledger is None or windows is None:
        return ()
    answered = windows.answered
    days = between(spend.ledger, 0, answered)
    compared = ahead.compared(spend, days, answered - SHOWN, answered)
    return [
        DayDetail(number * DAY, days[number], number < answered, compared.get(number))
        for number in sorted(days, reverse=True)
        if number >= answered - SHOWN
    ]
