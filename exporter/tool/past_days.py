"""Pure: the days of the ledger as samples of a past in which nobody scraped them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from exporter.metrics import render
from exporter.model import ORG, ApiKey, Metric, Organization
from exporter.state.listing import number_of
from exporter.tool.api_answers import DayLine
from exporter.tool.outcomes import Named

DAY: Final = 86_400  # seconds

SPEND: Final = Metric(
    "viam_billing_backfill_day_spend_usd",
    "Spend on a UTC day in the exporter's ledger, backfilled at the day's last second; "
    "corrections are not deducted. Absent for an unknown day.",
    ORG,
)
CORRECTIONS: Final = Metric(
    "viam_billing_backfill_day_corrections_usd",
    "Fall of month to date on a UTC day in the exporter's ledger, backfilled at the day's "
    "last second. Absent for an unknown day.",
    ORG,
)
METRICS: Final = (SPEND, CORRECTIONS)


class PastDays(NamedTuple):
    """The days of an organization that are over and not unknown, the oldest first."""

    organization: Named
    numbers: array[int]  # since 1970
    spends: array[float]  # US dollars
    corrections: array[float]

    @property
    def start(self) -> float | None:
        """When the first one began, in Unix seconds."""
        return float(self.numbers[0] * DAY) if self.numbers else None


def past_days(organization: Named, days: Sequence[DayLine]) -> PastDays:
    """Return which of the days of a ledger are past: an answer came after their end."""
    found = PastDays(organization, array("q"), array("d"), array("d"))
    answered = max([day.date for day in days if day.unknown_seconds < DAY], default="")
    for day in days:
        spend, corrections = day.spend_usd, day.corrections_usd
        if day.date < answered and spend is not None and corrections is not None:
            found.numbers.append(number_of(day.date))
            found.spends.append(spend)
            found.corrections.append(corrections)
    return found


def write(
    every: Sequence[PastDays],
    labels: tuple[tuple[str, str], ...],
    since: float,
    end: float,
    put: Callable[[str], Any],
) -> int:
    """Write the samples of all organizations as OpenMetrics, and return how many there are.

    Each has the time of its day's last second, which is between `since` and `end`.
    """
    count = 0
    for metric in METRICS:
        put(render.header(metric, render.Format.OPENMETRICS).decode())
        for past in every:
            before = _before(metric, past.organization, labels)
            values = past.spends if metric is SPEND else past.corrections
            for number, usd in zip(past.numbers, values, strict=True):
                time = (number + 1) * DAY - 1
                if since <= time <= end:
                    put(f"{before}{render.number(usd)} {time}\n")
                    count += 1
    return count


def _before(metric: Metric, organization: Named, labels: tuple[tuple[str, str], ...]) -> str:
    """Return what stands before the value in each line of a series."""
    named = Organization(organization.id, organization.name, ApiKey(""), 0.0, 0.0)
    line = render.fragment(metric, named, [((), 0.0)], labels)
    return line.decode().removesuffix(f"{render.number(0.0)}\n")
