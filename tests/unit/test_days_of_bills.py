"""What the days say of bills of all kinds, and of several exporters that read one."""

from __future__ import annotations

import asyncio
import calendar
import math
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from exporter.polling.sharding import Shard
from support.meter import DAY, HOUR, MIDNIGHT, Meter, every, flat, plus
from support.metered import (
    BEGAN,
    KNOWN,
    TODAY,
    WEEK,
    YESTERDAY,
    check,
    days,
    hourly,
    shown,
    spends,
    until,
    watched,
)
from support.reader import config, organization
from support.rig import Rig
from support.virtual import VirtualClock, run

# --- What a bill may be like --------------------------------------------------------------


def by_day_only(moment: float) -> float:
    """Spend $48 from 08:00 to 20:00."""
    days_before, rest = divmod(moment - MIDNIGHT, DAY)
    return 48.0 * days_before + 48.0 * min(max((rest - 8 * HOUR) / (12 * HOUR), 0.0), 1.0)


@pytest.mark.parametrize("minutes", [5, 60, 360])
def test_days_are_those_of_the_bill_however_often_it_is_polled(minutes: int) -> None:
    """If nothing is spent around midnight, exactly, and none of them is estimated."""
    meter = Meter(by_day_only, every(30, MIDNIGHT - DAY))

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 4 * DAY + 7 * HOUR)
        assert [(await spends(rig))[number] for number in range(4)] == [48.0] * 4
        found = await days(rig)
        assert all(found[number].is_observed for number in range(4))

    watched(meter, scenario, minutes * 60.0)


def test_a_day_that_two_periods_share_is_the_sum_of_both() -> None:
    """With a period from the 15th at 14:30: at most one poll interval is missing from it."""
    meter = Meter(starts=every(30, MIDNIGHT - 29 * DAY + 14.5 * HOUR))

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 3 * DAY + HOUR)
        shared = (await days(rig))[1]
        assert [entry.period for entry in shared.entries] == meter.starts[:2]
        missed = shared.unknown
        assert 0 < missed <= HOUR
        assert shared.spend == pytest.approx(30.0 - missed * 30.0 / DAY, abs=0.001)
        assert shown(rig, YESTERDAY, WEEK) == [30.0, round(210.0 - missed * 30.0 / DAY, 2)]

    watched(meter, scenario)


def test_credits_larger_than_what_was_spent_are_no_spend() -> None:
    """Month to date is below 0 then; the credit is a correction of the day that confirmed it."""
    credited = MIDNIGHT + DAY + 6 * HOUR
    meter = Meter(plus(flat(30.0), -1000.0, credited))

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 3 * DAY + HOUR)
        (month_to_date,) = shown(rig, "viam_billing_usage_month_to_date_usd")
        assert month_to_date is not None
        assert month_to_date < -600.0
        found = await days(rig)
        # What was spent while it was confirmed is less of a fall.
        assert found[1].corrections == pytest.approx(1000.0 - 2 * 30 / 24)
        assert found[1].spend == pytest.approx(30.0 - 2 * 30 / 24)
        assert found[0].corrections == found[2].corrections == 0.0
        total = math.fsum(day.spend - day.corrections for day in found.values())
        assert total == pytest.approx(month_to_date, abs=0.005)

    watched(meter, scenario)


def test_a_fee_that_is_published_late_is_of_the_day_on_which_it_is_seen() -> None:
    """$300 for the first, in the bill on the fifth: nobody can know better."""
    meter = Meter(plus(flat(30.0), 300.0, MIDNIGHT + 4 * DAY + 6 * HOUR), every(30, MIDNIGHT))

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 6 * DAY + HOUR)
        found = await spends(rig)
        assert [found[n] for n in range(6)] == [30.0, 30.0, 30.0, 30.0, 330.0, 30.0]

    meter.starts = every(30, MIDNIGHT - 30 * DAY)
    watched(meter, scenario)


def test_usage_that_is_published_a_day_late_is_of_the_day_on_which_it_is_seen() -> None:
    """Days are a day late, and the last of a period is in no answer: docs/adr/0018 says so."""

    def growing(moment: float) -> float:
        return ((moment - MIDNIGHT) / DAY) ** 2  # $1, $3, $5 a day

    meter = Meter(growing, every(5, MIDNIGHT), lag=float(DAY))

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + 8 * DAY + HOUR)
        found = await spends(rig)
        assert [found[n] for n in range(1, 5)] == pytest.approx([1.0, 3.0, 5.0, 7.0], abs=0.35)
        assert found[5] == pytest.approx(0.0, abs=0.1)
        assert [found[n] for n in range(6, 8)] == pytest.approx([11.0, 13.0], abs=0.35)
        assert shown(rig, "viam_billing_closed_period_usage_usd")[0] == pytest.approx(16, abs=0.4)

    meter.starts = [MIDNIGHT - DAY, *meter.starts]
    watched(meter, scenario)


