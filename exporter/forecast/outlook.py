"""What is expected from a day on, and what that makes of month to date at the period's end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from operator import mul
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


class Outlook(NamedTuple):
    """What is expected from the start of a day on. It is made once a day. Amounts are US dollars.

    The days are as many as are needed, or as methods look ahead.
    """

    day: int  # the first, in days since 1970
    period: Period
    usual: float  # a day
    days: Sequence[float]  # on each day ahead, without fees; none if no day is over yet
    fees: Sequence[float]  # on each day ahead
    credit: float  # what the period's end will bring
    bounds: tuple[float, float] | None  # of what is ahead, as shares of the usual
    day_before: ExpectedDay | None = None
    on_it: ExpectedDay | None = None

    def end(self, answer: Answered) -> tuple[float, float, float]:
        """Return where the period will end by the last good answer: forecast, lower, upper.

        The answer came on the first of the days, or on the one after it.
        """
        shares, beyond = self._left(answer.at)
        ahead = self._rest(self._days(answer), shares, beyond) + self._fees(answer, shares)
        credit = self._credit(answer)
        low, high = self._bounds(ahead, math.fsum(shares) + beyond)
        usd = self._end(answer, ahead - credit)
        # A credit that may come takes the lower bound below month to date, and never the forecast.
        spent = answer.month_to_date
        lower = max(spent - credit, spent + ahead - credit + low)
        return usd, min(lower, usd), self._end(answer, ahead + high)

    def said(self, basis: Basis, answer: Answered) -> Sequence[Said]:
        """Return what each method says, those that count most first."""
        shares, beyond = self._left(answer.at)
        beside = self._fees(answer, shares) - self._credit(answer)
        methods, weights = basis.methods, basis.weights
        if not self.days:
            methods, weights = {SO_FAR: self._days(answer)}, {SO_FAR: 1.0}
        found = [
            Said(
                name,
                self._end(answer, self._rest(days, shares, beyond) + beside),
                weights[name],
                basis.errors.get(name),
            )
            for name, days in methods.items()
        ]
        return sorted(found, key=lambda each: (-each.weight, each.name))

    def reached(self, answer: Answered, usd: float) -> float | None:
        """Return when month to date will be so much, in Unix seconds; None if not in the period."""
        shares, beyond = self._left(answer.at)
        spent, at = answer.month_to_date, answer.at
        days = self._days(answer)
        fees = zip_longest(self._fees_ahead(answer, shares), shares, fillvalue=0.0)
        stretches = [
            (usual * left + fee, left)
            for usual, left, (fee, _) in zip(days, shares, fees, strict=True)
        ]
        for growth, left in [*stretches, (mean(days) * beyond, beyond)]:
            if growth > 0 and spent + growth >= usd:
                return at + left * DAY * max(0.0, usd - spent) / growth
            spent, at = spent + growth, at + left * DAY
        return None

    def _days(self, answer: Answered) -> Sequence[float]:
        """Return what is expected of each day; as the period went so far if no day is over."""
        if self.days:
            return self.days
        passed = max(answer.at - self.period.start, 0.0) / DAY
        return [max(answer.month_to_date, 0.0) / passed if passed else 0.0]

    def _left(self, answered: float) -> tuple[Sequence[float], float]:
        """Return which share of each day is still ahead, and how many days beyond those."""
        end = max(self.period.end, answered)
        last = self.day + max(1, len(self.days))
        shares = []
        for number in range(self.day, last):
            since, until = max(answered, number * DAY), min(end, (number + 1) * DAY)
            shares.append(max(0.0, until - since) / DAY)
        return shares, max(0.0, end - max(last * DAY, answered)) / DAY

    @staticmethod
    def _rest(days: Sequence[float], shares: Sequence[float], beyond: float) -> float:
        return math.fsum(map(mul, days, shares)) + mean(days) * beyond

    @staticmethod
    def _end(answer: Answered, ahead: float) -> float:
        return max(answer.month_to_date, answer.month_to_date + ahead)

    def _fees(self, answer: Answered, shares: Sequence[float]) -> float:
        return math.fsum(self._fees_ahead(answer, shares))

    def _fees_ahead(self, answer: Answered, shares: Sequence[float]) -> Iterator[float]:
        """Yield the fees that are ahead on each day.

        What the day of the answer had above the usual was part of its fee.
        """
        today = day_of(answer.at) - self.day
        for index, fee in enumerate(self.fees[: max(0, self.period.until - self.day)]):
            if index < today or not fee:
                yield 0.0
            elif index == today and shares[index] < 1:
                seen = answer.spend - self.days[index] * (1 - shares[index])
                yield min(fee, max(0.0, fee - seen))
            else:
                yield fee

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
