"""The simulated service over real gRPC: every answer and every refusal of it."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import grpc
import grpc.aio
import pypdf
import pytest

from exporter.pb import auth_pb2, billing_pb2
from exporter.simulator import Account, SimulatedClock, Simulator, fleet, ledger
from support.clock import NOON, StandingClock
from support.simulated import ACCOUNTS, ANSWERS, code, refusal, run, simulation

USAGE, BILLING_INFORMATION, INVOICES = ANSWERS
BILLING_RPCS = [*ANSWERS, "GetInvoicePdf"]
RPCS = ["Authenticate", *BILLING_RPCS]
MONTH_START = datetime(2025, 6, 1, tzinfo=UTC).timestamp()
DECLINED, UNVERIFIED, FRAGMENTS, FREE, DEPRECATED = (ACCOUNTS[i] for i in (1, 2, 4, 5, 6))


def read(method: str, account: Account) -> Any:
    """Return what a fresh simulator answers."""

    async def scenario() -> Any:
        async with simulation() as sim:
            return await sim.caller.read(method, account)

    return asyncio.run(scenario())


async def end(call: Any) -> None:
    """Read a call to its end, be it a stream or not."""
    if isinstance(call, grpc.aio.UnaryStreamCall):
        async for _ in call:
            pass
    else:
        await call


# --- Authentication -----------------------------------------------------------------------


def test_the_key_opens_every_call() -> None:
    """A token got for id and key is accepted by all four calls, and all are counted."""

    async def scenario() -> None:
        async with simulation() as sim:
            token = await sim.caller.authenticate(DECLINED)
            summary = await sim.caller.read(INVOICES, DECLINED, token)
            await sim.caller.read(USAGE, DECLINED, token)
            await sim.caller.read(BILLING_INFORMATION, DECLINED, token)
            async for _ in sim.caller.pdf(DECLINED, summary.invoices[0].id, token):
                pass
            assert sim.simulator.calls == dict.fromkeys(RPCS, 1)

    run(scenario())


def test_authenticate_refuses_authorization_metadata() -> None:
    """An old token beside the credentials is an invalid argument, as at the real API."""

    async def scenario() -> None:
        async with simulation() as sim:
            token = await sim.caller.authenticate(FREE)
            credentials = auth_pb2.Credentials(type="api-key", payload=FREE.api_key)
            fields = {"entity": FREE.api_key_id, "credentials": credentials}
            call = sim.caller.begin("Authenticate", fields, token)
            assert await code(call) == "INVALID_ARGUMENT"

    run(scenario())


def test_only_api_keys_are_credentials() -> None:
    """Credentials of another type are an invalid argument."""

    async def scenario() -> None:
        async with simulation() as sim:
            credentials = auth_pb2.Credentials(type="robot-secret", payload=FREE.api_key)
            fields = {"entity": FREE.api_key_id, "credentials": credentials}
            assert await code(sim.caller.begin("Authenticate", fields)) == "INVALID_ARGUMENT"

    run(scenario())


def test_wrong_id_and_wrong_key_look_the_same() -> None:
    """Neither opens, and the text does not tell which of both was wrong."""

    async def scenario() -> None:
        async with simulation() as sim:
            wrong_key = replace(FREE, api_key="wrong")
            wrong_id = replace(FREE, api_key_id="00000000-0000-4000-8000-000000000000")
            for wrong in (wrong_key, wrong_id):
                error = await refusal(sim.caller.authenticate(wrong))
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
                assert error.details() == "invalid credentials"

    run(scenario())


@pytest.mark.parametrize("method", BILLING_RPCS)
@pytest.mark.parametrize("token", [None, "", "no-such-token"])
def test_a_call_needs_a_known_token(method: str, token: str | None) -> None:
    """Without a token, and with an unknown one, every call is unauthenticated."""

    async def scenario() -> None:
        async with simulation() as sim:
            call = sim.caller.begin(method, {"org_id": FREE.id}, token)
            assert await code(end(call)) == "UNAUTHENTICATED"

    run(scenario())


@pytest.mark.parametrize("method", BILLING_RPCS)
def test_a_key_reads_its_own_organization_only(method: str) -> None:
    """Other organizations are denied, whether they exist or not, in the same words."""

    async def scenario() -> None:
        async with simulation() as sim:
            token = await sim.caller.authenticate(FREE)
            others = DECLINED.id, "no-such-organization"
            first, second = [
                await refusal(end(sim.caller.begin(method, {"org_id": other}, token)))
                for other in others
            ]
            assert first.code() is second.code() is grpc.StatusCode.PERMISSION_DENIED
            assert first.details() == second.details()

    run(scenario())


def test_one_key_may_read_several_organizations() -> None:
    """Accounts that name the same key id share its tokens."""
    sister = replace(DECLINED, api_key_id=FREE.api_key_id, api_key=FREE.api_key)

    async def scenario() -> None:
        async with simulation(accounts=(FREE, sister)) as sim:
            token = await sim.caller.authenticate(FREE)
            for account in (FREE, sister):
                await sim.caller.read(USAGE, account, token)

    run(scenario())


def test_tokens_expire_by_the_real_clock() -> None:
    """A token dies after its lifetime in real seconds, at any speed; a new one then works."""
    clock = StandingClock()

    async def scenario() -> None:
        async with simulation(clock=clock, speed=8640, token_lifetime=60.0) as sim:
            token = await sim.caller.authenticate(FREE)
            clock.now += 59.5
            await sim.caller.read(USAGE, FREE, token)
            clock.now += 0.5
            assert await code(sim.caller.read(USAGE, FREE, token)) == "UNAUTHENTICATED"
            await sim.caller.read(USAGE, FREE)

    run(scenario())


def test_a_new_token_leaves_the_older_one_alive() -> None:
    """Two clients with the same key do not throw each other out."""

    async def scenario() -> None:
        async with simulation(token_lifetime=60.0) as sim:
            first, second = [await sim.caller.authenticate(FREE) for _ in range(2)]
            assert first != second
            for token in (first, second):
                await sim.caller.read(USAGE, FREE, token)

    run(scenario())


def test_revoked_tokens_are_dead() -> None:
    """A test can take all tokens away at run time; authenticating again helps."""

    async def scenario() -> None:
        async with simulation() as sim:
            token = await sim.caller.authenticate(FREE)
            sim.simulator.revoke_tokens()
            assert await code(sim.caller.read(USAGE, FREE, token)) == "UNAUTHENTICATED"
            await sim.caller.read(USAGE, FREE)

    run(scenario())


def test_a_rotated_key_is_dead_at_once() -> None:
    """The old key and its tokens stop working, the new key works, others are not touched."""

    async def scenario() -> None:
        async with simulation() as sim:
            token, other = [await sim.caller.authenticate(a) for a in (FREE, DECLINED)]
            sim.simulator.rotate(FREE.id, "the-new-key")
            assert await code(sim.caller.read(USAGE, FREE, token)) == "UNAUTHENTICATED"
            assert await code(sim.caller.authenticate(FREE)) == "UNAUTHENTICATED"
            assert await sim.caller.authenticate(replace(FREE, api_key="the-new-key"))
            await sim.caller.read(USAGE, DECLINED, other)

    run(scenario())


# --- Answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.name)
def test_usage_is_what_the_ledger_says(account: Account) -> None:
    """Period, sources, subtotal and the older totals are the ledger's, source by source."""
    answer = read(USAGE, account)
    usage = ledger.usage(account, NOON)
    assert (answer.start_date.seconds, answer.start_date.nanos) == (MONTH_START, 0)
    assert answer.end_date.seconds == usage.period.end
    assert answer.subtotal == usage.subtotal
    own = [s for s in usage.sources if s.source_type == billing_pb2.SOURCE_TYPE_ORG]
    assert answer.total_usage_with_discount == sum(s.net for s in own)
    assert answer.total_usage_without_discount == sum(s.gross for s in own)
    if account.deprecated_shape:
        return
    for sent, source in zip(answer.resource_usage_costs_by_source, usage.sources, strict=True):
        assert (sent.source_type, sent.tier_name) == (source.source_type, source.tier)
        costs = sent.resource_usage_costs
        assert sent.HasField("resource_usage_costs") == bool(source.costs)
        assert tuple((c.resource_type, c.cost) for c in costs.usage_costs) == source.costs
        assert costs.total_without_discount == source.gross
        assert costs.total_with_discount == source.net
        assert costs.discount == source.discount


