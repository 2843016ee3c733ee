"""Which billing period a month is, and what it came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from exporter.metrics.extract.values import exact_sum
from exporter.state.day_rows import DAY
from exporter.state.listing import number_of
from exporter.tool.api_answers import Cost, DayLine, InvoiceLine, WholeOrganization
from exporter.tool.times import parsed

PREVIOUS: Final = "previous"  # in place of a month: the one that ended last
# A period belongs to the month that it begins in, in the time zone that is furthest ahead: midnight
# comes so much earlier there.
FURTHEST_AHEAD: Final = 14 * 3600.0  # seconds
SHORTEST_MONTH: Final = 28 * DAY
LONG_AGO: Final = 62 * DAY  # what ended before that is not the month before
LATE: Final = 3600.0  # seconds before the end: an earlier last answer makes a total incomplete
SAME: Final = DAY  # starts that are less apart are of one period


class State(StrEnum):
    """Whether more is to come."""

    RUNNING = "running"
    ENDED = "ended"  # and a later period has begun, so its amounts change no more
    LAST_KNOWN = "last_known"  # there is no newer answer: amounts are those of the last one


class Period(NamedTuple):
    """A billing period of an organization. Times are Unix seconds, amounts US dollars.

    None is what is not known.
    """

    state: State
    start: float | None
    end: float | None
    usd: float | None  # after discounts
    seen: float | None  # when it had come to that
    gross: float | None = None
    discount: float | None = None
    costs: Sequence[Cost] | None = None  # before discounts
    billed: Sequence[InvoiceLine] | None = None  # in the month after it, if it has ended

    @property
    def month(self) -> str | None:
        """The month that it is, as 2026-11."""
        if self.start is not None:
            at = self.start + FURTHEST_AHEAD
        elif self.end is not None:
            at = self.end - SHORTEST_MONTH / 2
        else:
            return None
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m}"

    @property
    def unseen(self) -> float:
        """How long before its end the last answer came, in seconds; 0 if it has not ended."""
        if self.state is not State.ENDED or self.seen is None or self.end is None:
            return 0.0
        return max(0.0, self.end - self.seen)

    @property
    def length(self) -> int | None:
        """How many days it has."""
        if self.start is None or self.end is None:
            return None
        return round((self.end - self.start) / DAY)

    @property
    def is_incomplete(self) -> bool:
        """Whether it has ended, and was last read too long before its end to be final."""
        return self.unseen > LATE

    @property
    def missing_usd(self) -> float | None:
        """About what was spent after the last answer, at the average pace before it."""
        if self.usd is None or self.start is None or self.seen is None or self.seen <= self.start:
            return None
        return self.usd / (self.seen - self.start) * self.unseen

    @property
    def days_read(self) -> float | None:
        """How many days its total is of, if it has ended."""
        if self.start is None or self.end is None:
            return None
        return (self.end - self.start - self.unseen * self.is_incomplete) / DAY

    def owns(self, start: float | None) -> bool:
        """Tell whether a period that began then is this one."""
        return start is not None and self.start is not None and abs(start - self.start) < SAME


def known_periods(
    whole: WholeOrganization, days: Sequence[DayLine], now: float
) -> Sequence[Period]:
    """Return the periods of an organization that something is known of, the newest first."""
    found = [*_current(whole, days, now), *_closed(whole)]
    starts = {
        parsed(part.period_start)
        for day in days
        for part in day.periods
        if part.period_start is not None
    }
    # Of the ledger alone: what the billing API said of them is withdrawn.
    others = [
        _of_days(start, None, days)
        for start in starts
        if not any(each.owns(start) for each in found)
    ]
    return sorted([*found, *others], key=lambda each: -(each.start or each.end or 0.0))


def wanted(every: Sequence[Period], month: str | None, now: float) -> Period | None:
    """Return the period that is meant by a month, PREVIOUS, or None for the newest one."""
    if month is None:
        return every[0] if every else None
    if month != PREVIOUS:
        return next((each for each in every if each.month == month), None)
    ended = (each for each in every if each.end is not None and each.end <= now)
    found = next(ended, None)
    return found if found is not None and now - (found.end or 0.0) < LONG_AGO else None


def before(every: Sequence[Period], period: Period) -> Period | None:
    """Return the period that ended when another began."""
    if period.start is None:
        return None
    return next(
        (
            each
            for each in every
            if each.end is not None and abs(each.end - period.start) < SAME and each != period
        ),
        None,
    )


def _current(whole: WholeOrganization, days: Sequence[DayLine], now: float) -> Iterator[Period]:
    start, end = _time(whole.period_start), _time(whole.period_end)
    if start is None and end is None and whole.month_to_date_usd is None:
        return
    if whole.month_to_date_usd is None and start is not None:
        yield _of_days(start, end, days)
        return
    yield Period(
        State.RUNNING if end is None or now < end else State.LAST_KNOWN,
        start,
        end,
        whole.month_to_date_usd,
        _time(whole.usage_seen_at),
        whole.gross_usd,
        whole.discount_usd,
        whole.costs,
    )


def _closed(whole: WholeOrganization) -> Iterator[Period]:
    for each in whole.closed_periods or ():
        yield Period(
            State.ENDED,
            _time(each.period_start),
            parsed(each.period_end),
            each.usage_usd,
            parsed(each.usage_seen_at),
            each.gross_usd,
            each.discount_usd,
            each.costs,
            each.invoices,
        )


def _of_days(start: float, end: float | None, days: Sequence[DayLine]) -> Period:
    """Return what the ledger alone has of a period, whose days add up to what it has cost."""
    period = Period(State.LAST_KNOWN, start, end, None, None)
    moved = [
        part.spend_usd - part.corrections_usd
        for day in days
        for part in day.periods
        if period.owns(_time(part.period_start))
    ]
    first = start // DAY
    unknown = any(day.spend_usd is None and number_of(day.date) >= first for day in days)
    return period._replace(usd=exact_sum(moved) if moved and not unknown else None)


def _time(text: str | None) -> float | None:
    return None if text is None else parsed(text)
