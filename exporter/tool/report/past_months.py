"""The last months of an organization, and the year to date, as far as they are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from exporter.metrics import cents
from exporter.metrics.extract.values import exact_sum
from exporter.state.ledger import sum_if_known
from exporter.tool.report.periods import Period, State

SHOWN: Final = 12  # months
MONTHS_OF_A_YEAR: Final = 12


class PastMonth(NamedTuple):
    """A month, and what it came to in US dollars; None if that is not known."""

    month: str  # as 2026-11
    usd: float | None
    note: str  # why it is not the whole month, or not known; empty if it is


class YearToDate(NamedTuple):
    """What the months of a year came to, up to the one of the report."""

    year: str
    usd: float | None  # of the months that are known
    unknown: Sequence[str]  # months, as 2026-11


class PastMonths(NamedTuple):
    """The last months, the newest first, down to the first that is known."""

    months: Sequence[PastMonth]
    year: YearToDate

    @property
    def shown_of_year(self) -> float | None:
        """The sum of the year's months as they are shown; None if none is known."""
        of_year = (each.usd for each in self.months if each.month.startswith(self.year.year))
        known = [usd for usd in of_year if usd is not None]
        return cents.total(known) if known else None


def past_months(every: Sequence[Period], period: Period) -> PastMonths | None:
    """Return the months up to that of a period; None if it is not known which month that is."""
    if period.month is None:
        return None
    found = [_month(every, name) for name in _names(period.month)]
    year = period.month[:4]
    of_year = [each for each in found if each.month.startswith(year)]
    known = [each.usd for each in of_year if each.usd is not None]
    unknown = [each.month for each in reversed(of_year) if each.usd is None]
    while found and found[-1].usd is None:
        found.pop()
    return PastMonths(found, YearToDate(year, exact_sum(known) if known else None, unknown))


NOT_OVER: Final = "not over"
OUT_OF_DATE: Final = "may be incomplete"
INCOMPLETE: Final = "incomplete"
UNKNOWN: Final = "unknown"


def _names(month: str) -> Sequence[str]:
    """Return the last months up to one, the newest first."""
    year, _, number = month.partition("-")
    count = int(year) * MONTHS_OF_A_YEAR + int(number) - 1
    every = (divmod(count - back, MONTHS_OF_A_YEAR) for back in range(SHOWN))
    return [f"{year:04}-{number + 1:02}" for year, number in every]


def _month(every: Sequence[Period], name: str) -> PastMonth:
    periods = [each for each in every if each.month == name]
    usd = sum_if_known([each.usd for each in periods]) if periods else None
    if usd is None:
        return PastMonth(name, None, UNKNOWN)
    states = {each.state for each in periods}
    if State.RUNNING in states:
        note = NOT_OVER
    elif State.LAST_KNOWN in states:
        note = OUT_OF_DATE
    else:
        note = INCOMPLETE if any(each.is_incomplete for each in periods) else ""
    return PastMonth(name, usd, note)
