"""Poller, store and publisher joined, in virtual time, before an API that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.api.billing import BillingError
from exporter.config import InvoicesConfig
from exporter.model import Cause
from exporter.pb import billing_pb2 as pb
from exporter.polling.long_answers import AT_ONCE
from support.reader import BILLING, INVOICES, OUTAGE, USAGE, FakeReader, config, organization
from support.rig import Rig
from support.virtual import START, VirtualClock, run

DAY = 86_400


def usage(net: float, **fields: Any) -> pb.GetCurrentMonthUsageResponse:
    """Return a usage answer with one source."""
    costs = pb.ResourceUsageCosts(total_with_discount=net)
    return pb.GetCurrentMonthUsageResponse(
        resource_usage_costs_by_source=[
            pb.ResourceUsageCostsBySource(source_type="SOURCE_TYPE_ORG", resource_usage_costs=costs)
        ],
        **fields,
    )


def invoice_due_in(seconds: float) -> pb.GetInvoicesSummaryResponse:
    """Return an answer with one unpaid invoice."""
    answer = pb.GetInvoicesSummaryResponse()
    invoice = answer.invoices.add(id="i", invoice_amount=10, status="outstanding")
    invoice.due_date.FromSeconds(int(START + seconds))
    return answer


MONTH_TO_DATE = "viam_billing_usage_month_to_date_usd"
UP = "viam_billing_up"
LAST_SUCCESS = "viam_billing_collector_last_success_timestamp_seconds"
LAST_ATTEMPT = "viam_billing_collector_last_attempt_timestamp_seconds"
LAST_CHANGE = "viam_billing_collector_last_change_timestamp_seconds"


def test_the_first_round_goes_through_the_page_from_its_beginning() -> None:
    """Whatever the configuration's order: neighbours change together."""
    rig = Rig(config(*(organization(name) for name in "cab"), max_concurrency=1))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(1)
            assert [org_id for _, _, org_id in rig.reader.calls] == [*"aaabbbccc"]

    run(scenario())


def test_an_answer_reaches_the_page() -> None:
    """From the API to the page within moments, and ready only then."""
    rig = Rig(config())
    rig.reader.answers[USAGE] = usage(12.5)

    async def scenario() -> None:
        async with rig.running():
            before = rig.publisher.ready
            await asyncio.sleep(2)
            assert (before, rig.publisher.ready) == (False, True)
            assert rig.value(MONTH_TO_DATE) == 12.5
            assert rig.value(UP) == 1.0

    run(scenario())


def test_ready_waits_for_the_slowest_and_says_how_many_are_left() -> None:
    """Failed or not, every organization has been polled once; a failing API does not hold it up."""
    rig = Rig(config(organization("a"), organization("b")))
    rig.reader.answers[USAGE] = OUTAGE
    rig.reader.delays[INVOICES, "b"] = 30.0

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(29)
            assert not rig.publisher.ready
            assert rig.publisher.page.unpolled == 1
            await asyncio.sleep(3)
            assert rig.publisher.ready

    run(scenario())


def test_collectors_fail_independently() -> None:
    """One failing call is visible as one, with its cause, and takes no other data along."""
    rig = Rig(config())
    rig.reader.answers[USAGE] = usage(1.0)
    rig.reader.answers[BILLING] = BillingError(Cause.PERMISSION, "PERMISSION_DENIED", "no owner")

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
        assert rig.values("viam_billing_collector_success", "collector") == {
            ("usage",): 1.0,
            ("billing_information",): 0.0,
            ("invoices",): 1.0,
        }
        assert rig.values("viam_billing_collector_failure", "collector", "cause") == {
            ("billing_information", "permission"): 1.0
        }
        assert rig.value(UP) == 0.0
        assert rig.value(MONTH_TO_DATE) == 1.0
        assert ("billing_information",) not in rig.values(LAST_SUCCESS, "collector")
        assert ("billing_information",) in rig.values(LAST_ATTEMPT, "collector")

    run(scenario())


