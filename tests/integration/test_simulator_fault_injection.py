"""Faults of calls, of authentication and of answers, as a client sees them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory
from google.protobuf.message import DecodeError

from exporter.pb import billing_pb2 as pb
from exporter.simulator import ledger
from exporter.simulator.scenarios import SCENARIOS, STATUSES, Kind
from support.clock import NOON, StandingClock
from support.simulated import (
    ACCOUNTS,
    ANSWERS,
    FIRST,
    SECOND,
    Simulation,
    code,
    exporter_client,
    failure,
    refusal,
    run,
    simulation,
)

USAGE, BILLING_INFORMATION, INVOICES = ANSWERS
FREE, DEPRECATED = ACCOUNTS[5:7]


# --- Calls --------------------------------------------------------------------------------


def test_every_status_can_be_injected() -> None:
    """Each of the catalogue's statuses fails every call, Authenticate too, until it is cleared."""

    async def scenario() -> None:
        async with simulation() as sim:
            token = await sim.caller.authenticate()
            for name, (status, _) in STATUSES.items():
                fault = sim.simulator.inject(name)
                for method in ANSWERS:
                    assert await code(sim.caller.call(method, token=token)) == status.name
                assert await code(sim.caller.authenticate()) == status.name
                assert fault.hits == len(ANSWERS) + 1
                fault.clear()
                assert await sim.caller.call(USAGE, token=token)

    run(scenario())
    assert {status for status, _ in STATUSES.values()} == set(grpc.StatusCode) - {
        grpc.StatusCode.OK
    }


def retry_delay(details: bytes) -> float:
    """Return the seconds of the RetryInfo in a google.rpc.Status, by the protobuf library."""
    file = descriptor_pb2.FileDescriptorProto(
        name="status.proto",
        package="google.rpc",
        syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name, duration_pb2.DESCRIPTOR.name],
    )
    field = descriptor_pb2.FieldDescriptorProto
    for name, *fields in (
        ("Status", ("code", 1, field.TYPE_INT32, ""), ("details", 3, 0, "google.protobuf.Any")),
        ("RetryInfo", ("retry_delay", 1, 0, "google.protobuf.Duration")),
    ):
        message = file.message_type.add(name=name)
        for field_name, number, kind, type_name in fields:
            added = message.field.add(
                name=field_name,
                number=number,
                label=field.LABEL_REPEATED if number == 3 else field.LABEL_OPTIONAL,
                type=kind or field.TYPE_MESSAGE,
            )
            if type_name:
                added.type_name = f".{type_name}"
    pool = descriptor_pool.DescriptorPool()
    for known in (any_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    status_type: Any = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("google.rpc.Status")
    )
    retry_type: Any = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("google.rpc.RetryInfo")
    )
    status = status_type.FromString(details)
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    (detail,) = status.details
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    delay = retry_type.FromString(detail.value).retry_delay
    return float(delay.seconds + delay.nanos / 1e9)


@pytest.mark.parametrize(
    ("settings", "info", "after"),
    [
        ("", None, None),
        (":retry-info=1m30s", 90.0, None),
        (":retry-info=250ms", 0.25, None),
        (":retry-after=90s", None, "90"),
        (":retry-info=10s,retry-after=1500ms", 10.0, "2"),
    ],
)
def test_a_status_may_ask_for_a_delay(settings: str, info: float | None, after: str | None) -> None:
    """By RetryInfo in the status' details, by `retry-after` in whole seconds, by both or none."""

    async def scenario() -> None:
        async with simulation(faults=[f"resource-exhausted{settings}"]) as sim:
            error = await refusal(sim.caller.authenticate())
            trailers = dict(error.trailing_metadata() or ())
            details = trailers.get("grpc-status-details-bin")
            assert (None if details is None else retry_delay(bytes(details))) == info
            assert trailers.get("retry-after") == after

    run(scenario())


def test_a_hanging_call_ends_with_the_deadline() -> None:
    """Nothing is answered, and the server lets go of the call when the client does."""

    async def scenario() -> None:
        async with simulation(faults=[f"hang:method={USAGE}"]) as sim:
            token = await sim.caller.authenticate()
            call = sim.caller.call(USAGE, token=token, timeout=0.2)
            assert await code(call) == "DEADLINE_EXCEEDED"
            assert await sim.caller.call(INVOICES, token=token)

    run(scenario())


