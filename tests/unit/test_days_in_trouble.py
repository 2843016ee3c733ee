"""What the days say when something is away, killed or reloaded: against a truth of their own."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.state.listing import plain_days
from support.meter import DAY, HOUR, MIDNIGHT, Meter, every, flat, plus
from support.metered import (
    BEGAN,
    FOUR_WEEKS,
    KNOWN,
    OTHERS,
    TODAY,
    WEEK,
    YESTERDAY,
    check,
    days,
    hourly,
    process,
    shown,
    spends,
    until,
    watched,
)
from support.reader import config, organization
from support.rig import Rig
from support.virtual import run

pytestmark = pytest.mark.long

# --- Away ---------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [12, 72])
def test_the_exporter_was_away_and_the_week_is_whole(tmp_path: Path, hours: int) -> None:
    """At $43 a day the last seven days are $301, whoever looked: no part of them is lost."""
    meter = Meter(flat(43.0))

    async def main() -> None:
        async with process(tmp_path, meter) as rig:
            await until(rig, MIDNIGHT + 3 * DAY + 14 * HOUR)
            others = rig.value(OTHERS) or 0.0
        await asyncio.sleep(hours * HOUR)
        async with process(tmp_path, meter) as rig:
            await until(rig, MIDNIGHT + 7 * DAY + HOUR)
            assert shown(rig, YESTERDAY, WEEK) == [43.0, 301.0]
            assert (await spends(rig))[0] == 43.0
            await check(rig, meter.truth)
            # Of two days, one has the greater part of the night that nobody saw.
            estimated = {12: 0, 72: 3}[hours]
            assert (rig.value(OTHERS) or 0.0) == others + estimated * DAY

    run(main())


def test_the_api_was_away_for_three_days_and_nothing_reads_as_a_spike() -> None:
    """At $30 a day, no gauge says more of a day at any time; what was divided says so."""
    meter = Meter()

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + DAY + 1.5 * HOUR)
        others = rig.value(OTHERS)
        assert others is not None
        yesterdays, todays = set(), []
        for hour in range(24 * 6):
            meter.is_down = 12 <= hour < 84
            await until(rig, MIDNIGHT + DAY + (hour + 2.5) * HOUR)
            (yesterday,) = shown(rig, YESTERDAY)
            yesterdays.add(yesterday)
            todays.append(rig.value(TODAY))
        assert yesterdays == {30.0, None}
        assert max(usd for usd in todays if usd is not None) <= 30.0
        assert rig.value(OTHERS) == others + 3 * DAY
        assert shown(rig, WEEK, BEGAN) == [210.0, MIDNIGHT + 6 * DAY]

    watched(meter, scenario)


def test_away_over_the_end_of_a_period_is_unknown_and_no_number(tmp_path: Path) -> None:
    """Gauges are absent, JSON has null; windows come back when no such day is in them."""
    meter = Meter()
    rollover = meter.starts[1]

    async def main() -> None:
        async with process(tmp_path, meter) as rig:
            await until(rig, rollover - 2 * DAY + 12 * HOUR)
        await asyncio.sleep(DAY + 18 * HOUR)  # until 06:00 of the first
        async with process(tmp_path, meter) as rig:
            await until(rig, rollover + 7 * HOUR)
            assert shown(rig, YESTERDAY, BEGAN, WEEK, FOUR_WEEKS) == [None] * 4
            found = plain_days(await rig.archive.days("o1", 0, round(rollover / DAY)))
            assert [day["spend_usd"] for day in found[-3:-1]] == [None, None]
            assert [day["resources"] for day in found[-3:-1]] == [None, None]
            assert found[-1]["spend_usd"] == pytest.approx(7 * 30 / 24, abs=1.3)
            await until(rig, rollover + 7 * DAY + HOUR)
            assert shown(rig, YESTERDAY, WEEK, FOUR_WEEKS) == [30.0, 210.0, None]
            await check(rig, meter.truth)

    run(main())


def test_away_over_two_ends_of_periods_leaves_the_one_between_unknown(tmp_path: Path) -> None:
    """All of it, and what came before it since the last answer; the next one is whole."""
    meter = Meter(starts=every(3, MIDNIGHT - DAY))

    async def main() -> None:
        async with process(tmp_path, meter) as rig:
            await until(rig, MIDNIGHT + DAY + 12 * HOUR)
        await asyncio.sleep(4 * DAY + 6 * HOUR)
        async with process(tmp_path, meter) as rig:
            await until(rig, MIDNIGHT + 6 * DAY + HOUR)
            found = await spends(rig)
            assert [found[number] for number in range(6)] == [30.0, *[None] * 4, 30.0]
            await check(rig, meter.truth)

    run(main())


# --- Restarts -----------------------------------------------------------------------------


MOMENTS = st.lists(
    st.tuples(st.floats(1, 30 * HOUR), st.floats(0, 20 * HOUR)), min_size=1, max_size=4
)


@settings(max_examples=12)
@given(MOMENTS)
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, moments: list[tuple[float, float]]
) -> None:
    """Of what was on disk: the days go on from there, over credits and ends of periods, too."""
    spent = plus(plus(flat(31.7), 80.0, MIDNIGHT), -95.5, MIDNIGHT + 16 * HOUR)
    meter = Meter(spent, every(2, MIDNIGHT - DAY + 14.5 * HOUR))
    folder = tmp_path_factory.mktemp("state")

    async def main() -> None:
        for runs, away in moments:
            async with process(folder, meter, 1800.0):
                await asyncio.sleep(runs)
            await asyncio.sleep(away)
        async with process(folder, meter, 1800.0) as rig:
            await asyncio.sleep(2 * HOUR)  # so that nothing is pending
            await check(rig, meter.truth)

    run(main())


def test_a_restart_without_storage_begins_at_the_start_of_the_period() -> None:
    """What was spent since is divided among the days, and told as estimated."""
    meter = Meter()

    async def main() -> None:
        for moment in MIDNIGHT + 1.5 * DAY, MIDNIGHT + 3.5 * DAY:
            meter.truth.forget(0)
            rig = Rig(hourly(), meter.reader, clock=meter.clock)
            async with rig.running(publishing=False):
                await until(rig, moment)
                await check(rig, meter.truth)
        assert shown(rig, YESTERDAY, WEEK) == [30.0, 210.0]
        assert (rig.value(KNOWN), rig.value(OTHERS)) == (DAY, 12 * DAY)

    run(main())


def test_a_stored_answer_that_is_damaged_costs_no_day(tmp_path: Path) -> None:
    """When it came is lost with it: growth is spread from the last day that was answered on."""
    meter = Meter()

    async def main() -> None:
        async with process(tmp_path, meter):
            await asyncio.sleep(MIDNIGHT + DAY + 18 * HOUR - meter.clock.time())
        with closing(sqlite3.connect(tmp_path / "exporter.db")) as database, database:
            for table in ("answer", "reading"):
                damaged = database.execute(f"UPDATE {table} SET checksum = 0")  # noqa: S608
                assert damaged.rowcount == 3
        await asyncio.sleep(2 * DAY)
        async with Rig.stored(tmp_path, hourly(), meter.reader, meter.clock) as rig:
            assert rig.found is not None
            assert rig.found.organizations["o1"].answers == {}
            async with rig.running(publishing=False):
                await until(rig, MIDNIGHT + 4 * DAY + HOUR)
                found = await days(rig)
                assert [found[number].is_observed for number in (0, 2, 3)] == [True, False, False]
                total = math.fsum(found[number].spend for number in range(4))
                assert total == pytest.approx(120.0, abs=0.01)
                assert max(found[number].spend for number in range(1, 4)) < 50.0

    run(main())


# --- Reloads ------------------------------------------------------------------------------


def test_a_rename_changes_no_day() -> None:
    """Only the label."""
    meter = Meter()

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 2 * DAY + 12 * HOUR)
        before = await days(rig)
        own = organization(interval=HOUR, max_age=4 * HOUR, name="Acme")
        await rig.poller.configure(config(own), meter.reader)
        assert await days(rig) == before
        await until(rig, MIDNIGHT + 4 * DAY + HOUR)
        assert rig.values(WEEK, "org_name") == {("Acme",): pytest.approx(210.0)}

    watched(meter, scenario)


def test_usage_that_was_not_polled_for_a_while_is_divided_among_the_days() -> None:
    """When the collector is on again; it is no spike of the day on which that was."""
    meter = Meter()

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + DAY + 14 * HOUR)
        await rig.poller.configure(replace(hourly(), collectors=("invoices",)), meter.reader)
        await until(rig, MIDNIGHT + 4 * DAY + 14 * HOUR)
        assert shown(rig, TODAY, YESTERDAY, WEEK) == [None] * 3
        await rig.poller.configure(hourly(), meter.reader)
        await until(rig, MIDNIGHT + 5 * DAY + 2 * HOUR)
        assert shown(rig, YESTERDAY, WEEK) == [30.0, 210.0]
        assert [number for number, day in (await days(rig)).items() if not day.is_observed] == [
            *range(-10, 0),
            *(2, 3, 4),
        ]

    watched(meter, scenario)


@pytest.mark.parametrize("hours", [20, 30])
def test_an_organization_that_leaves_goes_on_within_a_day(hours: int) -> None:
    """As it was; later it begins anew, from the start of the period."""
    meter = Meter()
    nobody = config(organization("other", interval=HOUR, max_age=4 * HOUR))

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 2 * DAY + 15 * HOUR)
        known = (await days(rig))[0]
        assert known.is_observed
        await rig.poller.configure(nobody, Meter(clock=meter.clock).reader)
        await until(rig, rig.clock.time() + hours * HOUR)
        if hours > 24:
            meter.truth.forget(0)
        await rig.poller.configure(hourly(), meter.reader)
        await until(rig, MIDNIGHT + 4 * DAY + HOUR)
        assert (await days(rig))[0].is_observed == (hours < 24)
        assert [(await spends(rig))[number] for number in range(4)] == [30.0] * 4

    watched(meter, scenario)