def test_a_failed_poll_keeps_the_last_good_values_until_max_age() -> None:
    """An outage never makes a cost vanish at once, nor read 0, nor stay for ever."""
    rig = Rig(config(organization(interval=60.0, max_age=240.0)))
    rig.reader.answers[USAGE] = usage(7.0)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            success = rig.values(LAST_SUCCESS, "collector")[("usage",)]
            rig.reader.answers[USAGE] = OUTAGE
            await asyncio.sleep(236)
            assert rig.value(MONTH_TO_DATE) is not None
            last = rig.values(LAST_SUCCESS, "collector")[("usage",)]
            await asyncio.sleep(240)
            assert rig.value(MONTH_TO_DATE) is None
            assert rig.value(UP) == 0.0
            assert rig.values(LAST_SUCCESS, "collector")[("usage",)] == last >= success
            assert rig.values(LAST_ATTEMPT, "collector")[("usage",)] > last
            rig.reader.answers[USAGE] = usage(8.0)
            await asyncio.sleep(62)
            assert rig.value(MONTH_TO_DATE) == 8.0
            assert rig.value(UP) == 1.0

    run(scenario())


def test_withdrawal_needs_no_poll() -> None:
    """A poll that hangs for ever withdraws its data at max_age all the same."""
    rig = Rig(config(organization(max_age=240.0)))
    rig.reader.answers[USAGE] = usage(7.0)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(1)
            rig.reader.delays[USAGE] = 1e6
            await asyncio.sleep(400)
            assert rig.value(MONTH_TO_DATE) is None
            assert rig.value(UP) == 1.0

    run(scenario())


def test_last_change_compares_samples_not_bytes() -> None:
    """An answer that says the same in other bytes is no change; the first answer is one."""
    rig = Rig(config())
    rig.reader.answers[USAGE] = usage(7.0)
    same = usage(7.0)
    same.resource_usage_costs_by_source.add()  # a source without costs

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            first = rig.values(LAST_CHANGE, "collector")[("usage",)]
            assert first == rig.values(LAST_SUCCESS, "collector")[("usage",)]
            rig.reader.answers[USAGE] = same
            await asyncio.sleep(120)
            assert rig.values(LAST_CHANGE, "collector")[("usage",)] == first
            assert rig.values(LAST_SUCCESS, "collector")[("usage",)] > first
            rig.reader.answers[USAGE] = usage(7.01)
            await asyncio.sleep(120)
            assert rig.values(LAST_CHANGE, "collector")[("usage",)] > first

    run(scenario())


def test_an_invoice_becomes_overdue_without_a_poll() -> None:
    """Overdue moves when the due date passes, and that is no change of the answer."""
    rig = Rig(config(organization("o4", interval=400.0, max_age=1600.0)))
    rig.reader.answers[INVOICES] = invoice_due_in(100)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            change = rig.values(LAST_CHANGE, "collector")[("invoices",)]
            polls = len(rig.reader.times(INVOICES, "o4"))
            await asyncio.sleep(96)
            assert rig.value("viam_billing_invoices_overdue") == 0.0
            await asyncio.sleep(5)
            assert rig.value("viam_billing_invoices_overdue") == 1.0
            assert rig.value("viam_billing_invoice_next_due_timestamp_seconds") is None
            assert len(rig.reader.times(INVOICES, "o4")) == polls
            await asyncio.sleep(400)
            assert len(rig.reader.times(INVOICES, "o4")) > polls
            assert rig.values(LAST_CHANGE, "collector")[("invoices",)] == change

    run(scenario())


