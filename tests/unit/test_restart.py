"""What a process finds of the one before it, and what it makes of that."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.api.billing import BillingError
from exporter.config import Config
from exporter.model import (
    FoundOrganization,
    OrganizationState,
    SavedOrganization,
    Spend,
    Tally,
)
from exporter.pb import billing_pb2 as pb
from exporter.polling.intake import CLOCK_CHECK, KEEP_SPEND
from exporter.state.budget import Budget
from exporter.state.messages import unpacked
from exporter.state.place import FileSystem
from exporter.state.saver import AT_ONCE, Saver
from exporter.state.storage import Storage
from exporter.web.status import StatusPages
from exporter.web.summary import PageContext
from support.reader import BILLING, INVOICES, OUTAGE, USAGE, FakeReader, config, organization
from support.rig import Rig
from support.status import FACTS, state
from support.virtual import Hang, VirtualClock, run

MONTH_TO_DATE = "viam_billing_usage_month_to_date_usd"
SPEND = "viam_billing_usage_spend_usd_total"
SUCCESS = "viam_billing_collector_success"
LAST_SUCCESS = "viam_billing_collector_last_success_timestamp_seconds"
LAST_ATTEMPT = "viam_billing_collector_last_attempt_timestamp_seconds"
LAST_CHANGE = "viam_billing_collector_last_change_timestamp_seconds"
STORED = "viam_billing_exporter_storage_last_write_successful"


def usage(net: float, *, end: int | None = None) -> pb.GetCurrentMonthUsageResponse:
    """Return a usage answer with one source."""
    answer = pb.GetCurrentMonthUsageResponse()
    answer.start_date.seconds = 1_793_491_200
    if end is not None:
        answer.end_date.seconds = end
    source = answer.resource_usage_costs_by_source.add(source_type="SOURCE_TYPE_ORG")
    source.resource_usage_costs.total_with_discount = net
    source.resource_usage_costs.usage_costs.add(
        resource_type="USAGE_COST_TYPE_PER_MACHINE", cost=net
    )
    return answer


def reader(net: float) -> FakeReader:
    """Return an API that answers everything."""
    made = FakeReader()
    made.answers[USAGE] = usage(net)
    made.answers[BILLING] = pb.GetOrgBillingInformationResponse(
        type="PAYMENT_METHOD_TYPE_CARD",
        billing_email="canary@example.com",
        method=pb.PaymentMethodCard(brand="visa", last_four_digits="canary-4242"),
        billing_tier="team",
    )
    made.answers[INVOICES] = pb.GetInvoicesSummaryResponse(outstanding_balance=9.5)
    return made


def test_restored_data_is_served_at_once_with_its_old_timestamps(tmp_path: Path) -> None:
    """Values and times come back, success does not: nobody has polled yet."""
    api = reader(7.0)
    clock = VirtualClock()
    one = config(organization(interval=600.0, max_age=2400.0))

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", one, api, clock) as rig, rig.running():
            await asyncio.sleep(5)
            before = {name: rig.values(name, "collector") for name in (LAST_SUCCESS, LAST_CHANGE)}
        await asyncio.sleep(100)
        api.delays = {USAGE: 1e6, BILLING: 1e6, INVOICES: 1e6}
        async with Rig.stored(tmp_path / "s", one, api, clock) as rig, rig.running():
            await asyncio.sleep(1)
            assert rig.value(MONTH_TO_DATE) == 7.0
            assert rig.value("viam_billing_outstanding_balance_usd") == 9.5
            assert rig.values("viam_billing_payment_method_info", "card_brand") == {("visa",): 1.0}
            assert rig.values("viam_billing_org_info", "billing_tier") == {("team",): 1.0}
            for name, values in before.items():
                assert rig.values(name, "collector") == values
            assert rig.values(LAST_ATTEMPT, "collector") == before[LAST_SUCCESS]
            assert rig.values(SUCCESS, "collector") == {}
            assert rig.value("viam_billing_up") is None
            assert rig.publisher.ready, "restored counts as known"
            pages = await asyncio.to_thread(StatusPages, version="1", telemetry_path="/metrics")
            context = PageContext(rig.clock.time(), rig.clock.monotonic(), rig.poller.next_poll)
            html = await asyncio.to_thread(pages.status, rig.store.states(), context, FACTS, {})
            assert "waiting for the first poll since the start" in html, "and not: up"

    run(scenario())


def test_restored_data_is_as_old_as_it_is(tmp_path: Path) -> None:
    """max_age counts from the success of the process before; what is too old is not shown."""
    api = reader(7.0)
    clock = VirtualClock()
    one = config(organization(interval=60.0, max_age=240.0))

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", one, api, clock) as rig, rig.running():
            await asyncio.sleep(3)
        for rpc in (USAGE, BILLING, INVOICES):
            api.answers[rpc] = OUTAGE
        await asyncio.sleep(200)
        async with Rig.stored(tmp_path / "s", one, api, clock) as rig, rig.running():
            await asyncio.sleep(1)
            assert rig.value(MONTH_TO_DATE) == 7.0
            await asyncio.sleep(45)
            assert rig.value(MONTH_TO_DATE) is None
            assert ("usage",) in rig.values(LAST_SUCCESS, "collector")
            assert rig.value("viam_billing_up") == 0.0
            assert rig.value(SPEND) == 0.0

    run(scenario())


def test_after_a_kill_a_month_s_end_makes_no_counter_fall(tmp_path: Path) -> None:
    """What was shown and not stored is lost, and the new period counts whole, from 0."""
    api = reader(7.0)
    clock = VirtualClock()
    one = config(organization(interval=60.0, max_age=2400.0))

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", one, api, clock) as rig, rig.running():
            await asyncio.sleep(3)
            api.answers[USAGE] = usage(107.0)
            await asyncio.sleep(63)
            await asyncio.to_thread(shutil.copytree, tmp_path / "s", tmp_path / "killed")
            api.answers[USAGE] = usage(109.0)
            await asyncio.sleep(60)
            assert rig.value(SPEND) == 102.0, "which the copy does not know"
        api.answers[USAGE] = usage(1.0)
        api.answers[USAGE].start_date.seconds += 31 * 86_400
        clock.jump(31 * 86_400)
        good, api.answers[USAGE] = api.answers[USAGE], OUTAGE
        async with Rig.stored(tmp_path / "killed", one, api, clock) as rig, rig.running():
            await asyncio.sleep(3)
            assert rig.value(SPEND) is None, "it may be less than what was shown"
        api.delays, api.answers[USAGE] = {USAGE: 30.0}, good
        async with Rig.stored(tmp_path / "killed", one, api, clock) as rig, rig.running():
            await asyncio.sleep(3)
            assert rig.value(SPEND) is None, "also after a clean end that knew no more"
            await asyncio.sleep(30)
            assert rig.value(SPEND) == 1.0
            source = good.resource_usage_costs_by_source[0].resource_usage_costs
            source.total_with_discount = 4.0
            await asyncio.sleep(90)
            assert rig.value(SPEND) == 4.0

    run(scenario())


def test_restored_usage_of_a_period_that_ended_is_not_shown(tmp_path: Path) -> None:
    """After a day of grace, and until a poll confirms it."""
    api = reader(7.0)
    clock = VirtualClock()
    api.answers[USAGE] = usage(7.0, end=int(clock.offset) + 3600)
    one = config(organization(interval=86_400.0, max_age=30 * 86_400.0))

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", one, api, clock) as rig, rig.running():
            await asyncio.sleep(3)
            assert rig.value(MONTH_TO_DATE) == 7.0
        clock.jump(2 * 86_400)  # switched off for two days
        api.delays = {USAGE: 60.0}
        async with Rig.stored(tmp_path / "s", one, api, clock) as rig, rig.running():
            await asyncio.sleep(1)
            assert rig.value(MONTH_TO_DATE) is None
            await asyncio.sleep(61)
            assert rig.value(MONTH_TO_DATE) == 7.0

    run(scenario())


def test_spend_goes_on_across_a_restart_and_begins_anew_without_storage(tmp_path: Path) -> None:
    """What was spent meanwhile counts; without storage there is a new baseline."""
    api = reader(7.0)
    clock = VirtualClock()
    one = config()

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", one, api, clock) as rig, rig.running():
            await asyncio.sleep(3)
            api.answers[USAGE] = usage(10.0)
            await asyncio.sleep(62)
            assert rig.value(SPEND) == 3.0
        api.answers[USAGE] = usage(25.0)
        async with Rig.stored(tmp_path / "s", one, api, clock) as rig, rig.running():
            await asyncio.sleep(3)
            assert rig.value(SPEND) == 18.0
            assert rig.value("viam_billing_usage_resource_spend_usd_total") == 18.0
        without = Rig(one, api, clock=clock)
        async with without.running():
            await asyncio.sleep(3)
            assert without.value(SPEND) == 0.0

    run(scenario())


# Polled so seldom that a day passes in no time.
HERE, GONE = (organization(name, interval=21_600.0, max_age=86_400.0) for name in ("here", "gone"))
BOTH, ONE = config(HERE, GONE), config(HERE)


def test_stored_counters_that_took_in_too_much_begin_anew(tmp_path: Path) -> None:
    """As an older release left them: else they would stand still for ever."""
    api = reader(30.0)
    too_large = Tally(spend=1e300, corrections=1e300, baseline=1e300)
    stored = SavedOrganization("o1", {}, Spend(1_793_491_200, too_large, {}))
    storage = Storage(tmp_path / "s")
    storage.save([stored], [])
    storage.close()

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", config(), api, VirtualClock()) as rig, rig.running():
            await asyncio.sleep(3)
            api.answers[USAGE] = usage(40.0)
            await asyncio.sleep(62)
            assert rig.value(SPEND) == 10.0

    run(scenario())


def test_a_stored_baseline_that_is_too_large_costs_no_counter(tmp_path: Path) -> None:
    """What was counted before goes on; only what has happened since is not known."""
    stored = SavedOrganization(
        "o1", {}, Spend(1_793_491_200, Tally(500.0, 1.0, baseline=1e300), {})
    )
    storage = Storage(tmp_path / "s")
    storage.save([stored], [])
    storage.close()

    async def scenario() -> None:
        api = reader(30.0)
        async with Rig.stored(tmp_path / "s", config(), api, VirtualClock()) as rig, rig.running():
            await asyncio.sleep(3)
            api.answers[USAGE] = usage(40.0)
            await asyncio.sleep(62)
            assert rig.value(SPEND) == 510.0

    run(scenario())


@asynccontextmanager
async def process(
    folder: Path, configuration: Config, api: FakeReader, clock: VirtualClock
) -> AsyncIterator[Rig]:
    """Run the exporter while inside, which publishes when it is asked to."""
    async with (
        Rig.stored(folder, configuration, api, clock) as rig,
        rig.running(publishing=False),
    ):
        await asyncio.sleep(3)
        yield rig


async def spends(rig: Rig) -> Mapping[tuple[str, ...], float]:
    """Return what was spent, by organization."""
    await rig.publisher.publish()
    return rig.values(SPEND, "org_id")


async def kept(rig: Rig) -> Mapping[str, SavedOrganization]:
    """Return what is stored."""
    assert rig.storage is not None
    return (await asyncio.to_thread(rig.storage.read)).organizations


def test_an_organization_that_comes_back_within_a_day_goes_on_counting(tmp_path: Path) -> None:
    """A mistake that made it leave loses no spend; all else of it is forgotten at once."""
    api = reader(7.0)

    async def scenario() -> None:
        async with process(tmp_path / "s", BOTH, api, VirtualClock()) as rig:
            await rig.poller.configure(ONE, api)
            await asyncio.sleep(3)
            assert await spends(rig) == {("here",): 0.0}
            assert (await kept(rig))["gone"].answers == {}
            api.answers[USAGE] = usage(10.0)
            await asyncio.sleep(KEEP_SPEND - 60)
            await rig.poller.configure(BOTH, api)
            await asyncio.sleep(3)
            assert await spends(rig) == {("here",): 3.0, ("gone",): 3.0}
            await asyncio.sleep(KEEP_SPEND)
            assert await spends(rig) == {("here",): 3.0, ("gone",): 3.0}, "it is back"

    run(scenario())


def test_an_organization_that_left_is_forgotten_after_a_day(tmp_path: Path) -> None:
    """When it comes back later, it is seen for the first time."""
    api = reader(7.0)

    async def scenario() -> None:
        async with process(tmp_path / "s", BOTH, api, VirtualClock()) as rig:
            await rig.poller.configure(ONE, api)
            await asyncio.sleep(KEEP_SPEND + CLOCK_CHECK + 3)
            assert set(await kept(rig)) == {"here"}
            api.answers[USAGE] = usage(10.0)
            await rig.poller.configure(BOTH, api)
            await asyncio.sleep(3)
            assert (await spends(rig))["gone",] == 0.0

    run(scenario())


def test_an_organization_that_left_while_nobody_ran_is_kept_for_a_day(tmp_path: Path) -> None:
    """Of the process that does not know it any more, and of each one after that."""
    api = reader(7.0)
    clock = VirtualClock()

    async def scenario() -> None:
        for everyone, net in ((BOTH, 7.0), (ONE, 8.0), (ONE, 9.0), (BOTH, 10.0)):
            api.answers[USAGE] = usage(net)
            async with process(tmp_path / "s", everyone, api, clock) as rig:
                last = await spends(rig)
        assert last == {("here",): 3.0, ("gone",): 3.0}
        async with process(tmp_path / "s", ONE, api, clock) as rig:
            await asyncio.sleep(KEEP_SPEND + CLOCK_CHECK + 3)
            assert set(await kept(rig)) == {"here"}

    run(scenario())


def test_storage_that_comes_late_is_read_before_anything_is_written(tmp_path: Path) -> None:
    """As a share that is mounted after the start: whatever was not polled yet goes on from it."""
    api = reader(7.0)
    clock = VirtualClock()
    folder, away = tmp_path / "s", tmp_path / "away"
    one = config(organization(interval=60.0, max_age=2400.0))

    async def scenario() -> None:
        for net in (7.0, 10.0):
            api.answers[USAGE] = usage(net)
            async with Rig.stored(folder, one, api, clock) as rig, rig.running():
                await asyncio.sleep(5)
        await asyncio.to_thread(folder.rename, away)
        await asyncio.to_thread(folder.touch)
        api.answers[USAGE] = OUTAGE
        async with Rig.stored(folder, one, api, clock) as rig, rig.running():
            await asyncio.sleep(4.5)  # between two tries
            assert (rig.value(STORED), rig.value(MONTH_TO_DATE), rig.value(SPEND)) == (
                0,
                None,
                None,
            )
            await asyncio.to_thread(folder.unlink)
            await asyncio.to_thread(away.rename, folder)
            await asyncio.sleep(5)
            assert (rig.value(STORED), rig.value(MONTH_TO_DATE), rig.value(SPEND)) == (1, 10.0, 3.0)
            assert rig.values(SUCCESS, "collector")["usage",] == 0.0
            api.answers[USAGE] = usage(15.0)
            await asyncio.sleep(120)
            assert rig.value(SPEND) == 8.0
        assert not list(folder.glob("*set-aside*"))

    run(scenario())


def test_counters_that_began_without_storage_go_on_and_the_old_ones_are_kept(
    tmp_path: Path,
) -> None:
    """They never leap, which would be spend to Prometheus; what was stored is in a copy."""
    api = reader(7.0)
    clock = VirtualClock()
    folder, away = tmp_path / "s", tmp_path / "away"

    async def scenario() -> None:
        for net in (7.0, 1000.0):
            api.answers[USAGE] = usage(net)
            async with process(folder, BOTH, api, clock):
                pass
        await asyncio.to_thread(folder.rename, away)
        await asyncio.to_thread(folder.touch)
        async with process(folder, ONE, api, clock) as rig:
            assert await spends(rig) == {("here",): 0.0}
            await asyncio.to_thread(folder.unlink)
            await asyncio.to_thread(away.rename, folder)
            await asyncio.sleep(5)
            assert await spends(rig) == {("here",): 0.0}
            await rig.poller.configure(BOTH, api)
            await asyncio.sleep(3)
            assert await spends(rig) == {("here",): 0.0, ("gone",): 993.0}
        copies = await asyncio.to_thread(lambda: list(folder.glob("*set-aside-1")))
        assert len(copies) == 1, "it was not made each second"
        aside = tmp_path / "aside"
        await asyncio.to_thread(aside.mkdir)
        await asyncio.to_thread(copies[0].rename, aside / "exporter.db")
        async with Rig.stored(aside, ONE, api, clock) as old:
            spend = (await kept(old))["here"].spend
        assert spend is not None
        assert spend.month_to_date.spend == 993.0

    run(scenario())


def test_a_folder_that_is_removed_while_it_runs_is_made_again_with_all_that_is_known(
    tmp_path: Path,
) -> None:
    """Also what did not change since, and what discovery found."""
    api = reader(7.0)
    clock = VirtualClock()

    found = {"key": (FoundOrganization("o1", "One"),)}

    async def scenario() -> None:
        with closing(Storage(tmp_path / "s")) as storage:
            await asyncio.to_thread(storage.save, [], [], found)
        async with process(tmp_path / "s", BOTH, api, clock) as rig:
            assert rig.storage is not None
            before = await kept(rig)
            await asyncio.to_thread(shutil.rmtree, tmp_path / "s")
            with capture_logs() as logs:
                await rig.poller.configure(ONE, api)
                await asyncio.sleep(3)
            assert [each["event"] for each in logs] == [
                "storage was removed, moved or replaced: recreating it"
            ]
            after = await kept(rig)
            assert after["here"] == before["here"]
            spend = after["gone"].spend
            assert spend is not None
            assert replace(spend, paused=None) == before["gone"].spend
            assert (await asyncio.to_thread(rig.storage.read)).found == found
            await rig.publisher.publish()
            assert rig.value(STORED) == 1.0

    run(scenario())


class Hanging(FileSystem):
    """A file system that hangs from some moment on."""

    hang: Hang | None = None

    def lock(self, descriptor: int) -> None:
        """Hang, if it does, and lock."""
        if self.hang is not None:
            self.hang.wait()
        super().lock(descriptor)


def test_storage_that_hangs_costs_persistence_only(tmp_path: Path) -> None:
    """Polling and the page go on, one thread hangs and no more, and all is stored in the end."""
    api = reader(7.0)
    clock, system = VirtualClock(), Hanging()
    one = config(organization(interval=60.0, max_age=2400.0))

    def threads() -> int:
        return sum(thread.name == "files" for thread in threading.enumerate())

    async def scenario() -> None:
        before = threads()
        async with Rig.stored(tmp_path / "s", one, api, clock, system) as rig, rig.running():
            await asyncio.sleep(5)
            assert rig.value(STORED) == 1.0
            system.hang = Hang()
            await asyncio.to_thread((tmp_path / "s" / "lock").unlink)  # it is to be locked again
            api.answers[USAGE] = usage(10.0)
            with capture_logs() as logs:
                await asyncio.sleep(90)
            assert (rig.value(STORED), rig.value(MONTH_TO_DATE)) == (0.0, 10.0)
            (failed,) = (
                each for each in logs if each["event"].startswith("cannot write to storage")
            )
            assert failed["reason"].endswith("does not answer: its file system hangs")
            api.answers[USAGE] = usage(11.0)
            await asyncio.sleep(300)
            assert (rig.value(STORED), rig.value(MONTH_TO_DATE)) == (0.0, 11.0)
            assert threads() == before + 1
            system.hang.end()
            await asyncio.sleep(5)
            assert rig.value(STORED) == 1.0
            spend = (await kept(rig))["o1"].spend
        assert spend is not None
        assert spend.month_to_date.baseline == 11.0

    run(scenario())


def test_a_ceiling_whose_storage_hangs_lets_nothing_through(tmp_path: Path) -> None:
    """And whoever waits for a request is told within the deadline."""
    clock, system = VirtualClock(), Hanging()

    async def scenario() -> None:
        system.hang = Hang()
        rig = Rig(config())
        storage = Storage(tmp_path / "s", system=system)
        budget = Budget(10, storage, rig.telemetry, clock)
        for seconds in (10.0, 0.0):
            before = clock.monotonic()
            with pytest.raises(BillingError, match=r"no request can be reserved: .* hangs"):
                await budget.take()
            assert clock.monotonic() == before + seconds, "the second need not find it out"
        system.hang.end()
        await asyncio.sleep(1)
        await budget.take()
        await asyncio.to_thread(storage.close)

    run(scenario())


def test_a_large_fleet_is_written_in_parts(tmp_path: Path) -> None:
    """So that each write is within its deadline, and what is written stays when the next fails."""
    fleet = [organization(f"o{n}") for n in range(AT_ONCE + 5)]

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", config(*fleet)) as rig:
            assert rig.storage is not None
            stored = await asyncio.to_thread(rig.storage.read)
            saver = Saver(rig.storage, rig.store, rig.telemetry, stored, rig.restore)
            saver.keep({})
            for each in fleet:
                rig.store.put(OrganizationState(each, {}, Spend(None, Tally(baseline=1.0), {})))
            await saver.save()
            assert len(await kept(rig)) == len(fleet)

    run(scenario())


def test_counters_of_an_organization_that_left_are_kept_as_they_were(tmp_path: Path) -> None:
    """All that is stored of it is removed before they are written again."""
    spend = Spend(None, Tally(5.0, baseline=7.0), {})

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", config()) as rig:
            assert rig.storage is not None
            stored = await asyncio.to_thread(rig.storage.read)
            saver = Saver(rig.storage, rig.store, rig.telemetry, stored, rig.restore)
            saver.keep({})
            answered = state(organization("gone"), pb.GetInvoicesSummaryResponse())
            rig.store.put(answered._replace(spend=spend))
            await saver.save()
            rig.store.leave("gone", spend)
            await saver.save()
            assert (await kept(rig))["gone"].spend == spend

    run(scenario())


def test_an_answer_of_a_day_to_come_is_not_restored(tmp_path: Path) -> None:
    """It came while the clock stood wrong, and would not become too old for decades."""
    api = reader(7.0)
    clock = VirtualClock()

    async def scenario() -> None:
        clock.jump(70 * 365 * 86_400.0)
        async with process(tmp_path / "s", ONE, api, clock):
            pass
        clock.jump(-70 * 365 * 86_400.0)
        api.answers[USAGE] = OUTAGE
        async with process(tmp_path / "s", ONE, api, clock) as rig:
            assert await spends(rig) == {("here",): 0.0}
            assert rig.value(MONTH_TO_DATE) is None

    run(scenario())


def test_no_personal_data_is_stored(tmp_path: Path) -> None:
    """Nor kept in memory: what is kept of an answer is what may be shown."""
    api = reader(7.0)

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", config(), api) as rig, rig.running():
            await asyncio.sleep(3)
            state = rig.store.get("o1")
            assert state is not None
            answer = state.collectors["billing_information"].answer
            assert answer is not None
            assert b"visa" in unpacked(answer.message)
            assert b"canary" not in unpacked(answer.message)

    run(scenario())
    content = b"".join(path.read_bytes() for path in (tmp_path / "s").iterdir())
    assert b"visa" in content
    assert b"canary" not in content


def test_a_disk_that_fails_costs_persistence_only_and_is_seen(tmp_path: Path) -> None:
    """Polling and the page go on; the metric says 0, and 1 when writing works again."""
    api = reader(7.0)

    def limit(rig: Rig, pages: int) -> None:
        assert rig.storage is not None
        database = rig.storage._database._connection
        assert isinstance(database, sqlite3.Connection)
        database.execute(f"PRAGMA max_page_count = {pages}")

    async def scenario() -> None:
        async with Rig.stored(tmp_path / "s", config(), api) as rig, rig.running():
            await asyncio.sleep(3)
            assert rig.value(STORED) == 1.0
            await asyncio.to_thread(limit, rig, 1)
            api.answers[INVOICES] = pb.GetInvoicesSummaryResponse(outstanding_balance=11.5)
            for n in range(3000):
                api.answers[INVOICES].invoices.add(id=f"{n:0100}", status="paid")
            await asyncio.sleep(70)
            assert rig.value(STORED) == 0.0
            assert rig.value("viam_billing_outstanding_balance_usd") == 11.5
            await asyncio.to_thread(limit, rig, 1_000_000)
            await asyncio.sleep(5)
            assert rig.value(STORED) == 1.0
        async with Rig.stored(tmp_path / "s", config(), api) as rig:
            assert rig.storage is not None
            saved = await kept(rig)
            message = unpacked(saved["o1"].answers["invoices"].message)
            assert b"11.5" not in message
            assert pb.GetInvoicesSummaryResponse.FromString(message).outstanding_balance == 11.5

    run(scenario())
