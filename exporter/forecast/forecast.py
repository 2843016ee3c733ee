"""Where a billing period will end, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import mul
from typing import Final, NamedTuple

from exporter.forecast import patterns
from exporter.forecast.history import FOUR_WEEKS, Period, history, known, mean
from exporter.forecast.methods import AHEAD, Known, expected
from exporter.forecast.record import HORIZONS, NOTHING_OR_TWICE, Expectation, Record
from exporter.state.day_rows import DAY, Day

SO_FAR: Final = "period_so_far"  # the method of the first day


class Said(NamedTuple):
    """What one method says."""

    name: str
    usd: float  # where the period will end, in US dollars
    weight: float  # how much it counts, of 1
    error: float | None  # the share of what is usual by which it was wrong, so long before the end


class Forecast(NamedTuple):
    """Where a period will end, in US dollars."""

    usd: float
    lower: float
    upper: float
    methods: Sequence[Said]  # those that count most first


class Outlook(NamedTuple):
    """What is expected from the start of a day on. It is made once a day."""

    day: int  # the first, in days since 1970
    period: Period
    usual: float  # US dollars a day
    methods: Mapping[str, Sequence[float]]  # US dollars on each day ahead, without fees
    weights: Mapping[str, float]
    errors: Mapping[str, float | None]
    fees: Sequence[float]  # US dollars on each day ahead
    credit: float  # US dollars that the period's end will bring
    bounds: tuple[float, float] | None  # of what is ahead, as shares of the usual

    def forecast(self, answered: float, month_to_date: float, today: Day) -> Forecast:
        """Return where the period will end, by the last good answer.

        `answered` is when that came, in Unix seconds, on the first of the days; `month_to_date` is
        what it said, in US dollars, and `today` what is known of that day.
        """
        shares, beyond = self._left(answered)
        left = math.fsum(shares) + beyond
        rests = {
            name: math.fsum(map(mul, days, shares)) + mean(days) * beyond
            for name, days in self.methods.items()
        }
        weights = self.weights
        if not rests:  # no day is over yet
            passed = max(answered - self.period.start, 0.0) / DAY
            usual = max(month_to_date, 0.0) / passed if passed else 0.0
            rests, weights = {SO_FAR: usual * left}, {SO_FAR: 1.0}
        rest = math.fsum(weights[name] * usd for name, usd in rests.items())
        fees = self._fees(shares, today.spend)
        ahead = rest + fees
        credit = self._credit(today.corrections)
        low, high = self._bounds(ahead, left)

        def end(usd: float) -> float:
            return max(month_to_date, month_to_date + usd)

        # A credit that may come takes the lower bound below month to date, and never the forecast.
        lower = max(month_to_date - credit, month_to_date + ahead - credit + low)
        said = [
            Said(name, end(usd + fees - credit), weights[name], self.errors.get(name))
            for name, usd in rests.items()
        ]
        return Forecast(
            end(ahead - credit),
            min(lower, end(ahead - credit)),
            end(ahead + high),
            sorted(said, key=lambda each: (-each.weight, each.name)),
        )

    def _left(self, answered: float) -> tuple[Sequence[float], float]:
        """Return which share of each day is still ahead, and how many days beyond those."""
        end = max(self.period.end, answered)
        last = self.day + AHEAD
        shares = []
        for number in range(self.day, min(last, math.ceil(end / DAY))):
            since, until = max(answered, number * DAY), min(end, (number + 1) * DAY)
            shares.append(max(0.0, until - since) / DAY)
        return shares, max(0.0, end / DAY - last)

    def _fees(self, shares: Sequence[float], today: float) -> float:
        """Return the fees that are ahead: what today had above the usual was part of one."""
        count = min(len(shares), max(0, self.period.until - self.day))
        fees = list(self.fees[:count])
        if fees and fees[0] and shares[0] < 1:
            usual = math.fsum(w * self.methods[name][0] for name, w in self.weights.items())
            seen = today - usual * (1 - shares[0])
            fees[0] = min(fees[0], max(0.0, fees[0] - seen))
        return math.fsum(fees)

    def _credit(self, today: float) -> float:
        """Return the credit that is ahead: what was taken back today may have been part of it."""
        is_at_end = self.day >= self.period.until - patterns.LAST_DAYS
        return max(0.0, self.credit - today) if is_at_end else self.credit

    def _bounds(self, ahead: float, days: float) -> tuple[float, float]:
        if self.bounds is None:
            nothing, twice = NOTHING_OR_TWICE
            return ahead * (nothing - 1), ahead * (twice - 1)
        low, high = self.bounds
        return low * self.usual * days, high * self.usual * days


class Forecaster:
    """Follows the days of one organization, and learns how wrong each method is with it."""

    def __init__(self) -> None:
        self._record = Record()

    def begin(self, days: Mapping[int, Day], day: int, period: Period) -> Outlook:
        """Return what is expected from the start of a day on, by the days before it.

        To be called for each day on which there is a good answer, in order; again if another
        period has begun on it.
        """
        past = history(days, day, period)
        fees = patterns.fees(past)
        spends = patterns.without(fees, past.spends)
        self._record.compare(past, spends)
        ahead = past.ahead(AHEAD)
        level = spends[patterns.level_start(spends) :]
        methods = expected(Known(day, spends, level, past.places, ahead))
        usual = mean(known(past.spends[-FOUR_WEEKS:]))
        sums = {name: _sums(each) for name, each in methods.items()}
        self._record.expect(Expectation(day, usual, sums, self._blended(sums)))
        rest = max(1.0, period.end / DAY - day)
        names = sorted(methods)
        return Outlook(
            day,
            period,
            usual,
            methods,
            self._record.weights(names, rest),
            {name: self._record.past_error(name, rest) for name in names},
            [math.fsum(fee.usd for fee in fees if fee.is_on(place)) for place in ahead],
            patterns.credit(past),
            self._record.bounds(rest),
        )

    def _blended(self, sums: Mapping[str, Sequence[float]]) -> Sequence[float]:
        names = sorted(sums)
        found = []
        for at, horizon in enumerate(HORIZONS):
            weights = self._record.weights(names, horizon)
            found.append(math.fsum(weights[name] * sums[name][at] for name in names))
        return found


def _sums(days: Sequence[float]) -> Sequence[float]:
    """Return what a method expects up to each horizon."""
    return [math.fsum(days[:horizon]) for horizon in HORIZONS]