def test_due_dates_one_after_another_do_not_keep_it_busy() -> None:
    """Reading an answer again takes a hundredth of the time, however many dates it has."""

    class SlowClock(VirtualClock):
        """Whatever looks at it twice has taken a twentieth of a second."""

        looks = 0

        def monotonic(self) -> float:
            self.looks += 1
            return super().monotonic() + 0.05 * self.looks

    answer = pb.GetInvoicesSummaryResponse()
    for number in range(300):
        invoice = answer.invoices.add(id=f"{number}", invoice_amount=1.0, status="outstanding")
        invoice.due_date.FromMilliseconds(round(1000 * (START + 30 + number)))
    settings = config(organization(interval=4000.0, max_age=16_000.0))
    rig = Rig(settings, clock=SlowClock())
    rig.reader.answers[INVOICES] = answer

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(29)
            changes, read = rig.store.subscribe(), 0
            for _ in range(200):
                await asyncio.sleep(0.5)
                read += bool(changes.take())
            assert 2 < read < 25
            await asyncio.sleep(400)
            await rig.publisher.publish()
            assert rig.value("viam_billing_invoices_overdue") == 300.0

    run(scenario())


def test_causes_that_take_turns_are_logged_once_each() -> None:
    """Until a poll succeeds: what goes on failing is no news."""
    rig = Rig(config())
    busy = BillingError(Cause.THROTTLED, "RESOURCE_EXHAUSTED", "busy")

    async def scenario() -> None:
        async with rig.running(publishing=False):
            for failure in [OUTAGE, busy] * 4 + [b"", OUTAGE]:
                rig.reader.answers[USAGE] = failure
                await asyncio.sleep(1000)

    with capture_logs() as logs:
        run(scenario())
    told = [(each["event"], each.get("cause")) for each in logs if "poll" in each["event"]]
    assert told == [
        ("poll failed", Cause.OUTAGE),
        ("poll failed", Cause.THROTTLED),
        ("poll succeeded again", None),
        ("poll failed", Cause.OUTAGE),
    ]


def test_a_wall_clock_that_jumps_withdraws_nothing() -> None:
    """Ages are counted on the other clock; due dates follow the wall clock they are written in."""
    rig = Rig(config())
    rig.reader.answers[USAGE] = usage(7.0)
    rig.reader.answers[INVOICES] = invoice_due_in(5 * DAY)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            rig.reader.answers[USAGE] = OUTAGE
            rig.clock.jump(10 * DAY)
            await asyncio.sleep(32)
            assert rig.value(MONTH_TO_DATE) == 7.0
            assert rig.value("viam_billing_invoices_overdue") == 1.0

    run(scenario())


def test_an_answer_that_does_not_parse_fails_its_collector_only() -> None:
    """It is an invalid answer, and the values before it stay."""
    rig = Rig(config())
    rig.reader.answers[USAGE] = usage(7.0)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            rig.reader.answers[USAGE] = b"\xff\xff\xff"
            await asyncio.sleep(60)
            assert rig.values("viam_billing_collector_failure", "collector", "cause") == {
                ("usage", "invalid_answer"): 1.0
            }
            assert rig.value(MONTH_TO_DATE) == 7.0

    run(scenario())


def test_withheld_samples_and_unknown_enums_are_counted() -> None:
    """Now in a gauge while they are withheld, and in a counter at every poll."""
    rig = Rig(config())
    answer = usage(float("nan"))
    answer.resource_usage_costs_by_source[0].resource_usage_costs.usage_costs.add(
        resource_type=99,
        cost=1.0,
    )
    rig.reader.answers[USAGE] = answer

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            withheld = rig.values("viam_billing_withheld_samples", "collector", "reason")
            assert withheld == {("usage", "nan"): 3.0}  # net, month to date, difference
            counter = "viam_billing_exporter_withheld_samples_total"
            assert rig.values(counter, "reason")[("nan",)] == 3.0
            enums = "viam_billing_exporter_unknown_enum_values_total"
            assert rig.values(enums, "enum")[("UsageCostType",)] == 1.0
            rig.reader.answers[USAGE] = usage(1.0)
            await asyncio.sleep(60)
            assert rig.values("viam_billing_withheld_samples", "reason") == {}
            assert rig.values(counter, "reason")[("nan",)] == 3.0

    run(scenario())