def test_the_deprecated_shape_has_totals_only() -> None:
    """Without sources, the seven older fields hold every cost, and cloud storage both its parts."""
    answer = read(USAGE, DEPRECATED)
    assert not answer.resource_usage_costs_by_source
    parts = (
        answer.cloud_storage_usage_cost,
        answer.data_upload_usage_cost,
        answer.data_egres_usage_cost,
        answer.remote_control_usage_cost,
        answer.standard_compute_usage_cost,
        answer.per_machine_usage_cost,
    )
    assert all(part > 0 for part in parts)
    assert sum(parts) == pytest.approx(answer.total_usage_without_discount)
    kept = answer.binary_data_cloud_storage_usage_cost, answer.other_cloud_storage_usage_cost
    assert sum(kept) == pytest.approx(answer.cloud_storage_usage_cost)
    net = answer.total_usage_without_discount - answer.discount_amount
    assert net == pytest.approx(answer.total_usage_with_discount)


def test_a_card_is_sent_with_its_brand() -> None:
    """A card account has the card's fields, a billing email and no bank account."""
    answer = read(BILLING_INFORMATION, DECLINED)
    assert answer.type == billing_pb2.PAYMENT_METHOD_TYPE_CARD
    sent = (answer.method.brand, answer.method.last_four_digits, answer.billing_email)
    assert set(sent[1:]) < set(DECLINED.private_values)
    assert sent[0] in {"visa", "mastercard", "amex", "discover"}
    assert not answer.HasField("method_us_bank_account")
    assert not answer.HasField("billing_tier")


