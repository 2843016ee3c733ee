"""Exporters that read a meter in virtual time, what they say, and whether it is the truth."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final

from exporter.config import Config
from exporter.state.day_rows import Day
from support.compared import check_day
from support.meter import DAY, HOUR, MIDNIGHT, Meter
from support.reader import config, organization
from support.rig import Rig
from support.truth import Truth
from support.virtual import run

TODAY, YESTERDAY = "viam_billing_spend_today_usd", "viam_billing_spend_yesterday_usd"
BEGAN: Final = "viam_billing_spend_yesterday_start_timestamp_seconds"
WEEK, BEFORE = "viam_billing_spend_7d_usd", "viam_billing_spend_previous_7d_usd"
FOUR_WEEKS: Final = "viam_billing_spend_28d_usd"
KNOWN, OTHERS = "viam_billing_ledger_known_seconds", "viam_billing_ledger_estimated_seconds"


# --- What the exporter says ---------------------------------------------------------------


async def until(rig: Rig, moment: float) -> None:
    """Wait for a moment in Unix seconds, and publish."""
    await asyncio.sleep(moment - rig.clock.time())
    await rig.publisher.publish()


def shown(rig: Rig, *names: str) -> list[float | None]:
    """Return what gauges show, to the cent."""
    values = [rig.value(name) for name in names]
    return [value if value is None else round(value, 2) for value in values]


async def days(rig: Rig, org_id: str = "o1") -> Mapping[int, Day]:
    """Return the days up to now, numbered from MIDNIGHT on."""
    today = math.floor(rig.clock.time() / DAY)
    found = await rig.archive.days(org_id, 0, today)
    return {number - round(MIDNIGHT / DAY): day for number, day in found.items()}


async def spends(rig: Rig, org_id: str = "o1") -> dict[int, float | None]:
    """Return the spend of each day kept, to the cent, numbered from MIDNIGHT on."""
    found = (await days(rig, org_id)).items()
    return {number: None if day.is_unknown else round(day.spend, 2) for number, day in found}


async def check(rig: Rig, truth: Truth, org_id: str = "o1") -> None:
    """Compare all days, the counters and what is shown of them with the truth."""
    book = truth.book()
    found = await rig.archive.days(org_id, 0, math.floor(rig.clock.time() / DAY))
    assert max(found) == book.answered
    for number, day in found.items():
        check_day(number, day, book)
    state = rig.store.get(org_id)
    assert state is not None
    assert state.spend is not None
    tally = state.spend.month_to_date
    spend, corrections = book.counter()
    assert abs(tally.spend - spend) < 0.005
    assert abs(tally.corrections - corrections) < 0.005
    start = Fraction(state.spend.period_start or 0.0)
    assert tally.baseline is not None
    assert abs(book.of_period(start) - Fraction(tally.baseline)) < Fraction(1, 200)


# --- Exporters that run -------------------------------------------------------------------


def hourly(interval: float = HOUR) -> Config:
    """Poll one organization, every hour unless told."""
    return config(organization(interval=interval, max_age=4 * interval))


def watched(
    meter: Meter, scenario: Callable[[Rig], Awaitable[None]], interval: float = HOUR
) -> None:
    """Poll a meter beside a scenario, and compare all with the truth in the end."""

    async def main() -> None:
        rig = Rig(hourly(interval), meter.reader, clock=meter.clock)
        async with rig.running(publishing=False):
            await scenario(rig)
            await check(rig, meter.truth)

    run(main())


@asynccontextmanager
async def process(folder: Path, meter: Meter, interval: float = HOUR) -> AsyncIterator[Rig]:
    """Run a process with storage while inside: it is killed in the end, as with kill -9."""
    async with Rig.stored(folder, hourly(interval), meter.reader, meter.clock) as rig:
        assert rig.found is not None
        saved = rig.found.organizations.get("o1")
        received = -1.0 if saved is None else saved.answers["usage"].received
        # What came later was lost with the process before.
        meter.truth.forget(sum(each.at <= received for each in meter.truth.heard))
        async with rig.running(publishing=False):
            yield rig
