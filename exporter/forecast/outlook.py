"""What is expected from a day on, and what that makes of month to date at the period's end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from exporter.forecast import patterns
from exporter.forecast.history import Period, mean
from exporter.forecast.methods import SO_FAR
from exporter.forecast.record import NOTHING_OR_TWICE
from exporter.model import ExpectedDay
from exporter.state.day_rows import DAY
from exporter.state.ledger import day_of


class Answered(NamedTuple):
    """A good answer, and what is known of its day. Amounts are US dollars."""

    at: float  # Unix seconds
    month_to_date: float
    spend: float  # of its day
    corrections: float


class Said(NamedTuple):
    """What one method says."""

    name: str
    usd: float  # where the period will end, in US dollars
    weight: float  # how much it counts, of 1
    error: float | None  # the share of what is usual by which it was wrong, so long before the end


class Basis(NamedTuple):
    """What methods say, of which the forecast is made."""

    methods: Mapping[str, Sequence[float]]  # US dollars on each day ahead, without fees
    weights: Mapping[str, float]
    errors: Mapping[str, float | None]


class Left(NamedTuple):
    """Which of the days of an outlook are still ahead, as indices, and how much of each."""

    today: int
    of_today: float  # a share
    last: int  # all of the days between the two is ahead
    of_last: float
    beyond: float  # days that are not in the outlook

    @property
    def days(self) -> float:
        """How many days that is."""
        return self.of_today + (self.last - self.today - 1) + self.of_last + self.beyond

    def rest(self, days: Sequence[float]) -> float:
        """Return what is still ahead of amounts by day."""
        usd = math.fsum(days[self.today + 1 : self.last])
        if self.of_today:
            usd += days[self.today] * self.of_today
        if self.of_last:
            usd += days[self.last] * self.of_last
        return usd + mean(days) * self.beyond if self.beyond else usd

    def stretches(self, days: Sequence[float]) -> Iterator[tuple[int, float, float]]:
        """Yield a day's index, how many days are ahead there, and its amount; one after another."""
        yield self.today, self.of_today, days[self.today] if self.of_today else 0.0
        for index in range(self.today + 1, self.last):
            yield index, 1.0, days[index]
        yield self.last, self.of_last, days[self.last] if self.of_last else 0.0
        yield self.last + 1, self.beyond, mean(days)


class FeeAhead(NamedTuple):
    """The fees of a day ahead, in US dollars."""

    number: int  # of its day, from 0
    usd: float
    margin: float  # by how much they may be more or less


class Outlook(NamedTuple):
    """What is expected from the start of a day on. It is made once a day. Amounts are US dollars.

    The days are as many as are needed, or as methods look ahead.
    """

    day: int  # the first, in days since 1970
    period: Period
    usual: float  # a day
    method: str  # that which counts most
    days: Sequence[float]  # on each day ahead, without fees; none while too few days are known
    fees: Sequence[FeeAhead]
    credit: float  # what the period's end will bring
    credit_margin: float
    bounds: tuple[float, float] | None  # of what is ahead, as shares of the usual
    day_before: ExpectedDay | None = None
    on_it: ExpectedDay | None = None

    def end(self, answer: Answered) -> tuple[float, float, float]:
        """Return where the period will end by the last good answer: forecast, lower, upper.

        The answer came on the first of the days, or on the one after it.
        """
        left = self._left(answer.at)
        ahead = left.rest(self._days(answer)) + self._fees(answer, left)
        credit = self._credit(answer)
        low, high = self._bounds(ahead, left.days)
        of_fees = math.fsum(fee.margin for fee in self.fees if fee.number >= left.today)
        margin = self.credit_margin if credit else 0.0
        usd = _end(answer, ahead - credit)
        # A credit that may come takes the lower bound below month to date, and never the forecast.
        spent = answer.month_to_date
        lower = max(spent - credit - margin, spent + ahead - credit + low - of_fees - margin)
        return usd, min(lower, usd), _end(answer, ahead + high + of_fees)

    def said(self, basis: Basis, answer: Answered) -> Sequence[Said]:
        """Return what each method says, those that count most first."""
        left = self._left(answer.at)
        beside = self._fees(answer, left) - self._credit(answer)
        methods, weights = basis.methods, basis.weights
        if not self.days:
            methods, weights = {SO_FAR: self._days(answer)}, {SO_FAR: 1.0}
        found = [
            Said(
                name, _end(answer, left.rest(days) + beside), weights[name], basis.errors.get(name)
            )
            for name, days in methods.items()
        ]
        return sorted(found, key=lambda each: (-each.weight, each.name))

    def reached(self, answer: Answered, usd: float) -> float | None:
        """Return when month to date will be so much, in Unix seconds; None if not in the period."""
        left, days = self._left(answer.at), self._days(answer)
        fees = dict(self._fees_ahead(answer, left))
        spent, at = answer.month_to_date, answer.at
        for index, length, daily in left.stretches(days):
            growth = daily * length + fees.get(index, 0.0)
            if growth > 0 and spent + growth >= usd:
                return at + length * DAY * max(0.0, usd - spent) / growth
            spent, at = spent + growth, at + length * DAY
        return None

    def _days(self, answer: Answered) -> Sequence[float]:
        """Return what is expected of each day; as the period went so far without any."""
        if self.days:
            return self.days
        passed = max(answer.at - self.period.start, 0.0) / DAY
        return [max(answer.month_to_date, 0.0) / passed if passed else 0.0]

    def _left(self, answered: float) -> Left:
        """Return what is still ahead after an answer."""
        count = max(1, len(self.days))
        here = answered / DAY - self.day
        end = max(self.period.end / DAY - self.day, here)
        today = math.floor(here)
        if today >= count:
            return Left(count, 0.0, count + 1, 0.0, end - here)
        beyond, until = max(0.0, end - count), min(end, count)
        if until <= today + 1:
            return Left(today, until - here, today + 1, 0.0, beyond)
        last = math.floor(until)
        return Left(today, today + 1 - here, last, until - last, beyond)

    def _fees(self, answer: Answered, left: Left) -> float:
        return math.fsum(usd for _, usd in self._fees_ahead(answer, left)) if self.fees else 0.0

    def _fees_ahead(self, answer: Answered, left: Left) -> Iterator[tuple[int, float]]:
        """Yield the fees that are ahead, with the indices of their days.

        What the day of the answer had above the usual was part of its fee.
        """
        for index, usd, _ in self.fees:
            if index == left.today and left.of_today < 1:
                seen = answer.spend - self.days[index] * (1 - left.of_today)
                yield index, min(usd, max(0.0, usd - seen))
            elif index >= left.today:
                yield index, usd

    def _credit(self, answer: Answered) -> float:
        """Return the credit that is ahead: what was taken back today may have been part of it."""
        if not self.credit or day_of(answer.at) < self.period.until - patterns.LAST_DAYS:
            return self.credit
        return max(0.0, self.credit - answer.corrections)

    def _bounds(self, ahead: float, days: float) -> tuple[float, float]:
        if self.bounds is None:
            nothing, twice = NOTHING_OR_TWICE
            return ahead * (nothing - 1), ahead * (twice - 1)
        low, high = self.bounds
        return low * self.usual * days, high * self.usual * days


def _end(answer: Answered, ahead: float) -> float:
    return max(answer.month_to_date, answer.month_to_date + ahead)