def test_an_unverified_bank_account_is_pending() -> None:
    """All fields of the bank account are sent, with where and by when to verify it."""
    answer = read(BILLING_INFORMATION, UNVERIFIED)
    assert answer.type == billing_pb2.PAYMENT_METHOD_TYPE_USBANKACCOUNT
    bank = answer.method_us_bank_account
    texts = {bank.bank_name, bank.last_four_digits_account_number, bank.routing_number}
    texts |= {bank.account_type, bank.verification_info.hosted_verification_page_url}
    assert texts < set(UNVERIFIED.private_values)
    assert bank.verification_info.arrival_date == ledger.period_at(NOON).end


def test_no_payment_method_is_unspecified() -> None:
    """The free account has neither card nor bank account."""
    answer = read(BILLING_INFORMATION, FREE)
    assert answer.type == billing_pb2.PAYMENT_METHOD_TYPE_UNSPECIFIED
    assert not answer.HasField("method")


def test_the_billing_tier_is_sent_to_some() -> None:
    """One account is read with an administrator's key, which gets the tier too."""
    answer = read(BILLING_INFORMATION, ACCOUNTS[7])
    assert answer.billing_tier == "team"


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.name)
def test_invoices_are_what_the_ledger_says(account: Account) -> None:
    """All invoices and the balance are the ledger's; unpaid ones have no date of payment."""
    answer = read(INVOICES, account)
    expected = ledger.invoices(account, NOON)
    assert answer.outstanding_balance == ledger.outstanding_balance(expected, NOON)
    for sent, invoice in zip(answer.invoices, expected, strict=True):
        assert (sent.id, sent.invoice_amount) == (invoice.id, invoice.amount)
        assert sent.status == invoice.status(NOON)
        assert (sent.invoice_date.seconds, sent.due_date.seconds) == (invoice.issued, invoice.due)
        assert sent.HasField("paid_date") == (sent.status == "paid")
        assert sent.paid_date.seconds == (invoice.paid if sent.status == "paid" else 0)


def test_a_declined_card_is_told() -> None:
    """The overdue invoice has the reason and the time of its last failed payment."""
    answer = read(INVOICES, DECLINED)
    newest = answer.invoices[0]
    assert (newest.status, newest.last_payment_failure_reason) == ("outstanding", "card_declined")
    assert newest.due_date.seconds < NOON
    assert newest.invoice_date.seconds < newest.last_payment_failure_at.seconds < NOON