def test_a_slow_answer_is_a_good_one() -> None:
    """It comes after the delay at the earliest."""

    async def scenario() -> None:
        async with simulation(faults=["slow:method=Authenticate,delay=80ms"]) as sim:
            now = asyncio.get_running_loop().time
            started = now()
            assert await sim.caller.authenticate()
            assert now() - started >= 0.08

    run(scenario())


@pytest.mark.parametrize("organization", ["2", SECOND.id])
def test_a_fault_may_be_one_organizations(organization: str) -> None:
    """By id or by number from 1; Authenticate belongs to the organizations that the key reads."""

    async def scenario() -> None:
        async with simulation() as sim:
            token = await sim.caller.authenticate(SECOND)
            sim.simulator.inject(f"unavailable:organization={organization}")
            assert await sim.caller.call(USAGE, FIRST)
            assert await code(sim.caller.call(USAGE, SECOND, token)) == "UNAVAILABLE"
            assert await code(sim.caller.authenticate(SECOND)) == "UNAVAILABLE"

    run(scenario())


def test_a_fault_has_its_time() -> None:
    """From and until are seconds since the injection, in real time however fast months pass."""

    async def scenario() -> None:
        clock = StandingClock()
        async with simulation(clock=clock) as sim:
            sim.simulator.inject("nan:from=30s,until=1m")
            for moment, broken in (
                (0.0, False),
                (29.9, False),
                (30, True),
                (59, True),
                (60, False),
            ):
                clock.now = NOON + moment
                answer = await sim.caller.read(USAGE)
                assert math.isnan(answer.subtotal) is broken

    run(scenario())


def test_chance_repeats_with_the_seed() -> None:
    """A share hits about as many calls as it says, and the same ones in every run."""

    async def outcomes() -> list[bool]:
        async with simulation(faults=["unavailable:share=0.2,method=Authenticate"]) as sim:
            return [await succeeds(sim) for _ in range(200)]

    first, second = (asyncio.run(outcomes()) for _ in range(2))
    assert first == second
    assert 20 <= first.count(False) <= 60


async def succeeds(sim: Simulation) -> bool:
    """Tell whether a token is granted."""
    try:
        return bool(await sim.caller.authenticate())
    except grpc.aio.AioRpcError:
        return False


def test_latency_and_error_rate_are_faults() -> None:
    """What the constructor takes can be taken back like any other fault."""

    async def scenario() -> None:
        async with simulation(latency=0.001, error_rate=1.0) as sim:
            assert [injected.fault.name for injected in sim.simulator.faults] == [
                "slow",
                "unavailable",
            ]
            assert await code(sim.caller.authenticate()) == "UNAVAILABLE"
            sim.simulator.faults.clear()
            assert await sim.caller.authenticate()

    run(scenario())


def test_a_pdf_breaks_off() -> None:
    """After the first chunk: half of a file has come when the call fails."""
    invoice = ledger.invoices(FIRST, NOON)[0].id

    async def scenario() -> None:
        async with simulation(faults=["broken-stream"]) as sim:
            chunks = sim.caller.pdf(FIRST, invoice)
            assert (await anext(chunks)).startswith(b"%PDF-")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await anext(chunks)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    run(scenario())