def test_concurrency_is_bounded_and_the_first_round_uses_it() -> None:
    """Never more calls in flight than configured, and never fewer while some wait."""
    organizations = [organization(f"o{n}") for n in range(40)]
    rig = Rig(config(*organizations, max_concurrency=6))
    rig.reader.delays = {USAGE: 1.0, BILLING: 1.0, INVOICES: 1.0}

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(20.5)
            assert len(rig.reader.calls) >= 120  # 40 x 3 at 6 in flight take 20 s

    run(scenario())
    assert rig.reader.most_in_flight == 6


def invoices(count: int) -> pb.GetInvoicesSummaryResponse:
    """Return so many invoices, all unpaid and due."""
    answer = pb.GetInvoicesSummaryResponse()
    for n in range(count):
        answer.invoices.add(id=f"{n:0100}", invoice_amount=1.0).due_date.seconds = 1 + n
    return answer


def test_who_gave_a_long_answer_is_asked_a_few_at_a_time() -> None:
    """From the second time on; who gives a short one again waits for nobody any more."""
    organizations = [organization(f"o{n}", interval=60.0) for n in range(12)]
    rig = Rig(config(*organizations, max_concurrency=12, collectors=("invoices",)))
    rig.reader.delays = {INVOICES: 1.0}
    rig.reader.answers[INVOICES] = invoices(3000)
    most = []

    async def scenario() -> None:
        async with rig.running():
            for _ in range(4):
                await asyncio.sleep(30)
                most.append(rig.reader.most_in_flight)
                rig.reader.most_in_flight = 0
                await asyncio.sleep(30)

    run(scenario())
    assert most[0] == 12
    assert 0 < max(most[1:]) <= AT_ONCE


def test_a_reload_while_a_long_answer_is_read_is_not_lost() -> None:
    """What is shown follows the configuration, whichever of the two ends first."""
    one = config(organization("o1", interval=10.0))
    rig = Rig(one)
    rig.reader.answers[INVOICES] = invoices(3000)
    shown = "viam_billing_invoice_amount_usd"

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(5)
            assert len(rig.values(shown, "invoice_id")) == 24
            for limit in range(1, 8):
                rig.reader.answers[INVOICES] = invoices(3000 + limit)
                await asyncio.sleep(10)
                other = replace(one, invoices=InvoicesConfig(max_per_organization=limit))
                await rig.poller.configure(other, rig.reader)
                await asyncio.sleep(3)
                assert len(rig.values(shown, "invoice_id")) == limit

    run(scenario())


def test_a_slow_organization_delays_no_other_and_never_overlaps() -> None:
    """Its polls take longer than its interval; the others are polled every minute as ever."""
    slow, quick = organization("slow"), organization("quick")
    rig = Rig(config(slow, quick))
    rig.reader.delays["slow"] = 150.0

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(3600)

    run(scenario())
    assert rig.reader.overlaps == 0
    assert 60 <= len(rig.reader.times(USAGE, "quick")) <= 62
    assert 17 <= len(rig.reader.times(USAGE, "slow")) <= 24


def test_polls_are_spread_over_the_interval() -> None:
    """From the second round on, no moment has a crowd."""
    organizations = [organization(f"o{n}", interval=600.0) for n in range(300)]
    rig = Rig(config(*organizations))

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(1200)

    run(scenario())
    second_round = [at for at, rpc, _ in rig.reader.calls if rpc is USAGE][300:600]
    for minute in range(10):
        assert 12 <= sum(60 * minute <= at < 60 * minute + 60 for at in second_round) <= 50


def test_only_enabled_collectors_are_polled() -> None:
    """The metric `up` speaks of those, and the others leave no trace on the page."""
    rig = Rig(config(collectors=("usage",)))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)

    run(scenario())
    assert {rpc for _, rpc, _ in rig.reader.calls} == {USAGE}
    assert rig.value(UP) == 1.0
    assert rig.values("viam_billing_collector_success", "collector") == {("usage",): 1.0}
    assert "viam_billing_invoices" not in rig.page().replace("viam_billing_invoices_", "")


