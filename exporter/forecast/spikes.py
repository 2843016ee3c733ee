"""How days compare with what was expected of them, and which resource types made a spike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from exporter.forecast import by_resource
from exporter.forecast.by_resource import Series
from exporter.forecast.expectation import Expectations
from exporter.forecast.history import Period, Place, history
from exporter.model import ExpectedDay
from exporter.state.day_rows import Day


class Compared(NamedTuple):
    """A day beside what was expected of it, in US dollars."""

    spend: float
    expected: ExpectedDay
    more: Sequence[tuple[str, float]]  # by type: above what was expected of it, most first

    @property
    def is_spike(self) -> bool:
        """Whether it cost far more."""
        return self.spend > self.expected.upper

    @property
    def above(self) -> float:
        """How much more it cost; below 0 if less."""
        return self.spend - self.expected.usd


def compared(day: Day, expected: ExpectedDay) -> Compared | None:
    """Return how a day compares; None if it is unknown, or mostly estimated: then nobody knows."""
    if not day.is_observed:
        return None
    by_resource = expected.by_resource
    more = [
        (name, moved.spend - by_resource.get(name, 0.0)) for name, moved in day.resources().items()
    ]
    more = [(name, usd) for name, usd in more if usd > 0]
    return Compared(day.spend, expected, sorted(more, key=lambda each: (-each[1], each[0])))


def expected_on(
    said: Expectations, types: Series, day: int, place: Place | None
) -> ExpectedDay | None:
    """Return what a day was expected to cost before it began; None if nothing was said of it."""
    limit = said.on(day)
    if limit is None:
        return None
    return ExpectedDay(*limit, ExpectedDay.packed(by_resource.expected(types, day, place)))


def expectations(
    days: Mapping[int, Day], first: int, until: int, period: Period, said: Expectations
) -> Mapping[int, ExpectedDay]:
    """Return what days from one to before another were expected to cost, before each began.

    `days` are those of the ledger and `period` is the one of the day `until`. The amounts of the
    organization are those that were said then; the ones of its types are made again, from the days
    before each. A day of which nothing was said is not among them.
    """
    past = history(days, until, period)
    types = by_resource.series(past, days)
    found = {}
    for number in range(max(first, past.first), until):
        day = expected_on(said, types, number, past.places[number - past.first])
        if day is not None:
            found[number] = day
    return found