def test_a_pdf_ends_too_early() -> None:
    """Half of the file comes, and the call succeeds all the same."""
    invoice = ledger.invoices(FIRST, NOON)[0].id

    async def scenario() -> None:
        async with simulation() as sim:
            whole = b"".join([chunk async for chunk in sim.caller.pdf(FIRST, invoice)])
            sim.simulator.inject("short-stream")
            short = b"".join([chunk async for chunk in sim.caller.pdf(FIRST, invoice)])
            assert short == whole[: len(whole) // 2]

    run(scenario())


# --- Authentication -----------------------------------------------------------------------


def test_a_key_that_is_refused_leaves_its_tokens_alive() -> None:
    """Authenticate fails as with a wrong key, other calls with an older token do not."""

    async def scenario() -> None:
        async with simulation() as sim:
            token = await sim.caller.authenticate()
            sim.simulator.inject("wrong-key")
            assert await code(sim.caller.authenticate()) == "UNAUTHENTICATED"
            assert await sim.caller.call(USAGE, token=token)

    run(scenario())


def test_tokens_may_live_shortly() -> None:
    """By the real clock; the tokens granted before and after the fault live on."""

    async def scenario() -> None:
        clock = StandingClock()
        async with simulation(clock=clock) as sim:
            before = await sim.caller.authenticate()
            with_fault = sim.simulator.inject("short-lived-tokens:lifetime=5s")
            short = await sim.caller.authenticate()
            with_fault.clear()
            assert await sim.caller.call(USAGE, token=short)
            clock.now += 5
            assert await code(sim.caller.call(USAGE, token=short)) == "UNAUTHENTICATED"
            assert await sim.caller.call(USAGE, token=before)

    run(scenario())


def test_an_expired_token_is_replaced_by_authenticating() -> None:
    """A token is good for one call; the next kills it, and a new one helps."""

    async def scenario() -> None:
        async with simulation(faults=["expired-token"]) as sim:
            for _ in range(2):
                token = await sim.caller.authenticate()
                assert await sim.caller.call(USAGE, token=token)
                assert await code(sim.caller.call(USAGE, token=token)) == "UNAUTHENTICATED"
            sim.simulator.faults.clear()
            assert await code(sim.caller.call(USAGE, token=token)) == "UNAUTHENTICATED"

    run(scenario())


def test_revoked_tokens_are_dead_for_good() -> None:
    """One hit kills the tokens of everybody."""

    async def scenario() -> None:
        async with simulation(faults=["revoked-tokens:times=1"]) as sim:
            mine, other = [await sim.caller.authenticate(a) for a in (FIRST, SECOND)]
            assert await code(sim.caller.call(USAGE, token=mine)) == "UNAUTHENTICATED"
            assert await code(sim.caller.call(USAGE, SECOND, other)) == "UNAUTHENTICATED"
            assert await sim.caller.call(USAGE, SECOND)

    run(scenario())


def test_a_token_may_be_refused_for_ever() -> None:
    """Authenticating succeeds, and helps nothing, until the fault is cleared."""

    async def scenario() -> None:
        async with simulation() as sim:
            fault = sim.simulator.inject("refused-token")
            token = await sim.caller.authenticate()
            assert await code(sim.caller.call(USAGE, token=token)) == "UNAUTHENTICATED"
            assert await code(sim.caller.call(USAGE)) == "UNAUTHENTICATED"
            fault.clear()
            assert await sim.caller.call(USAGE, token=token)

    run(scenario())


# --- Answers ------------------------------------------------------------------------------


def net(answer: Any) -> float:
    """Return what the sources of a usage answer cost together."""
    return math.fsum(
        s.resource_usage_costs.total_with_discount for s in answer.resource_usage_costs_by_source
    )


def amounts(answer: Any) -> list[float]:
    """Return the amounts that the exporter reads."""
    if isinstance(answer, pb.GetInvoicesSummaryResponse):
        return [i.invoice_amount for i in answer.invoices]
    costs = [s.resource_usage_costs for s in answer.resource_usage_costs_by_source]
    parts = [c.cost for cost in costs for c in cost.usage_costs]
    return [*parts, *(c.total_with_discount for c in costs), answer.subtotal]


def dates(answer: Any) -> list[Any]:
    """Return the dates of an answer, None for what is not set."""
    if isinstance(answer, pb.GetCurrentMonthUsageResponse):
        owners, names = [answer], ["start_date", "end_date"]
    else:
        owners, names = list(answer.invoices), ["invoice_date", "due_date", "paid_date"]
    return [
        getattr(owner, name).seconds if owner.HasField(name) else None
        for owner in owners
        for name in names
    ]


def first_source(answer: Any) -> Any:
    """Return the costs of the first source."""
    return answer.resource_usage_costs_by_source[0].resource_usage_costs


def is_last_month(good: Any, bad: Any) -> bool:
    """Tell whether the other answer is the final one of the month before."""
    period = ledger.period_at(good.start_date.seconds - 1)
    return bool(
        (bad.start_date.seconds, bad.end_date.seconds) == (period.start, period.end)
        and bad.subtotal == ledger.final_usage(FIRST, period).subtotal
    )


def has_lost_a_cost(good: Any, bad: Any) -> bool:
    """Tell whether the first source lacks its first type of cost, and its totals that amount."""
    before, after = first_source(good), first_source(bad)
    lost = before.usage_costs[0].cost
    return (
        list(before.usage_costs)[1:] == list(after.usage_costs)
        and math.isclose(before.total_without_discount - lost, after.total_without_discount)
        and after.total_with_discount < before.total_with_discount
        and bad.subtotal < good.subtotal
    )


# What distinguishes the answer with the fault from the good one: (fault, call, check).
ANSWER_FAULTS: list[tuple[str, str, Callable[[Any, Any], object]]] = [
    ("nan", USAGE, lambda _, bad: all(map(math.isnan, amounts(bad)))),
    ("nan", INVOICES, lambda _, bad: all(map(math.isnan, amounts(bad)))),
    ("nan:amounts=1", USAGE, lambda _, bad: list(map(math.isnan, amounts(bad))).count(True) == 1),
    ("infinity", USAGE, lambda _, bad: all(a == math.inf for a in amounts(bad))),
    ("infinity", INVOICES, lambda _, bad: set(amounts(bad)) == {math.inf}),
    ("negative", USAGE, lambda good, bad: amounts(bad) == [-a for a in amounts(good)]),
    ("negative", INVOICES, lambda good, bad: amounts(bad) == [-a for a in amounts(good)]),
    ("absurd", USAGE, lambda _, bad: set(amounts(bad)) == {1e300}),
    ("absurd", INVOICES, lambda _, bad: set(amounts(bad)) == {1e300}),
    (
        "crowded:parts=30",
        USAGE,
        lambda good, bad: (
            len(bad.resource_usage_costs_by_source) == 30 + len(good.resource_usage_costs_by_source)
        ),
    ),
    (
        "crowded:parts=30",
        INVOICES,
        lambda good, bad: len(bad.invoices) == 30 + len(good.invoices),
    ),
    ("empty", USAGE, lambda _, bad: bad.ByteSize() == 0),
    ("empty", BILLING_INFORMATION, lambda _, bad: bad.ByteSize() == 0),
    ("empty", INVOICES, lambda _, bad: bad.ByteSize() == 0),
    (
        "unknown-enums",
        USAGE,
        lambda good, bad: (
            [
                c.resource_type
                for s in bad.resource_usage_costs_by_source[-1:]
                for c in s.resource_usage_costs.usage_costs
            ]
            == [97, 98]
            and bad.resource_usage_costs_by_source[-1].source_type == 9
            and net(bad) == pytest.approx(net(good) + 2)
        ),
    ),
    ("unknown-enums", BILLING_INFORMATION, lambda _, bad: bad.type == 9),
    (
        "odd-texts",
        USAGE,
        lambda _, bad: all(
            "\n" in s.tier_name and len(s.tier_name) > 256
            for s in bad.resource_usage_costs_by_source
        ),
    ),
    ("odd-texts", BILLING_INFORMATION, lambda _, bad: '"' in bad.method.brand + bad.billing_tier),
    ("odd-texts", INVOICES, lambda _, bad: all("\\" in i.status for i in bad.invoices)),
    ("missing-dates", USAGE, lambda _, bad: dates(bad) == [None, None]),
    ("missing-dates", INVOICES, lambda _, bad: set(dates(bad)) == {None}),
    ("zero-dates", USAGE, lambda _, bad: dates(bad) == [-62_135_596_800] * 2),
    ("zero-dates", INVOICES, lambda _, bad: set(dates(bad)) == {-62_135_596_800}),
    ("period-in-past", USAGE, is_last_month),
    (
        "deprecated-only",
        USAGE,
        lambda good, bad: (
            not bad.resource_usage_costs_by_source
            and bad.total_usage_with_discount == good.total_usage_with_discount > 0
        ),
    ),
    (
        "duplicate-sources",
        USAGE,
        lambda good, bad: (
            len(bad.resource_usage_costs_by_source) == 2 * len(good.resource_usage_costs_by_source)
            and net(bad) == net(good)
        ),
    ),
    ("vanishing-cost", USAGE, has_lost_a_cost),
    (
        "tier-change",
        USAGE,
        lambda good, bad: (
            {s.tier_name for s in good.resource_usage_costs_by_source}.isdisjoint(
                s.tier_name for s in bad.resource_usage_costs_by_source
            )
            and net(good) == net(bad)
        ),
    ),
    ("credit:usd=40", USAGE, lambda good, bad: net(bad) == pytest.approx(net(good) - 40)),
    (
        "duplicate-invoices",
        INVOICES,
        lambda good, bad: list(bad.invoices) == [*good.invoices, *good.invoices],
    ),
    (
        "shuffled-invoices",
        INVOICES,
        lambda good, bad: (
            list(bad.invoices) != list(good.invoices)
            and sorted(i.id for i in bad.invoices) == sorted(i.id for i in good.invoices)
        ),
    ),
]
# Those have tests of their own, below.
BYTES_AND_TIME = {"garbage", "truncated", "huge", "frozen", "period-not-advancing"}


@pytest.mark.parametrize(
    ("fault", "method", "check"),
    ANSWER_FAULTS,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_is_wrong_in_the_way_that_was_asked_for(
    fault: str, method: str, check: Callable[[Any, Any], object]
) -> None:
    """The message parses, and differs from the good one as the catalogue says; later it is good."""

    async def scenario() -> None:
        async with simulation() as sim:
            good = await sim.caller.read(method)
            injected = sim.simulator.inject(fault)
            assert check(good, await sim.caller.read(method))
            assert injected.hits == 1
            injected.clear()
            assert await sim.caller.read(method) == good

    run(scenario())


def test_every_fault_of_an_answer_is_tried() -> None:
    """By the table above, or by one of the tests that are left out there, for all of its calls."""
    tried = {(fault.partition(":")[0], method) for fault, method, _ in ANSWER_FAULTS}
    for name, scenario in SCENARIOS.items():
        if scenario.kind is Kind.DATA and name not in BYTES_AND_TIME:
            for method in set(scenario.methods) & set(ANSWERS):
                assert (name, method) in tried


@pytest.mark.parametrize("fault", ["garbage", "truncated"])
def test_bytes_that_do_not_parse_never_do(fault: str) -> None:
    """Not for any account nor any call: an answer that is cut is not read as a smaller bill."""

    async def scenario() -> None:
        async with simulation(faults=[fault]) as sim:
            for account in ACCOUNTS:
                for method, message in ANSWERS.items():
                    raw = await sim.caller.call(method, account)
                    with pytest.raises(DecodeError):
                        message.FromString(raw)

    run(scenario())


def test_a_huge_answer_is_a_good_one() -> None:
    """But for its size: whoever takes it can read it."""

    async def scenario() -> None:
        async with simulation() as sim:
            good = await sim.caller.read(INVOICES)
            sim.simulator.inject(f"huge:method={INVOICES},size=5")
            raw = await sim.caller.call(INVOICES)
            assert len(raw) > 5 << 20
            assert pb.GetInvoicesSummaryResponse.FromString(raw).invoices == good.invoices

    run(scenario())


def test_a_frozen_answer_stays() -> None:
    """Each organization's calls keep their first answer while money and time go on."""

    async def scenario() -> None:
        clock = StandingClock()
        async with simulation(clock=clock, faults=["frozen"]) as sim:
            before = [await sim.caller.call(m, a) for m in ANSWERS for a in (FIRST, SECOND)]
            clock.now += 40 * ledger.DAY
            after = [await sim.caller.call(m, a) for m in ANSWERS for a in (FIRST, SECOND)]
            assert before == after
            sim.simulator.faults.clear()
            assert await sim.caller.call(USAGE) != before[0]

    run(scenario())


def test_a_period_may_not_advance() -> None:
    """It grows until its end, and is then answered with its final amounts."""

    async def scenario() -> None:
        clock = StandingClock()
        period = ledger.period_at(NOON)
        async with simulation(clock=clock, faults=["period-not-advancing"]) as sim:
            first = await sim.caller.read(USAGE)
            clock.now = period.end - 60
            last = await sim.caller.read(USAGE)
            clock.now = period.end + 5 * ledger.DAY
            after = await sim.caller.read(USAGE)
            assert first.subtotal < last.subtotal < after.subtotal
            assert after.subtotal == ledger.final_usage(FIRST, period).subtotal
            assert after.end_date.seconds == period.end < clock.now

    run(scenario())


def test_odd_accounts_survive_every_fault_of_an_answer() -> None:
    """Accounts without sources, without costs or without a card are answered, too."""

    async def scenario() -> None:
        async with simulation() as sim:
            for name, found in SCENARIOS.items():
                if found.kind is Kind.DATA and name != "huge":
                    injected = sim.simulator.inject(name)
                    for account in (FREE, DEPRECATED):
                        for method in set(found.methods) & set(ANSWERS):
                            await sim.caller.call(method, account)
                    injected.clear()

    run(scenario())


def test_answers_can_be_replaced_by_bytes() -> None:
    """A test may send what is no message at all."""

    async def scenario() -> None:
        async with simulation() as sim:
            sim.simulator.answers[USAGE, FIRST.id] = b"\xff\xff"
            assert await sim.caller.call(USAGE) == b"\xff\xff"

    run(scenario())


def test_the_journal_has_what_was_sent() -> None:
    """Every answer with its faults, under the wall time, and no token."""
    journal: list[tuple[str, str, bytes, float]] = []

    async def scenario() -> None:
        async with simulation(on_answer=lambda *entry: journal.append(entry)) as sim:
            good = await sim.caller.call(USAGE)
            sim.simulator.inject(f"garbage:method={INVOICES}")
            bad = await sim.caller.call(INVOICES, SECOND)
            assert journal == [
                (USAGE, FIRST.id, good, NOON),
                (INVOICES, SECOND.id, bad, NOON),
            ]

    run(scenario())


# --- The exporter's client ----------------------------------------------------------------

CAUSES = [
    ("unavailable", "outage", "UNAVAILABLE"),
    (f"hang:method={USAGE}", "outage", "DEADLINE_EXCEEDED"),
    ("hang:method=Authenticate", "outage", "DEADLINE_EXCEEDED"),
    ("deadline-exceeded", "outage", "DEADLINE_EXCEEDED"),
    ("aborted", "outage", "ABORTED"),
    ("internal", "outage", "INTERNAL"),
    ("resource-exhausted", "throttled", "RESOURCE_EXHAUSTED"),
    ("resource-exhausted:retry-info=1h", "throttled", "RESOURCE_EXHAUSTED"),
    ("resource-exhausted:retry-after=1h", "throttled", "RESOURCE_EXHAUSTED"),
    ("unauthenticated", "credentials", "UNAUTHENTICATED"),
    ("wrong-key", "credentials", "UNAUTHENTICATED"),
    ("refused-token", "credentials", "UNAUTHENTICATED"),
    ("revoked-tokens", "credentials", "UNAUTHENTICATED"),
    ("permission-denied:method=Authenticate", "credentials", "PERMISSION_DENIED"),
    (f"permission-denied:method={USAGE}", "permission", "PERMISSION_DENIED"),
    ("invalid-argument", "other", "INVALID_ARGUMENT"),
    ("not-found", "other", "NOT_FOUND"),
    ("unimplemented", "other", "UNIMPLEMENTED"),
    ("unknown", "outage", "UNKNOWN"),
    ("data-loss", "other", "DATA_LOSS"),
    ("cancelled", "other", "CANCELLED"),
    ("garbage:method=Authenticate", "invalid_answer", "INVALID_ANSWER"),
    (f"huge:method={USAGE}", "invalid_answer", "INVALID_ANSWER"),
]


@pytest.mark.parametrize(("fault", "cause", "status"), CAUSES, ids=[row[0] for row in CAUSES])
def test_the_exporter_names_the_cause(fault: str, cause: str, status: str) -> None:
    """What users see of each fault: the cause, and the status behind it."""

    async def scenario() -> None:
        async with (
            simulation(faults=[fault]) as sim,
            exporter_client(sim.port, timeout=0.5) as client,
        ):
            error = await failure(client)
            assert (str(error.cause), error.code) == (cause, status)

    run(scenario())


def test_accounts_with_one_key_share_a_fault_of_authenticate() -> None:
    """A fault of one organization hits the key's Authenticate, whichever comes first."""
    sister = replace(SECOND, api_key_id=FIRST.api_key_id, api_key=FIRST.api_key)

    async def scenario() -> None:
        async with simulation(accounts=(FIRST, sister)) as sim:
            sim.simulator.inject("unavailable:organization=2")
            assert await code(sim.caller.authenticate(FIRST)) == "UNAVAILABLE"

    run(scenario())