def test_days_on_which_nothing_could_be_counted_are_not_shown_until_it_can() -> None:
    """No gauge says 0 then, nor does JSON; the first number fills them."""
    meter = Meter()

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + DAY + 14 * HOUR)
        assert shown(rig, YESTERDAY) == [30.0]
        for hours, meter.odd in (16, math.nan), (50, -math.inf), (82, 2e12):
            await until(rig, MIDNIGHT + DAY + hours * HOUR)
            assert shown(rig, TODAY, YESTERDAY, WEEK, KNOWN) == [None] * 4
            assert max(await days(rig)) == 1
        meter.odd = None
        await until(rig, MIDNIGHT + 5 * DAY + HOUR)
        assert shown(rig, YESTERDAY, WEEK) == [30.0, 210.0]
        found = await days(rig)
        assert [found[number].is_observed for number in range(5)] == [
            True,
            True,
            False,
            False,
            True,
        ]

    watched(meter, scenario)


def test_an_answer_without_a_start_is_none_after_the_end_though_it_is_the_same_again() -> None:
    """It may be of the next period: no day is noted as one on which nothing was spent."""
    end = MIDNIGHT + 2 * DAY
    starts = [MIDNIGHT - 9 * DAY, end, end + 40 * DAY]
    meter = Meter(lambda moment: min(moment, end - DAY) / DAY, starts, late=2.5 * DAY)

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + DAY + 6 * HOUR)
        meter.is_dated = False
        await until(rig, end + 2 * DAY + HOUR)
        assert max(await days(rig)) == 1, "the last one before the end"
        assert shown(rig, TODAY, BEGAN) == [None, MIDNIGHT]
        meter.is_dated = True
        await until(rig, end + 3 * DAY + HOUR)
        assert (await spends(rig))[2] == 0.0, "now it is known: it is the new period's"

    watched(meter, scenario)


def test_answers_that_keep_their_start_after_the_end_are_of_the_period_that_goes_on() -> None:
    """As where ends name the last day: nothing of it is missing, and its last day is whole."""
    end = MIDNIGHT + 3 * DAY
    meter = Meter(starts=[MIDNIGHT - 9 * DAY, end, end + 40 * DAY])
    meter.is_inclusive = True

    async def scenario(rig: Rig) -> None:
        await until(rig, end + DAY + HOUR)
        found = await days(rig)
        assert [found[number].spend for number in range(2)] == pytest.approx([30.0, 30.0])
        assert found[2].unknown <= HOUR
        assert found[2].spend == pytest.approx(30.0 * (1 - found[2].unknown / DAY), abs=0.001)
        assert shown(rig, YESTERDAY) == [30.0]

    watched(meter, scenario)


@pytest.mark.parametrize("leap", [-20 * DAY, -2 * HOUR, 2 * HOUR, 3 * DAY, 200 * DAY])
def test_a_clock_that_is_wrong_for_a_while_is_forgotten(leap: float) -> None:
    """What was answered meanwhile is of other days; each day after it says what it cost."""
    meter = Meter(lambda moment: min(moment, MIDNIGHT + 4 * DAY) / DAY * 30)

    async def scenario(rig: Rig) -> None:
        await until(rig, MIDNIGHT + DAY + 23 * HOUR)
        meter.clock.jump(leap)
        await asyncio.sleep(2 * HOUR)
        meter.clock.jump(-leap)
        await until(rig, MIDNIGHT + 3 * DAY + HOUR)
        for name in TODAY, YESTERDAY, WEEK:
            assert rig.value(name) is not None
        assert max(await days(rig)) == 3
        await until(rig, MIDNIGHT + 6 * DAY + HOUR)  # nothing is spent any more
        assert shown(rig, TODAY, YESTERDAY, BEGAN) == [0.0, 0.0, MIDNIGHT + 5 * DAY]

    async def main() -> None:
        rig = Rig(hourly(), meter.reader, clock=meter.clock)
        async with rig.running(publishing=False):
            await scenario(rig)

    run(main())


def months(first: datetime, count: int) -> list[float]:
    """Return the starts of calendar months."""
    found = []
    for number in range(count):
        year, month = divmod(first.year * 12 + first.month - 1 + number, 12)
        found.append(datetime(year, month + 1, 1, tzinfo=UTC).timestamp())
    return found


