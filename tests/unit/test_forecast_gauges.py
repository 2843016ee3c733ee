"""The forecast that the exporter shows: after outages and restarts, too, in virtual time."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from exporter.config import Config
from exporter.forecast import kept
from exporter.forecast.kept import Kept
from exporter.forecast.record import Record
from exporter.model import OrganizationState, Spend
from exporter.state.saver import PAUSE
from exporter.state.storage import FILE
from exporter.web.summary import PageContext, Summary
from support.meter import DAY, HOUR, MIDNIGHT, Meter, Spent, every, flat, plus
from support.metered import TODAY, YESTERDAY, hourly, process, until, watched
from support.reader import config, organization
from support.rig import Rig
from support.status import page
from support.virtual import run

FORECAST = "viam_billing_forecast_usd"
LOWER, UPPER = "viam_billing_forecast_lower_usd", "viam_billing_forecast_upper_usd"
EXHAUSTED = "viam_billing_budget_exhausted_timestamp_seconds"
PAST_ERROR = "viam_billing_forecast_closed_period_error_ratio"
MONTH_TO_DATE = "viam_billing_usage_month_to_date_usd"
EXPECTED = "viam_billing_spend_expected_day_usd"
EXPECTED_UPPER = "viam_billing_spend_expected_day_upper_usd"
TODAY_UPPER = "viam_billing_spend_expected_today_upper_usd"
OF_TYPE = "viam_billing_resource_spend_expected_day_usd"
SPREAD = 600.0  # seconds after midnight


def told(rig: Rig) -> tuple[float | None, ...]:
    """Return forecast and bounds as they are on the page."""
    return rig.value(FORECAST), rig.value(LOWER), rig.value(UPPER)


def spend_of(rig: Rig) -> Spend:
    """Return the counters, the days and what is kept for the forecast."""
    state = rig.store.get("o1")
    assert state is not None
    assert state.spend is not None
    return state.spend


def kept_of(rig: Rig) -> Kept:
    """Return what is kept for the forecast."""
    known = kept.unpacked(spend_of(rig).outlook)
    assert known is not None
    return known


def budgeted(budget: float) -> Config:
    """Poll one organization with a budget every hour."""
    return config(organization(interval=HOUR, max_age=4 * HOUR, budget_usd=budget))


def watched_with(budget: float, meter: Meter, *moments: float) -> list[float | None]:
    """Return when the budget is used up, as it is said at some moments."""
    found: list[float | None] = []

    async def main() -> None:
        rig = Rig(budgeted(budget), meter.reader, clock=meter.clock)
        async with rig.running(publishing=False):
            for moment in moments:
                await until(rig, moment)
                found.append(rig.value(EXHAUSTED))

    run(main())
    return found


def test_there_is_a_forecast_from_the_first_answer_on() -> None:
    """Thirty days at $30, of which ten and a half are over."""

    async def scenario(rig: Rig) -> None:
        await until(rig, rig.clock.time() + 60)
        usd, lower, upper = told(rig)
        assert usd == pytest.approx(900.0, abs=1.0)
        assert lower == rig.value(MONTH_TO_DATE)
        assert upper == pytest.approx(2 * 900 - (rig.value(MONTH_TO_DATE) or 0), abs=1.0)

    watched(Meter(), scenario)


@pytest.mark.long
def test_a_fee_on_the_first_neither_moves_the_end_nor_the_bounds() -> None:
    """$300 on the first and $28.63 a day: on day five of the third month it ends at $1,159."""
    fees: Spent = flat(859 / 30)
    for start in every(30, MIDNIGHT)[:4]:
        fees = plus(fees, 300.0, start + HOUR)
    meter = Meter(fees, start=MIDNIGHT)

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 65 * DAY)
        usd, lower, upper = told(rig)
        assert usd == pytest.approx(1159, rel=0.02)
        assert lower is not None
        assert upper is not None
        assert lower < 1159 < upper

    watched(meter, scenario, interval=4 * HOUR)


def test_an_outage_makes_the_month_no_cheaper() -> None:
    """The forecast stays as of the last good answer, and is withdrawn with month to date."""
    meter = Meter()

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 3 * DAY + HOUR / 2)
        before = told(rig)
        meter.is_down = True
        await until(rig, MIDNIGHT + 3 * DAY + 3 * HOUR)
        assert told(rig) == before
        assert rig.value(MONTH_TO_DATE) is not None
        await until(rig, MIDNIGHT + 3 * DAY + 6 * HOUR)
        assert told(rig) == (None, None, None)
        meter.is_down = False
        await until(rig, MIDNIGHT + 4 * DAY)
        assert rig.value(FORECAST) == pytest.approx(900.0, abs=1.0)

    watched(meter, scenario)


@pytest.mark.long
def test_an_answer_of_an_earlier_period_or_without_an_amount_has_none() -> None:
    """What is behind says nothing of the month, and neither does an accident."""
    meter = Meter()

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 21 * DAY)  # the first day of the second period
        assert rig.value(FORECAST) == pytest.approx(900.0, abs=5.0)
        meter.late = 2 * DAY
        await until(rig, MIDNIGHT + 21 * DAY + 3 * HOUR)
        assert rig.value(MONTH_TO_DATE) is not None
        assert told(rig) == (None, None, None)
        meter.late = 0.0
        await until(rig, MIDNIGHT + 21 * DAY + 6 * HOUR)
        assert rig.value(FORECAST) == pytest.approx(900.0, abs=5.0)
        meter.odd = 2e12
        await until(rig, MIDNIGHT + 21 * DAY + 9 * HOUR)
        assert told(rig) == (None, None, None)
        meter.odd = None
        await until(rig, MIDNIGHT + 21 * DAY + 12 * HOUR)

    watched(meter, scenario)


@pytest.mark.long
def test_at_the_end_of_a_period_it_is_month_to_date() -> None:
    """And in the middle of the next one it is said how wrong that was half a month before."""
    meter = Meter(start=MIDNIGHT)

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 15 * DAY - HOUR / 2)
        expected = rig.value(FORECAST)
        assert expected is not None
        await until(rig, MIDNIGHT + 30 * DAY - 60)
        assert rig.value(FORECAST) == pytest.approx(rig.value(MONTH_TO_DATE), abs=1.3)
        assert rig.value(PAST_ERROR) is None
        await until(rig, MIDNIGHT + 45 * DAY)
        closed = rig.value("viam_billing_closed_period_usage_usd")
        assert closed is not None
        # Of the last answer before the middle, which came in the half hour since.
        assert rig.value(PAST_ERROR) == pytest.approx(expected / closed - 1, abs=1e-4)

    watched(meter, scenario)


def test_without_a_forecast_at_its_middle_a_period_has_no_error() -> None:
    """The exporter came too late to say."""

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 12 * DAY)
        assert rig.value("viam_billing_closed_period_usage_usd") is not None
        assert rig.value(PAST_ERROR) is None

    watched(Meter(start=MIDNIGHT - 20 * DAY), scenario)


def test_a_budget_is_used_up_when_the_forecast_reaches_it() -> None:
    """$30 a day reach $600 after twenty days, and the day stays when it has come."""
    moments = [MIDNIGHT + days * DAY for days in (5, 15, 22, 29)]
    found = watched_with(600.0, Meter(start=MIDNIGHT), *moments)
    assert found[:2] == [pytest.approx(MIDNIGHT + 20 * DAY, abs=HOUR)] * 2
    assert found[2] == pytest.approx(MIDNIGHT + 20 * DAY, abs=2 * HOUR)
    assert found[3] == found[2]


def test_a_budget_that_lasts_is_not_used_up() -> None:
    """There is no series, rather than a date after the period."""
    assert watched_with(901.0, Meter(start=MIDNIGHT), MIDNIGHT + 20 * DAY) == [None]
    assert watched_with(0.0, Meter(flat(0.0), start=MIDNIGHT), MIDNIGHT + 2 * DAY) == [None]


def test_a_budget_was_used_up_before_anybody_looked() -> None:
    """The days before the first answer are estimated, and so is when that was."""
    meter = Meter(start=MIDNIGHT - 20 * DAY)
    (found,) = watched_with(300.0, meter, MIDNIGHT + DAY)
    assert found == pytest.approx(MIDNIGHT - 10 * DAY, abs=6 * HOUR)


def test_whether_a_date_is_an_estimate_stays_known() -> None:
    """It is if nobody saw what that day cost, and not on a day that was watched."""
    said: list[bool | None] = []

    async def main(budget: float) -> None:
        meter = Meter(start=MIDNIGHT - 20 * DAY)
        rig = Rig(budgeted(budget), meter.reader, clock=meter.clock)
        async with rig.running(publishing=False):
            for moment in (MIDNIGHT + DAY, MIDNIGHT + 2 * DAY, MIDNIGHT + 4 * DAY):
                await until(rig, moment)
                known = rig.store.get("o1")
                assert known is not None
                clock = rig.clock
                context = PageContext(clock.time(), clock.monotonic(), lambda _unit: None)
                forecast = Summary(known, context).forecast
                assert forecast is not None
                said.append(forecast.is_exhausted_estimated if forecast.is_over else None)

    run(main(300.0))  # 10 days before anybody looked
    assert said == [True] * 3
    said.clear()
    run(main(30.0 * 23.0))  # on the third day of those that are watched
    assert said == [None, None, False]


def test_a_runaway_is_told_before_midnight_and_the_day_after() -> None:
    """By the limit of today and that of yesterday; what was expected stays what it was."""
    meter = Meter(plus(flat(30.0), 182.0, MIDNIGHT + 12 * DAY + 9 * HOUR), start=MIDNIGHT - DAY)
    known: list[OrganizationState] = []
    contexts: list[PageContext] = []

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 4 * DAY + HOUR)
        assert (rig.value(EXPECTED), rig.value(TODAY_UPPER)) == (None, None)
        await until(rig, MIDNIGHT + 12 * DAY + 8 * HOUR)
        today, limit = rig.value(TODAY), rig.value(TODAY_UPPER)
        assert today is not None
        assert limit is not None
        assert limit == pytest.approx(37.5, rel=0.02)  # a quarter more
        assert today < limit
        await until(rig, MIDNIGHT + 12 * DAY + 11 * HOUR)
        assert (rig.value(TODAY) or 0.0) > 182 > limit
        await until(rig, MIDNIGHT + 13 * DAY + 3 * HOUR)
        assert rig.value(YESTERDAY) == pytest.approx(212.0, rel=0.01)
        assert rig.value(EXPECTED) == pytest.approx(30.0, rel=0.02)
        assert rig.value(EXPECTED_UPPER) == limit
        (expected,) = rig.values(OF_TYPE, "resource_type").values()
        assert expected == pytest.approx(30.0, rel=0.02)
        known.extend(each for each in rig.store.states())
        contexts.append(PageContext(rig.clock.time(), rig.clock.monotonic(), lambda _unit: None))
        await until(rig, MIDNIGHT + 14 * DAY + 3 * HOUR)
        assert (rig.value(YESTERDAY) or 0.0) < (rig.value(EXPECTED_UPPER) or 0.0)

    watched(meter, scenario)
    text = page(known[0], contexts[0]).text
    assert "Spike: $182.0" in text
    assert "of it data_upload, before discounts" in text


def test_a_catch_up_is_no_spike() -> None:
    """After an outage nothing is expected of its days, which are estimated."""
    meter = Meter(start=MIDNIGHT - DAY)

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 10 * DAY + 3 * HOUR)
        assert rig.value(EXPECTED) is not None
        meter.is_down = True
        await until(rig, MIDNIGHT + 13 * DAY)
        meter.is_down = False
        await until(rig, MIDNIGHT + 13 * DAY + 6 * HOUR)
        assert rig.value(YESTERDAY) == pytest.approx(30.0, rel=0.05)
        assert (rig.value(EXPECTED), rig.value(EXPECTED_UPPER)) == (None, None)
        assert rig.values(OF_TYPE, "resource_type") == {}
        assert rig.value(TODAY_UPPER) is not None

    watched(meter, scenario)


def test_a_budget_that_a_fee_uses_up_at_once_was_not_used_up_last_month() -> None:
    """Each period has its own day, though the budget is never unused between two answers."""
    second = MIDNIGHT + 30 * DAY
    fees = plus(plus(flat(30.0), 200.0, MIDNIGHT + HOUR / 2), 200.0, second + HOUR / 2)
    moments = (MIDNIGHT + 20 * DAY, second + DAY)
    first, after = watched_with(100.0, Meter(fees, start=MIDNIGHT, late=HOUR), *moments)
    assert first == pytest.approx(MIDNIGHT, abs=DAY)
    assert after == pytest.approx(second, abs=DAY)


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    """Forecast, bounds and past error are there before the first poll, and go on after it."""
    meter = Meter(start=MIDNIGHT - 40 * DAY)

    async def main() -> None:
        async with process(tmp_path, meter, 4 * HOUR) as rig:
            await until(rig, MIDNIGHT + 21 * DAY + HOUR / 2)
            before, outlook, error = told(rig), spend_of(rig).outlook, rig.value(PAST_ERROR)
            assert error is not None
        meter.is_down = True
        async with process(tmp_path, meter, 4 * HOUR) as rig:
            await until(rig, rig.clock.time() + 1)
            assert told(rig) == before
            assert rig.value(PAST_ERROR) == error
            assert spend_of(rig).outlook == outlook
        meter.is_down = False

    run(main())


def test_a_reload_moves_when_the_budget_is_used_up() -> None:
    """At once, without a poll."""
    meter = Meter(start=MIDNIGHT)

    async def main() -> None:
        rig = Rig(budgeted(600.0), meter.reader, clock=meter.clock)
        async with rig.running(publishing=False):
            await until(rig, MIDNIGHT + 5 * DAY + HOUR / 2)
            await rig.poller.configure(budgeted(450.0), meter.reader)
            await rig.publisher.publish()
            assert rig.value(EXHAUSTED) == pytest.approx(MIDNIGHT + 15 * DAY, abs=HOUR)
            await rig.poller.configure(hourly(), meter.reader)
            await rig.publisher.publish()
            assert rig.value(EXHAUSTED) is None
            assert rig.value(FORECAST) == pytest.approx(900.0, abs=1.0)

    run(main())


def test_days_that_nothing_was_learned_from_are_learned_later(tmp_path: Path) -> None:
    """As of a storage that has days and no outlook: a few with each answer."""
    meter = Meter(plus(flat(30.0), 200.0, MIDNIGHT + 8 * DAY), start=MIDNIGHT)

    async def main() -> None:
        async with process(tmp_path, meter, 4 * HOUR) as rig:
            await until(rig, MIDNIGHT + 25 * DAY + HOUR / 2)
            learned, before = kept_of(rig), told(rig)
            await asyncio.sleep(PAUSE)
        with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
            database.execute("DELETE FROM outlook")
        async with process(tmp_path, meter, 4 * HOUR) as rig:
            await until(rig, rig.clock.time() + 60)  # after the first poll
            assert rig.value(FORECAST) == pytest.approx(before[0], rel=0.05)
            polls = 1
            while kept_of(rig).is_learning:
                await until(rig, rig.clock.time() + 4 * HOUR)
                polls += 1
            assert polls == 4  # for 25 days, eight at once
            assert Record.unpacked(kept_of(rig).record).until == MIDNIGHT / DAY + 25
            assert kept_of(rig).basis.weights == pytest.approx(learned.basis.weights, abs=0.15)

    run(main())


@pytest.mark.long
def test_midnights_work_is_spread_over_ten_minutes() -> None:
    """An organization that is polled each minute has a time of its own; meanwhile nothing jumps."""
    meter = Meter()

    async def main() -> None:
        organizations = [
            organization(f"o{number}", interval=60.0, max_age=240.0) for number in range(1, 9)
        ]
        rig = Rig(config(*organizations), meter.reader, clock=meter.clock)
        async with rig.running(publishing=False):
            await until(rig, MIDNIGHT - 30)
            begun: dict[str, float] = {}
            ends = []
            for minute in range(12):
                await until(rig, MIDNIGHT + 60 * minute + 30)
                ends.append(rig.values(FORECAST, "org_id"))
                for state in rig.store.states():
                    known = kept.unpacked(state.spend.outlook if state.spend else None)
                    assert known is not None
                    if known.outlook.day == MIDNIGHT / DAY:
                        begun.setdefault(state.organization.id, 60.0 * minute)
            assert len(begun) == len(organizations)
            assert len(set(begun.values())) > 3
            assert max(begun.values()) <= SPREAD
            for one, other in pairwise(ends):
                for org_id, usd in one.items():
                    assert other[org_id] == pytest.approx(usd, rel=0.01)

    run(main())
