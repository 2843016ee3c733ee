"""An organization that spends evenly, in virtual time."""

from __future__ import annotations

import math

from exporter.pb import billing_pb2 as pb
from support.reader import OUTAGE, USAGE, FakeReader
from support.virtual import START, VirtualClock

HOUR, DAY = 3600.0, 86_400.0
MIDNIGHT = math.ceil(START / DAY) * DAY  # the first one of the run


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
    """An organization that spends evenly, in periods of 30 days from a midnight on."""

    def __init__(self, per_day: float = 30.0, start: float = MIDNIGHT - 10 * DAY) -> None:
        self.per_day = per_day
        self.start = start
        self.reader = FakeReader()
        self.clock = VirtualClock()
        self.is_down = False

    def read(self) -> object:
        """Return what the API answers now."""
        now = self.clock.time()
        if self.is_down:
            return OUTAGE
        start = self.start + math.floor((now - self.start) / (30 * DAY)) * 30 * DAY
        return bill((now - start) / DAY * self.per_day, start, start + 30 * DAY)


class Answers(dict):  # type: ignore[type-arg]
    """The fake's answers, with the meter's in place of usage."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(FakeReader().answers)
        self._meter = meter

    def __getitem__(self, key: object) -> object:
        return self._meter.read() if key == USAGE else super().__getitem__(key)
