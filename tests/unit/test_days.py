"""What the gauges say was spent today, yesterday and in the weeks before, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.state.day_rows import records, unpacked
from support.meter import DAY, HOUR, MIDNIGHT, Answers, Meter, bill
from support.reader import config, organization
from support.rig import Rig
from support.virtual import run

TODAY, YESTERDAY = "viam_billing_spend_today_usd", "viam_billing_spend_yesterday_usd"
BEGAN = "viam_billing_spend_yesterday_start_timestamp_seconds"
WEEK, BEFORE = "viam_billing_spend_7d_usd", "viam_billing_spend_previous_7d_usd"
MONTH = "viam_billing_spend_28d_usd"
KNOWN, OTHERS = "viam_billing_ledger_known_seconds", "viam_billing_ledger_estimated_seconds"


def watched(meter: Meter, scenario: Callable[[Rig], object]) -> None:
    """Poll a meter every hour beside a scenario."""
    rig = Rig(
        config(organization(interval=HOUR, max_age=4 * HOUR)), meter.reader, clock=meter.clock
    )
    meter.reader.answers = Answers(meter)

    async def main() -> None:
        async with rig.running(publishing=False):
            await scenario(rig)  # type: ignore[misc]

    run(main())


async def until(rig: Rig, moment: float) -> None:
    """Wait for a moment in Unix seconds, and publish."""
    await asyncio.sleep(moment - rig.clock.time())
    await rig.publisher.publish()


def shown(rig: Rig, *names: str) -> list[float | None]:
    """Return what gauges show, to the cent."""
    values = [rig.value(name) for name in names]
    return [value if value is None else round(value, 2) for value in values]


def test_today_yesterday_and_weeks() -> None:
    """What was spent since midnight, on the last whole day, and on those before it."""

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 12 * HOUR)
        assert shown(rig, YESTERDAY, WEEK, BEFORE, MONTH) == [30.0, 210.0, None, None]
        assert rig.value(BEGAN) == MIDNIGHT - DAY
        assert shown(rig, TODAY)[0] == pytest.approx(15.0, abs=1.3)  # of the last hour or so
        await until(rig, MIDNIGHT + 19 * DAY + 12 * HOUR)
        assert shown(rig, YESTERDAY, WEEK, BEFORE, MONTH) == [30.0, 210.0, 210.0, 840.0]
        resource = rig.values("viam_billing_resource_spend_yesterday_usd", "resource_type")
        assert [round(usd, 2) for usd in resource.values()] == [30.0]

    watched(Meter(), scenario)


def test_today_is_not_known_from_midnight_until_an_answer_comes() -> None:
    """Not even if nothing is polled meanwhile; yesterday stays the day before the last answer."""
    meter = Meter()

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 23 * HOUR + 59 * 60)
        assert rig.value(TODAY) is not None
        meter.is_down = True
        await until(rig, MIDNIGHT + DAY + 60)
        assert rig.value(TODAY) is None
        assert shown(rig, YESTERDAY, BEGAN) == [30.0, MIDNIGHT - DAY]
        meter.is_down = False
        await until(rig, MIDNIGHT + DAY + 3 * HOUR)
        assert rig.value(BEGAN) == MIDNIGHT
        assert shown(rig, YESTERDAY)[0] == pytest.approx(30.0, abs=0.01)

    watched(meter, scenario)


def test_an_outage_of_three_days_is_divided_among_them() -> None:
    """And told: the days are not known. The windows have what each cost, and no leap."""
    meter = Meter()

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + DAY + HOUR)
        known, others = rig.value(KNOWN) or 0.0, rig.value(OTHERS) or 0.0
        assert others == 10 * DAY, "those before the first poll were divided, too"
        meter.is_down = True
        await until(rig, MIDNIGHT + 4 * DAY + HOUR)
        assert shown(rig, TODAY, YESTERDAY, WEEK) == [None, None, None], "withdrawn"
        meter.is_down = False
        await until(rig, MIDNIGHT + 5 * DAY + 12 * HOUR)
        assert shown(rig, YESTERDAY, WEEK) == [30.0, 210.0]
        # Three days lie in the outage, and one of those around it for the greater part.
        assert rig.value(KNOWN) == known + DAY
        assert rig.value(OTHERS) == others + 3 * DAY

    watched(meter, scenario)


def test_an_outage_over_the_end_of_a_period_leaves_days_unknown() -> None:
    """What was spent after the last good answer of a period is in no answer: no number says it."""
    meter = Meter()

    async def scenario(rig: Rig) -> None:
        rollover = meter.start + 30 * DAY
        await until(rig, rollover - 2 * DAY + HOUR)
        meter.is_down = True
        await until(rig, rollover + DAY + HOUR)
        meter.is_down = False
        await until(rig, rollover + DAY + 5 * HOUR)
        assert shown(rig, YESTERDAY, WEEK) == [30.0, None]
        assert rig.value("viam_billing_closed_period_end_timestamp_seconds") == rollover
        closed = rig.value("viam_billing_closed_period_usage_usd")
        assert closed == pytest.approx(28 * 30.0, abs=3.0)
        await until(rig, rollover + 9 * DAY)
        assert shown(rig, WEEK) == [210.0]

    watched(meter, scenario)


def test_a_fee_on_the_first_is_of_that_day_alone() -> None:
    """It is spend of the day on which it came."""
    meter = Meter()
    fee = 0.0

    def read() -> object:
        now = meter.clock.time()
        paid = fee if now >= MIDNIGHT + 2 * DAY + 6 * HOUR else 0.0
        days = (now - meter.start) / DAY
        return bill(days * 30.0 + paid, meter.start, meter.start + 30 * DAY)

    meter.read = read  # type: ignore[method-assign]
    fee = 300.0

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 3 * DAY + 2 * HOUR)
        assert shown(rig, YESTERDAY, WEEK) == [330.0, 510.0]

    watched(meter, scenario)


@pytest.mark.parametrize("away", [0.1 * DAY, 12 * HOUR, 3 * DAY])
def test_the_exporter_was_away_and_knows_what_each_day_cost(tmp_path: Path, away: float) -> None:
    """With storage: what was spent meanwhile is divided among the days, and told as estimated."""
    meter = Meter()
    settings = config(organization(interval=HOUR, max_age=4 * HOUR))
    meter.reader.answers = Answers(meter)

    async def main() -> None:
        async with Rig.stored(tmp_path, settings, meter.reader, meter.clock) as rig:
            async with rig.running(publishing=False):
                await until(rig, MIDNIGHT + DAY + 20 * HOUR)
            before = rig.value(KNOWN), rig.value(OTHERS)
        await asyncio.sleep(away)
        async with Rig.stored(tmp_path, settings, meter.reader, meter.clock) as rig:
            await rig.poller.start()
            await rig.publisher.publish()
            assert (rig.value(KNOWN), rig.value(OTHERS)) == before or away > 4 * HOUR
            async with rig.running(publishing=False):
                await until(rig, MIDNIGHT + DAY + 20 * HOUR + away + 25 * HOUR)
                assert shown(rig, YESTERDAY, WEEK) == [30.0, 210.0]
                days = ((rig.value(KNOWN) or 0.0) + (rig.value(OTHERS) or 0.0)) / DAY
                assert days == (rig.clock.time() - meter.start) // DAY

    run(main())


def test_a_restart_doubles_and_loses_nothing(tmp_path: Path) -> None:
    """Whenever it comes, the days add up to what the bill says."""
    meter = Meter()
    settings = config(organization(interval=HOUR, max_age=4 * HOUR))
    meter.reader.answers = Answers(meter)

    async def main() -> None:
        for hours in (1, 5, 0.5, 30, 2, 13):
            async with Rig.stored(tmp_path, settings, meter.reader, meter.clock) as rig:
                async with rig.running(publishing=False):
                    await asyncio.sleep(hours * HOUR + 2)
                state = rig.store.get("o1")
                assert state is not None
                assert state.spend is not None
                assert state.spend.ledger is not None
                days = [unpacked(row) for _, row in records(state.spend.ledger.days)]
                entries = [entry for day in days for entry in day.entries]
                total = sum(entry.spend - entry.corrections for entry in entries)
                assert total == pytest.approx(state.spend.month_to_date.baseline)

    run(main())
