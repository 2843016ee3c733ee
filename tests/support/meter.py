"""An organization whose bill is known at each moment, and the truth about what it was told."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

from exporter.pb import billing_pb2 as pb
from support.reader import OUTAGE, USAGE, FakeReader
from support.truth import Truth
from support.virtual import START, VirtualClock

HOUR, DAY = 3600.0, 86_400.0
MIDNIGHT: Final = math.ceil(START / DAY) * DAY  # the first one of a run
TYPE: Final = "data_upload"  # of all that is spent

Spent = Callable[[float], float]  # US dollars since some moment, at a moment in Unix seconds


def flat(per_day: float) -> Spent:
    """Spend evenly."""
    return lambda moment: (moment - MIDNIGHT) / DAY * per_day


def plus(spent: Spent, usd: float, since: float) -> Spent:
    """Spend an amount at once at a moment, too: a fee, or below 0 a credit."""
    return lambda moment: spent(moment) + (usd if moment >= since else 0.0)


def every(days: float, since: float) -> list[float]:
    """Return the starts of periods that are so long."""
    return [since + number * days * DAY for number in range(100)]


def bill(usd: float, start: float, end: float) -> pb.GetCurrentMonthUsageResponse:
    """Return an answer with a month to date, all of it of one resource type."""
    answer = pb.GetCurrentMonthUsageResponse(subtotal=usd)
    answer.start_date.FromMilliseconds(round(start * 1000))
    answer.end_date.FromMilliseconds(round(end * 1000))
    source = answer.resource_usage_costs_by_source.add()
    source.resource_usage_costs.total_with_discount = usd
    source.resource_usage_costs.usage_costs.add(resource_type=1, cost=usd)
    return answer


class Meter:
    """An organization that spends $30 a day, in periods of 30 days from `start` on, unless told.

    The API publishes usage `lag` seconds late, and goes on with a period for `late` seconds after
    its end. What it answered, the truth has heard.
    """

    def __init__(  # noqa: PLR0913 - what a bill may be like
        self,
        spent: Spent | None = None,
        starts: Sequence[float] = (),
        *,
        start: float = MIDNIGHT - 10 * DAY,
        lag: float = 0.0,
        late: float = 0.0,
        clock: VirtualClock | None = None,
    ) -> None:
        self.spent = spent or flat(30.0)
        self.start = start
        self.starts = starts or every(30, start)
        self.lag = lag
        self.late = late
        self.clock = clock or VirtualClock()
        self.is_down = False
        self.is_dated = True
        self.is_inclusive = False  # whether the end names the last day
        self.odd: float | None = None  # what month to date is for the moment, in place of it
        self.truth = Truth()
        self.reader = FakeReader()
        self.reader.answers = _Answers(self)

    def read(self) -> object:
        """Return what the API answers now."""
        if self.is_down:
            return OUTAGE
        now = self.clock.time()
        start, end = self.period(now - self.late)
        end -= DAY * self.is_inclusive
        usd = self.spent(max(start, now - self.lag)) - self.spent(start)
        net = usd if self.odd is None else self.odd
        self.truth.hear(now, net, start if self.is_dated else None, end, **{TYPE: usd})
        answer = bill(usd, start, end)
        answer.resource_usage_costs_by_source[0].resource_usage_costs.total_with_discount = net
        if not self.is_dated:
            answer.ClearField("start_date")
        return answer

    def period(self, moment: float) -> tuple[float, float]:
        """Return start and end of the period of a moment."""
        number = bisect_right(self.starts, moment)
        return self.starts[number - 1], self.starts[number]


class _Answers(dict[Any, Any]):
    """The fake's answers, with the meter's in place of usage."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(FakeReader().answers)
        self._meter = meter

    def __getitem__(self, key: object) -> object:
        return self._meter.read() if key == USAGE else super().__getitem__(key)