def test_a_reload_adds_and_removes_without_losing_the_others() -> None:
    """Who stays keeps data and turn, who leaves is withdrawn, who is new is polled at once."""
    stays, leaves, comes = (organization(name) for name in ("stays", "leaves", "comes"))
    rig = Rig(config(stays, leaves))
    rig.reader.answers[USAGE] = usage(7.0)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            before = len(rig.reader.times(USAGE, "stays"))
            await rig.poller.configure(config(stays, comes), rig.reader)
            await asyncio.sleep(2)
            assert rig.values(MONTH_TO_DATE, "org_id") == {("stays",): 7.0, ("comes",): 7.0}
            assert len(rig.reader.times(USAGE, "stays")) == before
            assert rig.publisher.ready

    run(scenario())


def test_a_reload_renames_at_once_and_counts_as_no_change() -> None:
    """A new name, budget or set of labels needs no new poll."""
    before = organization("o1", interval=600.0)
    rig = Rig(config(before))
    rig.reader.answers[USAGE] = usage(7.0)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            change = rig.values(LAST_CHANGE, "collector")[("usage",)]
            after = replace(before, name="New", budget_usd=5.0, labels={"team": "x"})
            await rig.poller.configure(config(after), rig.reader)
            await asyncio.sleep(2)
            assert rig.values(MONTH_TO_DATE, "org_name") == {("New",): 7.0}
            assert rig.value("viam_billing_budget_usd") == 5.0
            assert rig.values("viam_billing_org_info", "team") == {("x",): 1.0}
            assert rig.values(LAST_CHANGE, "collector")[("usage",)] == change

    run(scenario())


def test_a_reload_gives_up_polls_that_it_concerns_and_makes_them_anew() -> None:
    """A poll under way with an old key, or of an organization that left, says nothing any more."""
    changes, leaves = organization("changes"), organization("leaves")
    rig = Rig(config(changes, leaves))
    rig.reader.answers[USAGE] = usage(7.0)
    rig.reader.delays = {USAGE: 30.0}

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(10)
            await rig.poller.configure(config(replace(changes, budget_usd=1.0)), rig.reader)
            await asyncio.sleep(25)
            assert rig.value(MONTH_TO_DATE) is None
            await asyncio.sleep(10)
            assert rig.values(MONTH_TO_DATE, "org_id") == {("changes",): 7.0}
            assert rig.reader.times(USAGE, "changes")[:2] == [0.0, 10.0]

    run(scenario())


def test_a_reload_loses_no_poll_that_was_about_to_begin() -> None:
    """A poll can be given up before it was asked for; it is made all the same."""
    rig = Rig(config(organization()))

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(0)  # so far that polls are taken, and none has begun
            assert rig.poller._polls
            assert not rig.reader.calls
            await rig.poller.configure(config(organization(budget_usd=1.0)), rig.reader)
            await asyncio.sleep(5)
            assert {(rpc, org_id) for _, rpc, org_id in rig.reader.calls} == {
                (USAGE, "o1"),
                (BILLING, "o1"),
                (INVOICES, "o1"),
            }

    run(scenario())


def test_a_reload_that_changes_nothing_publishes_nothing() -> None:
    """Ten thousand organizations are not rendered anew because one was added."""
    stays, comes = organization("stays"), organization("comes")
    rig = Rig(config(stays))
    rig.reader.answers[USAGE] = usage(7.0)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            changes = rig.store.subscribe()
            await rig.poller.configure(config(stays), rig.reader)
            assert changes.take() == set()
            await rig.poller.configure(config(stays, comes), rig.reader)
            assert changes.take() == {"comes"}

    run(scenario())