def test_the_next_month_brings_new_invoices() -> None:
    """What is remembered of a month's invoices is dropped when the month ends."""
    clock = StandingClock(ledger.period_at(NOON).end - 1)

    async def scenario() -> None:
        async with simulation(clock=clock) as sim:
            before = await sim.caller.read(INVOICES, FRAGMENTS)
            clock.now += 1
            after = await sim.caller.read(INVOICES, FRAGMENTS)
            usage = await sim.caller.read(USAGE, FRAGMENTS)
            assert after.invoices[0].invoice_date.seconds == clock.now
            assert after.invoices[1] == before.invoices[0]
            assert (usage.start_date.seconds, usage.subtotal) == (clock.now, 0)

    run(scenario())


def test_every_time_is_sent_as_wall_time() -> None:
    """At a greater speed all times keep their distance to now, divided by the speed."""

    async def scenario() -> None:
        async with simulation(speed=8640) as sim:
            usage = await sim.caller.read(USAGE, FRAGMENTS)
            assert usage.start_date.ToMicroseconds() / 1e6 == wall(MONTH_START)
            assert usage.end_date.ToMicroseconds() / 1e6 == wall(ledger.period_at(NOON).end)
            summary = await sim.caller.read(INVOICES, DECLINED)
            for sent, invoice in zip(
                summary.invoices, ledger.invoices(DECLINED, NOON), strict=True
            ):
                assert sent.invoice_date.ToMicroseconds() / 1e6 == wall(invoice.issued)
                assert sent.due_date.ToMicroseconds() / 1e6 == wall(invoice.due)
                failed = invoice.last_failure(NOON)
                assert failed
                assert sent.last_payment_failure_at.ToMicroseconds() / 1e6 == wall(failed)
                if sent.status == "paid":
                    assert sent.paid_date.ToMicroseconds() / 1e6 == wall(invoice.paid)
            bank = (await sim.caller.read(BILLING_INFORMATION, UNVERIFIED)).method_us_bank_account
            arrival = bank.verification_info.arrival_date
            assert arrival == int(wall(ledger.period_at(NOON).end).expected)

    def wall(moment: float) -> Any:
        return pytest.approx(NOON + (moment - NOON) / 8640, abs=2e-6, rel=0)

    run(scenario())


# --- PDF ----------------------------------------------------------------------------------


def test_a_pdf_comes_in_chunks() -> None:
    """The chunks, one of them empty, make the file of the invoice that was asked for."""
    invoice = ledger.invoices(FRAGMENTS, NOON)[1]

    async def scenario() -> None:
        async with simulation() as sim:
            chunks = [chunk async for chunk in sim.caller.pdf(FRAGMENTS, invoice.id)]
        assert b"" in chunks
        assert len(chunks) > 3
        file = pypdf.PdfReader(io.BytesIO(b"".join(chunks)), strict=True)
        assert f"Invoice {invoice.id}" in file.pages[0].extract_text()

    run(scenario())


@pytest.mark.parametrize("invoice_id", ["", "no-such-invoice"])
def test_an_unknown_invoice_is_not_found(invoice_id: str) -> None:
    """An id that the organization does not have is not found."""

    async def scenario() -> None:
        async with simulation() as sim:
            assert await code(anext(sim.caller.pdf(FREE, invoice_id))) == "NOT_FOUND"

    run(scenario())


def test_an_invoice_of_the_future_is_not_found() -> None:
    """A fee that will be invoiced tomorrow has no file today."""
    fee = ledger.invoices(FRAGMENTS, NOON)[0]

    async def scenario() -> None:
        async with simulation(clock=StandingClock(fee.issued - 1)) as sim:
            assert await code(anext(sim.caller.pdf(FRAGMENTS, fee.id))) == "NOT_FOUND"

    run(scenario())


# --- Faults -------------------------------------------------------------------------------


def test_an_answer_can_be_replaced() -> None:
    """A test decides what one organization's call gets; others keep their own answers."""
    made_up = billing_pb2.GetCurrentMonthUsageResponse(subtotal=1.25)

    async def scenario() -> None:
        async with simulation() as sim:
            sim.simulator.answers[USAGE, FREE.id] = made_up
            sim.simulator.answers[INVOICES, FREE.id] = grpc.StatusCode.RESOURCE_EXHAUSTED
            assert await sim.caller.read(USAGE, FREE) == made_up
            assert await code(sim.caller.read(INVOICES, FREE)) == "RESOURCE_EXHAUSTED"
            assert (await sim.caller.read(USAGE, DECLINED)) != made_up
            sim.simulator.answers.clear()
            assert (await sim.caller.read(INVOICES, FREE)).invoices

    run(scenario())


