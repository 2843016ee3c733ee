"""What the gauges say was spent today, yesterday and in the weeks before, in virtual time."""

from __future__ import annotations

import pytest

from support.meter import DAY, HOUR, MIDNIGHT, Meter, flat, plus
from support.metered import BEFORE, BEGAN, FOUR_WEEKS, TODAY, WEEK, YESTERDAY, shown, until, watched
from support.rig import Rig


def test_today_yesterday_and_weeks() -> None:
    """What was spent since midnight, on the last whole day, and on those before it."""

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 12 * HOUR)
        assert shown(rig, YESTERDAY, WEEK, BEFORE, FOUR_WEEKS) == [30.0, 210.0, None, None]
        assert rig.value(BEGAN) == MIDNIGHT - DAY
        assert shown(rig, TODAY)[0] == pytest.approx(15.0, abs=1.3)  # of the last hour or so
        await until(rig, MIDNIGHT + 19 * DAY + 12 * HOUR)
        assert shown(rig, YESTERDAY, WEEK, BEFORE, FOUR_WEEKS) == [30.0, 210.0, 210.0, 840.0]
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
    meter = Meter(plus(flat(30.0), 300.0, MIDNIGHT + 2 * DAY + 6 * HOUR))

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 3 * DAY + 2 * HOUR)
        assert shown(rig, YESTERDAY, WEEK) == [330.0, 510.0]

    watched(meter, scenario)
