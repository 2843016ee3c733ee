"""All days that are kept, wherever they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.pb import billing_pb2 as pb
from exporter.state.ledger import IN_MEMORY, STORED, day_of
from exporter.state.storage import StorageError
from support.history import UNIT, process
from support.meter import DAY, HOUR, MIDNIGHT, Meter, bill
from support.virtual import run


def test_with_storage_four_hundred_days_are_there(tmp_path: Path) -> None:
    """Before and after a restart; each has what was spent on it."""
    meter = Meter()

    async def main() -> None:
        for _ in range(2):
            async with process(meter, tmp_path) as there:
                await there.run(300)
                today = day_of(meter.clock.time())
                found = await there.days()
                assert list(found) == list(range(max(found) - len(found) + 1, today + 1))
                assert len(found) == min(STORED + 1, today - day_of(meter.start) + 1)
                for number in range(today - 290, today):
                    # Of a period's last day, the six hours after the last answer are unknown.
                    is_last = ((number + 1) * DAY - meter.start) % (30 * DAY) == 0
                    assert round(found[number].spend, 2) == (22.5 if is_last else 30.0)
                part = range(today - 80, today - 39)
                assert await there.days(part[0], part[-1]) == {n: found[n] for n in part}
                part = range(today - 3, today - 1)
                assert await there.days(part[0], part[-1]) == {n: found[n] for n in part}

    run(main())


def test_without_storage_those_in_memory_are() -> None:
    """And of an organization that is not there, none."""

    async def main() -> None:
        async with process(Meter()) as there:
            await there.run(100)
            assert len(await there.days()) == IN_MEMORY + 1
            assert await there.rig.archive.days("o2", 0, 100_000) == {}

    run(main())


def test_the_answer_that_a_period_ended_with_is_kept(tmp_path: Path) -> None:
    """Of each period, whichever process saw its end; a report needs its sources."""
    meter = Meter()
    ends = [meter.start + 30 * DAY * number for number in (1, 2, 3)]

    async def main() -> None:
        for _ in range(2):
            async with process(meter, tmp_path) as there:
                await there.run(50)
                for end, period in zip(ends, there.closed, strict=False):
                    assert (period.end, period.start) == (end, end - 30 * DAY)
                    assert 890 < period.usage < 900
                    assert end - 6 * HOUR <= period.seen < end
                    message = (await there.rig.archive.closed_answers("o1")).get(end)
                    assert message is not None
                    answer = pb.GetCurrentMonthUsageResponse.FromString(message)
                    assert answer.subtotal == period.usage
                assert ends[0] + 1 not in await there.rig.archive.closed_answers("o1")
        assert len(there.closed) == 3

    run(main())


def test_without_storage_the_answer_that_the_last_period_ended_with_is_kept() -> None:
    """And how much those before it came to."""

    async def main() -> None:
        async with process(Meter()) as there:
            await there.run(70)
            before, last = there.closed[-2:]
            assert last.end in await there.rig.archive.closed_answers("o1")
            assert before.end not in await there.rig.archive.closed_answers("o1")

    run(main())


def test_answers_that_do_not_count_are_not_kept_as_a_period_s_last() -> None:
    """Without a date, after the period's end, they may be of the next one."""
    meter = Meter()

    async def main() -> None:
        async with process(meter) as there:
            await there.run(1)
            end = meter.start + 30 * DAY
            good = bill(500.0, meter.start, end)
            bare = bill(7.0, 0.0, 0.0)
            bare.ClearField("start_date")
            bare.ClearField("end_date")
            meter.clock.jump(end - HOUR - meter.clock.time())
            for answer in good, bare, bare, bill(9.0, end, end + 30 * DAY):
                await there.rig.intake.succeed(UNIT, answer.SerializeToString(), 1.0)
                meter.clock.jump(2 * HOUR)
            (period,) = there.closed
            assert (period.usage, period.seen) == (500.0, end - HOUR)
            assert (await there.rig.archive.closed_answers("o1")).get(
                end
            ) == good.SerializeToString()

    run(main())


def test_a_storage_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """What is in memory does not need it."""
    meter = Meter(start=MIDNIGHT - DAY)

    async def main() -> None:
        async with process(meter, tmp_path) as there:
            await there.run(3)
            assert there.rig.storage is not None
            there.rig.storage.close()
            today = day_of(meter.clock.time())
            assert len(await there.days(today - 1)) == 2
            with pytest.raises(StorageError, match="is closed"):
                await there.days()

    run(main())


def test_a_clock_that_is_set_back_by_months_writes_over_no_stored_day(tmp_path: Path) -> None:
    """What grows meanwhile is of the last day before, and the period adds up to the cent."""
    meter = Meter(starts=[MIDNIGHT - 10 * DAY, MIDNIGHT + 400 * DAY])

    async def main() -> None:
        async with process(meter, tmp_path) as there:
            await there.run(100)
            before = await there.days()
            spent = there.spend.month_to_date.baseline
            assert spent is not None
            meter.clock.jump(-80 * DAY)
            for usd in spent + 2, spent + 5:
                answer = bill(usd, *meter.starts)
                await there.rig.intake.succeed(UNIT, answer.SerializeToString(), 1.0)
            meter.clock.jump(80 * DAY)
            await there.run(3)
        async with process(meter, tmp_path) as again:
            after = await again.days()
            spend = again.spend
        last = max(before)
        assert {n: day for n, day in after.items() if n < last} == {
            n: day for n, day in before.items() if n < last
        }
        entries = [entry for day in after.values() for entry in day.entries]
        total = sum(entry.spend - entry.corrections for entry in entries)
        assert round(total - (spend.month_to_date.baseline or 0.0), 4) == 0.0
        assert spend.ledger is not None
        assert spend.ledger.windows.known + spend.ledger.windows.others == len(after) - 1

    run(main())