@pytest.mark.long
@pytest.mark.parametrize(("year", "first", "count"), [(2027, 1, 4), (2028, 2, 1)])
def test_months_of_28_to_31_days_are_whole(year: int, first: int, count: int) -> None:
    """In a leap year, too: the days of each add up to what it cost, but for its last interval."""
    starts = months(datetime(year, first, 1, tzinfo=UTC), count + 2)
    meter = Meter(flat(24.0), starts)
    meter.clock.offset = starts[0] + 1800.0

    async def main() -> None:
        rig = Rig(hourly(), meter.reader, clock=meter.clock)
        async with rig.running(publishing=False):
            for number, (start, end) in enumerate(pairwise(starts[: count + 1]), first):
                await until(rig, end + 1.75 * HOUR)
                assert round((end - start) / DAY) == calendar.monthrange(year, number)[1]
                (usage,) = shown(rig, "viam_billing_closed_period_usage_usd")
                assert usage == pytest.approx(24.0 * (end - start) / DAY, abs=1.0)
                found = await rig.archive.days("o1", round(start / DAY), round(end / DAY) - 1)
                spent = math.fsum(day.spend for day in found.values())
                assert spent == pytest.approx(usage, abs=0.006)
                assert all(day.is_observed for day in found.values())
            await check(rig, meter.truth)

    run(main())


# --- Several exporters --------------------------------------------------------------------


def bursts(moment: float) -> float:
    """Spend in the first quarter of each hour: $0, $30 or $60, on one day after another."""
    if moment < MIDNIGHT:
        return 0.0
    hours, rest = divmod(moment - MIDNIGHT, HOUR)
    costs = [30.0 * (hour // 24 % 3) for hour in range(int(hours) + 1)]
    return math.fsum(costs[:-1]) + costs[-1] * min(rest / 900, 1.0)


class Shifted(VirtualClock):
    """The clocks of a machine that was started earlier: polls have another phase there."""

    def __init__(self, earlier: float) -> None:
        super().__init__()
        self._earlier = earlier
        self.offset -= earlier

    def monotonic(self) -> float:
        """Return seconds since the machine was started."""
        return super().monotonic() + self._earlier


@pytest.mark.parametrize("phase", [60.0, 1300.0, 3000.0])
def test_replicas_differ_by_what_was_spent_around_midnights_at_most(phase: float) -> None:
    """Between the earlier answer before one and the later one after it: docs/adr/0018."""
    one, other = Meter(bursts), Meter(bursts, clock=Shifted(phase))
    rigs = [Rig(hourly(), meter.reader, clock=meter.clock) for meter in (one, other)]

    async def main() -> None:
        async with rigs[0].running(publishing=False), rigs[1].running(publishing=False):
            await asyncio.sleep(5 * DAY)
            found = [await days(rig) for rig in rigs]
            differ = False
            for number in range(4):
                bound = sum(around(one, other, number + each) for each in (0, 1))
                by = abs(found[0][number].spend - found[1][number].spend)
                assert by <= bound + 1e-6
                assert bound <= 2 * 60.0
                differ = differ or by > 0.01
            assert differ
            for rig, meter in zip(rigs, (one, other), strict=True):
                await check(rig, meter.truth)

    run(main())


def around(one: Meter, other: Meter, number: int) -> float:
    """Return how far two ledgers may differ in what was spent before a midnight."""
    midnight = MIDNIGHT + number * DAY
    before, after = [], []
    for meter in one, other:
        told = [float(each.at) for each in meter.truth.heard]
        before.append(max(at for at in told if at <= midnight))
        after.append(min(at for at in told if at >= midnight))
    spent = one.spent
    return max(spent(after[0]) - spent(before[1]), spent(after[1]) - spent(before[0]))


def test_of_two_shards_one_has_each_organization() -> None:
    """Whole, as one exporter alone would."""
    clock = VirtualClock()
    org_ids = [f"org-{number}" for number in range(8)]
    everyone = config(*[organization(each, interval=HOUR, max_age=4 * HOUR) for each in org_ids])

    async def main() -> None:
        meters = [Meter(clock=clock), Meter(clock=clock)]
        rigs = [
            Rig(Shard(ordinal, 2).part_of(everyone), meter.reader, clock=clock)
            for ordinal, meter in enumerate(meters)
        ]
        async with rigs[0].running(publishing=False), rigs[1].running(publishing=False):
            await asyncio.sleep(3 * DAY)
            for rig in rigs:
                await rig.publisher.publish()
            weeks = [rig.values(WEEK, "org_id") for rig in rigs]
        assert all(weeks), "each has some"
        assert sorted([*weeks[0], *weeks[1]]) == [(each,) for each in org_ids]
        assert {round(usd, 2) for week in weeks for usd in week.values()} == {210.0}

    run(main())