def test_a_replaced_pdf_is_one_chunk() -> None:
    """A message in place of a file's stream is all of it, also for an unknown invoice."""
    chunk = billing_pb2.GetInvoicePdfResponse(chunk=b"not a PDF")

    async def scenario() -> None:
        async with simulation() as sim:
            sim.simulator.answers["GetInvoicePdf", FREE.id] = chunk
            assert [sent async for sent in sim.caller.pdf(FREE, "any")] == [chunk.chunk]

    run(scenario())


def test_a_pdf_can_break_off() -> None:
    """A status in place of a file comes after the first chunk: half of a file was sent."""
    invoice = ledger.invoices(FREE, NOON)[0]

    async def scenario() -> None:
        async with simulation() as sim:
            sim.simulator.answers["GetInvoicePdf", FREE.id] = grpc.StatusCode.INTERNAL
            chunks = sim.caller.pdf(FREE, invoice.id)
            assert (await anext(chunks)).startswith(b"%PDF-")
            assert await code(anext(chunks)) == "INTERNAL"

    run(scenario())


def test_an_outage_fails_every_call() -> None:
    """At an error rate of 1 nothing answers, Authenticate included, and calls still count."""

    async def scenario() -> None:
        async with simulation(error_rate=1.0) as sim:
            for method in RPCS:
                call = sim.caller.begin(method, {}, "any")
                assert await code(end(call)) == "UNAVAILABLE"
            assert sim.simulator.calls == dict.fromkeys(RPCS, 1)

    run(scenario())


def test_an_error_rate_is_a_share() -> None:
    """About a quarter of the calls fail at 0.25, and the same ones for the same seed."""

    async def outcomes() -> list[bool]:
        async with simulation(error_rate=0.25) as sim:
            calls = (sim.caller.call(USAGE, FREE, "no-such-token") for _ in range(200))
            return [await code(call) == "UNAVAILABLE" for call in calls]

    first, second = (asyncio.run(outcomes()) for _ in range(2))
    assert first == second
    assert 30 <= sum(first) <= 70


def test_latency_delays_an_answer() -> None:
    """An answer takes at least the latency that was asked for."""

    async def scenario() -> None:
        async with simulation(latency=0.05) as sim:
            now = asyncio.get_running_loop().time
            started = now()
            await sim.caller.authenticate(FREE)
            assert now() - started >= 0.05

    run(scenario())


# --- Listening ----------------------------------------------------------------------------


def test_a_taken_port_is_refused() -> None:
    """A second simulator on the same port is an OSError that names the address."""

    async def scenario() -> None:
        first, second = (
            Simulator(fleet(1), SimulatedClock(StandingClock()), rng=Random(1)) for _ in range(2)
        )
        port = await first.start()
        try:
            with pytest.raises(
                OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"
            ):
                await second.start(f"127.0.0.1:{port}")
            await second.stop()
        finally:
            await first.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("address", ["192.0.2.1:0", "no-such-host.invalid:0"])
def test_a_foreign_address_is_refused(address: str) -> None:
    """An address that is not this machine's, or no address at all, is an OSError naming it."""
    simulator = Simulator(fleet(1), SimulatedClock(StandingClock()), rng=Random(1))
    with pytest.raises(OSError, match=f"cannot listen on {address}: "):
        asyncio.run(simulator.start(address))


def test_messages_are_not_compressed() -> None:
    """Even a client that takes gzip gets plain messages, as some clients take nothing else."""

    async def scenario() -> None:
        async with simulation() as sim:
            credentials = auth_pb2.Credentials(type="api-key", payload=FREE.api_key)
            fields = {"entity": FREE.api_key_id, "credentials": credentials}
            call = sim.caller.begin("Authenticate", fields)
            await call
            encoding = dict(await call.initial_metadata()).get("grpc-encoding", "identity")
            assert encoding == "identity"

    run(scenario())


def test_the_same_seed_gives_the_same_tokens() -> None:
    """Tokens look random and follow from the generator that was passed in."""

    async def token() -> str:
        async with simulation() as sim:
            return await sim.caller.authenticate(FREE)

    first, second = (asyncio.run(token()) for _ in range(2))
    assert first == second
    assert len(first) == 64