def test_a_reload_under_polls_changes_the_collectors() -> None:
    """What is no longer polled leaves at once, polls of it included, and comes back anew."""
    one = organization("o1", interval=600.0)
    rig = Rig(config(one))
    rig.reader.answers[USAGE] = usage(7.0)
    rig.reader.delays = {INVOICES: 5.0}

    async def scenario() -> None:
        async with rig.running():
            for _ in range(3):
                await asyncio.sleep(2)
                await rig.poller.configure(config(one, collectors=("usage",)), rig.reader)
                await asyncio.sleep(10)
                assert [*rig.values("viam_billing_collector_success", "collector")] == [("usage",)]
                await rig.poller.configure(config(one), rig.reader)
            await asyncio.sleep(8)
            assert len(rig.values("viam_billing_collector_success", "collector")) == 3
            assert rig.value(UP) == 1.0
            assert len(rig.reader.times(INVOICES, "o1")) == 4

    run(scenario())


async def turns_while(work: Coroutine[Any, Any, None]) -> int:
    """Return how often others got their turn while this went on."""
    turns = 0
    task = asyncio.create_task(work)
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    return turns


def test_others_get_their_turn_while_a_large_fleet_changes() -> None:
    """Neither a start with saved data, nor a reload of it all, holds up scrapes."""
    fleet = [organization(f"o{n}") for n in range(50)]
    rig = Rig(config(*fleet))
    rig.reader.answers[USAGE] = usage(7.0)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(5)
            renamed = [replace(each, name=f"New {each.id}") for each in fleet]
            turns = await turns_while(rig.poller.configure(config(*renamed), rig.reader))
            assert turns >= len(fleet)

    run(scenario())


def test_others_get_their_turn_while_many_invoices_come_due() -> None:
    """Bills of a whole fleet are due at one moment, and each is shown in its own turn."""
    fleet = [organization(f"o{n}") for n in range(50)]
    rig = Rig(config(*fleet))
    rig.reader.answers[INVOICES] = invoice_due_in(100)

    async def scenario() -> None:
        async with rig.running(publishing=False):
            await asyncio.sleep(99)
            changes = rig.store.subscribe()
            at_once: list[int] = []
            while sum(at_once) < len(fleet):
                await changes.wait()
                at_once.append(len(changes.take()))
            assert max(at_once) < 5

    run(scenario())


def test_a_bug_is_not_taken_for_an_outage() -> None:
    """Anything but a BillingError ends the process, with a traceback."""

    class Broken(FakeReader):
        async def read(self, *_: Any) -> bytes:
            raise ZeroDivisionError

    rig = Rig(config(), Broken())

    async def scenario() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with rig.running():
                await asyncio.sleep(2)
        assert caught.group_contains(ZeroDivisionError)

    run(scenario())


def test_max_series_withholds_invoices_first_then_whole_organizations() -> None:
    """Never half of an organization; what is withheld is counted."""
    rig = Rig(config(organization("a"), organization("b")))
    rig.reader.answers[INVOICES] = invoice_due_in(DAY)

    async def scenario() -> None:
        async with rig.running():
            await asyncio.sleep(2)
            everything = rig.value("viam_billing_exporter_series")
            assert everything is not None
            per_invoice = 4.0  # amount and due date of both
            for limit, shown, invoices in (
                (everything, {("a",), ("b",)}, True),
                (everything - 1, {("a",), ("b",)}, False),
                (everything - per_invoice, {("a",), ("b",)}, False),
                (everything - per_invoice - 1, {("a",)}, False),
                (1, set(), False),
                (everything, {("a",), ("b",)}, True),
            ):
                rig.publisher.configure(max_series=int(limit))
                await asyncio.sleep(2)
                assert set(rig.values(UP, "org_id")) == shown
                kept = rig.publisher.limit
                assert {(each,) for each in "ab" if not kept.withholds(each)} == shown
                assert kept.withholds("a", per_invoice=True) == (not invoices)
                assert bool(rig.values("viam_billing_invoice_amount_usd", "org_id")) == invoices
                series = rig.value("viam_billing_exporter_series")
                assert series == rig.page().count('org_id="')
                assert series <= limit
            counted = rig.values("viam_billing_exporter_withheld_samples_total", "reason")
            assert counted[("limit",)] == everything

    run(scenario())
