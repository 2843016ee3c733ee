"""What is expected from a day on, by the days before it and by how wrong each method has been."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from exporter.forecast import patterns
from exporter.forecast.history import FOUR_WEEKS, Period, history, known, mean
from exporter.forecast.methods import AHEAD, SO_FAR, Known, expected
from exporter.forecast.outlook import Basis, Outlook
from exporter.forecast.record import HORIZONS, Record
from exporter.state.day_rows import DAY, Day


class Begun(NamedTuple):
    """What is expected from the start of a day on, and why."""

    outlook: Outlook
    basis: Basis


def begin(record: Record, days: Mapping[int, Day], day: int, period: Period) -> Begun:
    """Return what is expected from the start of a day on, by the days before it.

    To be called for each day on which there is a good answer, in order; again if another period
    has begun on it. The record learns from the days that are over.
    """
    past = history(days, day, period)
    fees = patterns.fees(past)
    spends = patterns.without(fees, past.spends)
    record.compare(past, spends)
    ahead = past.ahead(AHEAD)
    level = spends[patterns.level_start(spends) :]
    methods = expected(Known(day, spends, level, past.places, ahead))
    usual = mean(known(past.spends[-FOUR_WEEKS:]))
    sums = {name: _sums(each) for name, each in methods.items()}
    names = sorted(methods)
    record.expect(day, usual, sums, _blended(record, names, sums))
    rest = max(1.0, period.end / DAY - day)
    weights = record.weights(names, rest)
    # As many as the period has left, and one more, for it may be late; none if nothing is known.
    count = min(max(1, period.until - day + 1), AHEAD) if names else 0
    blend = [
        math.fsum(weights[name] * methods[name][number] for name in names)
        for number in range(count)
    ]
    ahead_fees = [
        (number, math.fsum(fee.usd for fee in fees if fee.is_on(place)))
        for number, place in enumerate(ahead[: min(count, max(0, period.until - day))])
    ]
    return Begun(
        Outlook(
            day,
            period,
            usual,
            min(names, key=lambda name: (-weights[name], name), default=SO_FAR),
            blend,
            [(number, usd) for number, usd in ahead_fees if usd],
            patterns.credit(past),
            record.bounds(rest),
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
        found.append(math.fsum(weights[name] * sums[name][at] for name in names))
    return found


def _sums(days: Sequence[float]) -> Sequence[float]:
    """Return what a method expects up to each horizon."""
    return [math.fsum(days[:horizon]) for horizon in HORIZONS]
