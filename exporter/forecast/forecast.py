"""What is expected from a day on, by the days before it and by how wrong each method has been."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from operator import mul
from typing import Final, NamedTuple

from exporter.forecast import by_resource, patterns, spikes
from exporter.forecast.expectation import Expectations
from exporter.forecast.history import FOUR_WEEKS, Period, history, known, mean
from exporter.forecast.methods import AHEAD, SO_FAR, Known, expected
from exporter.forecast.outlook import Basis, FeeAhead, Outlook
from exporter.forecast.record import HORIZONS, LEAST, Record
from exporter.state.day_rows import DAY, UNKNOWN, Day

LEAST_DAYS: Final = 2  # known: a single one may be odd, and today is as good


class Begun(NamedTuple):
    """What is expected from the start of a day on, and why."""

    outlook: Outlook
    basis: Basis


class Learned(NamedTuple):
    """What an organization's past has taught. It grows with each day that begins."""

    record: Record
    said: Expectations

    @classmethod
    def nothing(cls) -> Learned:
        """Return what is learned before the first day."""
        return cls(Record(), Expectations())


def begin(learned: Learned, days: Mapping[int, Day], day: int, period: Period) -> Begun:
    """Return what is expected from the start of a day on, by the days before it.

    To be called for each day on which there is a good answer, in order; again if another period
    has begun on it. What is learned grows by the days that are over.
    """
    record, said = learned
    past = history(days, day, period)
    fees = patterns.fees(past)
    credit = patterns.credit(past)
    spends = patterns.without(fees, credit, past.spends)
    level = spends[patterns.level_start(spends) :]
    record.compare(past, spends, mean(known(level[-FOUR_WEEKS:])))
    ahead = past.ahead(AHEAD)
    enough = len(known(spends)) >= LEAST_DAYS
    methods = expected(Known(day, spends, level, past.places, ahead)) if enough else {}
    usual = mean(known(past.spends[-FOUR_WEEKS:]))
    sums = {name: _sums(each) for name, each in methods.items()}
    names = sorted(methods)
    blended = _blended(record, names, sums)
    if names:
        record.expect(day, usual, sums, blended)
    rest = max(1.0, period.end / DAY - day)
    weights = record.weights(names, rest)
    # As many as the period has left, and one more, for it may be late; none if nothing is known.
    count = min(max(1, period.until - day + 1), AHEAD) if names else 0
    shares = [weights[name] for name in names]
    by_day = islice(zip(*[methods[name] for name in names], strict=True), count)
    blend = [math.fsum(map(mul, shares, usd)) for usd in by_day]
    ahead_fees = [
        FeeAhead(
            number,
            math.fsum(fee.usd for fee in due),
            # A fee is not always to the cent what it was.
            math.fsum(max(LEAST * fee.usd, fee.margin) for fee in due),
        )
        for number, place in enumerate(ahead[: min(count, max(0, period.until - day))])
        if (due := [fee for fee in fees if fee.is_on(place)])
    ]
    fee = math.fsum(fee.usd for fee in fees if fee.is_on(ahead[0]))
    fee_before = (past.spends[-1] or 0.0) - (spends[-1] or 0.0) if spends else 0.0
    said.expect(days, day, (blended[0] if names else usual) + fee, usual, max(0.0, fee_before))
    types = by_resource.series(past, days)
    day_before = None
    if days.get(day - 1, UNKNOWN).is_observed:
        day_before = spikes.expected_on(said, types, day - 1, past.places[-1])
    return Begun(
        Outlook(
            day,
            period,
            usual,
            min(names, key=lambda name: (-weights[name], name), default=SO_FAR),
            blend,
            ahead_fees,
            credit.usd,
            credit.margin,
            record.bounds(rest),
            day_before,
            spikes.expected_on(said, types, day, ahead[0]),
        ),
        Basis(
            {name: methods[name][:count] for name in names},
            weights,
            {name: record.past_error(name, rest) for name in names},
        ),
    )


def _blended(
    record: Record, names: Sequence[str], sums: Mapping[str, Sequence[float]]
) -> Sequence[float]:
    found = []
    for at, horizon in enumerate(HORIZONS):
        weights = record.weights(names, horizon)
        found.append(math.fsum([weights[name] * sums[name][at] for name in names]))
    return found


def _sums(days: Sequence[float]) -> Sequence[float]:
    """Return what a method expects up to each horizon."""
    return [math.fsum(days[:horizon]) for horizon in HORIZONS]
