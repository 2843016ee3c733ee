"""The simulated service over real gRPC: every answer and every refusal of it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

import grpc
import grpc.aio
import pypdf
import pytest

from exporter.pb import auth_pb2, billing_pb2
from exporter.simulator import Account, SimulatedClock, Simulator, demo_fleet, fleet, ledger

T = TypeVar("T")
BILLING = "viam.app.v1.BillingService"
NOON = datetime(2025, 6, 20, 12, tzinfo=UTC).timestamp()
MONTH_START = datetime(2025, 6, 1, tzinfo=UTC).timestamp()
ACCOUNTS = demo_fleet(1)
DECLINED, UNVERIFIED, FRAGMENTS, FREE, DEPRECATED = (ACCOUNTS[i] for i in (1, 2, 4, 5, 6))
RPCS: dict[str, tuple[Any, Any]] = {
    "Authenticate": (auth_pb2.AuthenticateRequest, auth_pb2.AuthenticateResponse),
    "GetCurrentMonthUsage": (
        billing_pb2.GetCurrentMonthUsageRequest,
        billing_pb2.GetCurrentMonthUsageResponse,
    ),
    "GetOrgBillingInformation": (
        billing_pb2.GetOrgBillingInformationRequest,
        billing_pb2.GetOrgBillingInformationResponse,
    ),
    "GetInvoicesSummary": (
        billing_pb2.GetInvoicesSummaryRequest,
        billing_pb2.GetInvoicesSummaryResponse,
    ),
    "GetInvoicePdf": (billing_pb2.GetInvoicePdfRequest, billing_pb2.GetInvoicePdfResponse),
}
BILLING_RPCS = [method for method in RPCS if method != "Authenticate"]


class FakeClock:
    """A wall clock that stands where it is put."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def time(self) -> float:
        """Return the moment that was set."""
        return self.now

    def monotonic(self) -> float:
        """Return the same, as nothing here jumps."""
        return self.now


class Client:
    """A plain client: calls by method name, metadata as the test wants it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    async def call(self, method: str, token: str | None = None, **fields: Any) -> Any:
        """Return the answer to one call; for a stream, all of its messages."""
        request_type, response_type = RPCS[method]
        service = "proto.rpc.v1.AuthService" if method == "Authenticate" else BILLING
        stream = method == "GetInvoicePdf"
        connect: Any = self.channel.unary_stream if stream else self.channel.unary_unary
        stub = connect(
            f"/{service}/{method}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        metadata = None if token is None else (("authorization", f"Bearer {token}"),)
        call = stub(request_type(**fields), metadata=metadata, timeout=10)
        return [message async for message in call] if stream else await call

    async def authenticate(self, account: Account, key: str | None = None) -> str:
        """Return a token for the account's key, or for another key under its id."""
        credentials = auth_pb2.Credentials(type="api-key", payload=key or account.api_key)
        answer = await self.call("Authenticate", entity=account.api_key_id, credentials=credentials)
        return str(answer.access_token)

    async def read(self, method: str, account: Account, **fields: Any) -> Any:
        """Authenticate, then call."""
        token = await self.authenticate(account)
        return await self.call(method, token, org_id=account.id, **fields)


def simulate(
    scenario: Callable[[Client, Simulator], Awaitable[T]],
    *,
    accounts: Iterable[Account] = ACCOUNTS,
    clock: FakeClock | None = None,
    speed: float = 1.0,
    **knobs: Any,
) -> T:
    """Run a scenario against a fresh simulator on loopback."""

    async def run() -> T:
        simulated = SimulatedClock(clock or FakeClock(), speed)
        simulator = Simulator(accounts, simulated, rng=Random(1), **knobs)
        port = await simulator.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await scenario(Client(channel), simulator)
        finally:
            await simulator.stop(grace=1)

    return asyncio.run(run())


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    """Return the status and the text that a call fails with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


# --- Authentication -----------------------------------------------------------------------


def test_the_key_opens_every_call() -> None:
    """A token got for id and key is accepted by all four calls, and all are counted."""

    async def scenario(client: Client, simulator: Simulator) -> None:
        token = await client.authenticate(DECLINED)
        summary = await client.call("GetInvoicesSummary", token, org_id=DECLINED.id)
        await client.call("GetCurrentMonthUsage", token, org_id=DECLINED.id)
        await client.call("GetOrgBillingInformation", token, org_id=DECLINED.id)
        invoice = summary.invoices[0].id
        await client.call("GetInvoicePdf", token, org_id=DECLINED.id, id=invoice)
        assert simulator.calls == dict.fromkeys(RPCS, 1)

    simulate(scenario)


def test_authenticate_refuses_authorization_metadata() -> None:
    """An old token beside the credentials is an invalid argument, as at the real API."""

    async def scenario(client: Client, _: Simulator) -> None:
        token = await client.authenticate(FREE)
        credentials = auth_pb2.Credentials(type="api-key", payload=FREE.api_key)
        call = client.call("Authenticate", token, entity=FREE.api_key_id, credentials=credentials)
        code, _text = await refusal(call)
        assert code is grpc.StatusCode.INVALID_ARGUMENT

    simulate(scenario)


def test_only_api_keys_are_credentials() -> None:
    """Credentials of another type are an invalid argument."""

    async def scenario(client: Client, _: Simulator) -> None:
        credentials = auth_pb2.Credentials(type="robot-secret", payload=FREE.api_key)
        call = client.call("Authenticate", entity=FREE.api_key_id, credentials=credentials)
        code, _text = await refusal(call)
        assert code is grpc.StatusCode.INVALID_ARGUMENT

    simulate(scenario)


def test_wrong_id_and_wrong_key_look_the_same() -> None:
    """Neither opens, and the text does not tell which of both was wrong."""

    async def scenario(client: Client, _: Simulator) -> None:
        wrong_key = await refusal(client.authenticate(FREE, key="wrong"))
        stranger = replace(FREE, api_key_id="00000000-0000-4000-8000-000000000000")
        wrong_id = await refusal(client.authenticate(stranger))
        assert wrong_key == wrong_id == (grpc.StatusCode.UNAUTHENTICATED, "invalid credentials")

    simulate(scenario)


@pytest.mark.parametrize("method", BILLING_RPCS)
@pytest.mark.parametrize("token", [None, "", "no-such-token"])
def test_a_call_needs_a_known_token(method: str, token: str | None) -> None:
    """Without a token, and with an unknown one, every call is unauthenticated."""

    async def scenario(client: Client, _: Simulator) -> None:
        code, _text = await refusal(client.call(method, token, org_id=FREE.id))
        assert code is grpc.StatusCode.UNAUTHENTICATED

    simulate(scenario)


@pytest.mark.parametrize("method", BILLING_RPCS)
def test_a_key_reads_its_own_organization_only(method: str) -> None:
    """Other organizations are denied, whether they exist or not, in the same words."""

    async def scenario(client: Client, _: Simulator) -> None:
        token = await client.authenticate(FREE)
        others = DECLINED.id, "no-such-organization"
        refusals = [await refusal(client.call(method, token, org_id=other)) for other in others]
        assert refusals[0] == refusals[1]
        assert refusals[0][0] is grpc.StatusCode.PERMISSION_DENIED

    simulate(scenario)


def test_one_key_may_read_several_organizations() -> None:
    """Accounts that name the same key id share its tokens."""
    sister = replace(DECLINED, api_key_id=FREE.api_key_id, api_key=FREE.api_key)

    async def scenario(client: Client, _: Simulator) -> None:
        token = await client.authenticate(FREE)
        for account in (FREE, sister):
            await client.call("GetCurrentMonthUsage", token, org_id=account.id)

    simulate(scenario, accounts=(FREE, sister))


def test_tokens_expire_by_the_real_clock() -> None:
    """A token dies after its lifetime in real seconds, at any speed; a new one then works."""
    clock = FakeClock()

    async def scenario(client: Client, _: Simulator) -> None:
        token = await client.authenticate(FREE)
        clock.now += 59.5
        await client.call("GetCurrentMonthUsage", token, org_id=FREE.id)
        clock.now += 0.5
        code, _text = await refusal(client.call("GetCurrentMonthUsage", token, org_id=FREE.id))
        assert code is grpc.StatusCode.UNAUTHENTICATED
        await client.read("GetCurrentMonthUsage", FREE)

    simulate(scenario, clock=clock, speed=8640, token_lifetime=60.0)


def test_a_new_token_leaves_the_older_one_alive() -> None:
    """Two clients with the same key do not throw each other out."""

    async def scenario(client: Client, _: Simulator) -> None:
        first, second = [await client.authenticate(FREE) for _ in range(2)]
        assert first != second
        for token in (first, second):
            await client.call("GetCurrentMonthUsage", token, org_id=FREE.id)

    simulate(scenario, token_lifetime=60.0)


def test_revoked_tokens_are_dead() -> None:
    """A test can take all tokens away at run time; authenticating again helps."""

    async def scenario(client: Client, simulator: Simulator) -> None:
        token = await client.authenticate(FREE)
        simulator.revoke_tokens()
        code, _text = await refusal(client.call("GetCurrentMonthUsage", token, org_id=FREE.id))
        assert code is grpc.StatusCode.UNAUTHENTICATED
        await client.read("GetCurrentMonthUsage", FREE)

    simulate(scenario)


def test_a_rotated_key_is_dead_at_once() -> None:
    """The old key and its tokens stop working, the new key works, others are not touched."""

    async def scenario(client: Client, simulator: Simulator) -> None:
        token, other = await client.authenticate(FREE), await client.authenticate(DECLINED)
        simulator.rotate(FREE.id, "the-new-key")
        codes = [
            (await refusal(client.call("GetCurrentMonthUsage", token, org_id=FREE.id)))[0],
            (await refusal(client.authenticate(FREE)))[0],
        ]
        assert codes == [grpc.StatusCode.UNAUTHENTICATED] * 2
        assert await client.authenticate(FREE, key="the-new-key")
        await client.call("GetCurrentMonthUsage", other, org_id=DECLINED.id)

    simulate(scenario)


# --- Answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.name)
def test_usage_is_what_the_ledger_says(account: Account) -> None:
    """Period, sources, subtotal and the older totals are the ledger's, source by source."""
    answer = simulate(lambda client, _: client.read("GetCurrentMonthUsage", account))
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
    answer = simulate(lambda client, _: client.read("GetCurrentMonthUsage", DEPRECATED))
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
    answer = simulate(lambda client, _: client.read("GetOrgBillingInformation", DECLINED))
    assert answer.type == billing_pb2.PAYMENT_METHOD_TYPE_CARD
    sent = (answer.method.brand, answer.method.last_four_digits, answer.billing_email)
    assert set(sent[1:]) < set(DECLINED.private_values)
    assert sent[0] in {"visa", "mastercard", "amex", "discover"}
    assert not answer.HasField("method_us_bank_account")
    assert not answer.HasField("billing_tier")


def test_an_unverified_bank_account_is_pending() -> None:
    """All fields of the bank account are sent, with where and by when to verify it."""
    answer = simulate(lambda client, _: client.read("GetOrgBillingInformation", UNVERIFIED))
    assert answer.type == billing_pb2.PAYMENT_METHOD_TYPE_USBANKACCOUNT
    bank = answer.method_us_bank_account
    texts = {bank.bank_name, bank.last_four_digits_account_number, bank.routing_number}
    texts |= {bank.account_type, bank.verification_info.hosted_verification_page_url}
    assert texts < set(UNVERIFIED.private_values)
    assert bank.verification_info.arrival_date == ledger.period_at(NOON).end


def test_no_payment_method_is_unspecified() -> None:
    """The free account has neither card nor bank account."""
    answer = simulate(lambda client, _: client.read("GetOrgBillingInformation", FREE))
    assert answer.type == billing_pb2.PAYMENT_METHOD_TYPE_UNSPECIFIED
    assert not answer.HasField("method")


def test_the_billing_tier_is_sent_to_some() -> None:
    """One account is read with an administrator's key, which gets the tier too."""
    answer = simulate(lambda client, _: client.read("GetOrgBillingInformation", ACCOUNTS[7]))
    assert answer.billing_tier == "team"


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.name)
def test_invoices_are_what_the_ledger_says(account: Account) -> None:
    """All invoices and the balance are the ledger's; unpaid ones have no date of payment."""
    answer = simulate(lambda client, _: client.read("GetInvoicesSummary", account))
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
    answer = simulate(lambda client, _: client.read("GetInvoicesSummary", DECLINED))
    newest = answer.invoices[0]
    assert (newest.status, newest.last_payment_failure_reason) == ("outstanding", "card_declined")
    assert newest.due_date.seconds < NOON
    assert newest.invoice_date.seconds < newest.last_payment_failure_at.seconds < NOON


def test_the_next_month_brings_new_invoices() -> None:
    """What is remembered of a month's invoices is dropped when the month ends."""
    clock = FakeClock(ledger.period_at(NOON).end - 1)

    async def scenario(client: Client, _: Simulator) -> None:
        before = await client.read("GetInvoicesSummary", FRAGMENTS)
        clock.now += 1
        after = await client.read("GetInvoicesSummary", FRAGMENTS)
        usage = await client.read("GetCurrentMonthUsage", FRAGMENTS)
        assert after.invoices[0].invoice_date.seconds == clock.now
        assert after.invoices[1] == before.invoices[0]
        assert (usage.start_date.seconds, usage.subtotal) == (clock.now, 0)

    simulate(scenario, clock=clock)


def test_every_time_is_sent_as_wall_time() -> None:
    """At a greater speed all times keep their distance to now, divided by the speed."""

    async def scenario(client: Client, _: Simulator) -> None:
        usage = await client.read("GetCurrentMonthUsage", FRAGMENTS)
        assert usage.start_date.ToMicroseconds() / 1e6 == wall(MONTH_START)
        assert usage.end_date.ToMicroseconds() / 1e6 == wall(ledger.period_at(NOON).end)
        summary = await client.read("GetInvoicesSummary", DECLINED)
        for sent, invoice in zip(summary.invoices, ledger.invoices(DECLINED, NOON), strict=True):
            assert sent.invoice_date.ToMicroseconds() / 1e6 == wall(invoice.issued)
            assert sent.due_date.ToMicroseconds() / 1e6 == wall(invoice.due)
            failed = invoice.last_failure(NOON)
            assert failed
            assert sent.last_payment_failure_at.ToMicroseconds() / 1e6 == wall(failed)
            if sent.status == "paid":
                assert sent.paid_date.ToMicroseconds() / 1e6 == wall(invoice.paid)
        bank = (await client.read("GetOrgBillingInformation", UNVERIFIED)).method_us_bank_account
        arrival = bank.verification_info.arrival_date
        assert arrival == int(wall(ledger.period_at(NOON).end).expected)

    def wall(moment: float) -> Any:
        return pytest.approx(NOON + (moment - NOON) / 8640, abs=2e-6, rel=0)

    simulate(scenario, speed=8640)


# --- PDF ----------------------------------------------------------------------------------


def test_a_pdf_comes_in_chunks() -> None:
    """The chunks, one of them empty, make the file of the invoice that was asked for."""

    async def scenario(client: Client, _: Simulator) -> list[Any]:
        return [await client.read("GetInvoicePdf", FRAGMENTS, id=invoice.id)]

    invoice = ledger.invoices(FRAGMENTS, NOON)[1]
    (messages,) = simulate(scenario)
    chunks = [message.chunk for message in messages]
    assert b"" in chunks
    assert len(chunks) > 3
    file = pypdf.PdfReader(io.BytesIO(b"".join(chunks)), strict=True)
    assert f"Invoice {invoice.id}" in file.pages[0].extract_text()


@pytest.mark.parametrize("invoice_id", ["", "no-such-invoice"])
def test_an_unknown_invoice_is_not_found(invoice_id: str) -> None:
    """An id that the organization does not have is not found."""

    async def scenario(client: Client, _: Simulator) -> None:
        code, _text = await refusal(client.read("GetInvoicePdf", FREE, id=invoice_id))
        assert code is grpc.StatusCode.NOT_FOUND

    simulate(scenario)


def test_an_invoice_of_the_future_is_not_found() -> None:
    """A fee that will be invoiced tomorrow has no file today."""
    fee = ledger.invoices(FRAGMENTS, NOON)[0]

    async def scenario(client: Client, _: Simulator) -> None:
        code, _text = await refusal(client.read("GetInvoicePdf", FRAGMENTS, id=fee.id))
        assert code is grpc.StatusCode.NOT_FOUND

    simulate(scenario, clock=FakeClock(fee.issued - 1))


# --- Faults -------------------------------------------------------------------------------


def test_an_answer_can_be_replaced() -> None:
    """A test decides what one organization's call gets; others keep their own answers."""
    made_up = billing_pb2.GetCurrentMonthUsageResponse(subtotal=1.25)

    async def scenario(client: Client, simulator: Simulator) -> None:
        simulator.answers["GetCurrentMonthUsage", FREE.id] = made_up
        simulator.answers["GetInvoicesSummary", FREE.id] = grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await client.read("GetCurrentMonthUsage", FREE) == made_up
        code, _text = await refusal(client.read("GetInvoicesSummary", FREE))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await client.read("GetCurrentMonthUsage", DECLINED)) != made_up
        simulator.answers.clear()
        assert (await client.read("GetInvoicesSummary", FREE)).invoices

    simulate(scenario)


def test_a_replaced_pdf_is_one_chunk() -> None:
    """A message in place of a file's stream is all of it, also for an unknown invoice."""
    chunk = billing_pb2.GetInvoicePdfResponse(chunk=b"not a PDF")

    async def scenario(client: Client, simulator: Simulator) -> None:
        simulator.answers["GetInvoicePdf", FREE.id] = chunk
        assert await client.read("GetInvoicePdf", FREE, id="any") == [chunk]

    simulate(scenario)


def test_a_pdf_can_break_off() -> None:
    """A status in place of a file comes after the first chunk: half of a file was sent."""
    invoice = ledger.invoices(FREE, NOON)[0]

    async def scenario(client: Client, simulator: Simulator) -> None:
        simulator.answers["GetInvoicePdf", FREE.id] = grpc.StatusCode.INTERNAL
        token = await client.authenticate(FREE)
        stub = client.channel.unary_stream(
            f"/{BILLING}/GetInvoicePdf",
            request_serializer=billing_pb2.GetInvoicePdfRequest.SerializeToString,
            response_deserializer=billing_pb2.GetInvoicePdfResponse.FromString,
        )
        request = billing_pb2.GetInvoicePdfRequest(org_id=FREE.id, id=invoice.id)
        messages = stub(request, metadata=(("authorization", f"Bearer {token}"),)).__aiter__()
        assert (await anext(messages)).chunk.startswith(b"%PDF-")
        assert (await refusal(anext(messages)))[0] is grpc.StatusCode.INTERNAL

    simulate(scenario)


def test_an_outage_fails_every_call() -> None:
    """At an error rate of 1 nothing answers, Authenticate included, and calls still count."""

    async def scenario(client: Client, simulator: Simulator) -> None:
        for method in RPCS:
            code, _text = await refusal(client.call(method, "any"))
            assert code is grpc.StatusCode.UNAVAILABLE
        assert simulator.calls == dict.fromkeys(RPCS, 1)

    simulate(scenario, error_rate=1.0)


def test_an_error_rate_is_a_share() -> None:
    """About a quarter of the calls fail at 0.25, and the same ones for the same seed."""

    async def scenario(client: Client, _: Simulator) -> list[bool]:
        async def fails() -> bool:
            code, _text = await refusal(client.call("GetCurrentMonthUsage", "no-such-token"))
            return code is grpc.StatusCode.UNAVAILABLE

        return [await fails() for _ in range(200)]

    first, second = (simulate(scenario, error_rate=0.25) for _ in range(2))
    assert first == second
    assert 30 <= sum(first) <= 70


def test_latency_delays_an_answer() -> None:
    """An answer takes at least the latency that was asked for."""

    async def scenario(client: Client, _: Simulator) -> float:
        now = asyncio.get_running_loop().time
        started = now()
        await client.authenticate(FREE)
        return now() - started

    assert simulate(scenario, latency=0.05) >= 0.05


# --- Listening ----------------------------------------------------------------------------


def test_a_taken_port_is_refused() -> None:
    """A second simulator on the same port is an OSError that names the address."""

    async def scenario() -> None:
        first, second = (
            Simulator(fleet(1), SimulatedClock(FakeClock()), rng=Random(1)) for _ in range(2)
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
    simulator = Simulator(fleet(1), SimulatedClock(FakeClock()), rng=Random(1))
    with pytest.raises(OSError, match=f"cannot listen on {address}: "):
        asyncio.run(simulator.start(address))


def test_messages_are_not_compressed() -> None:
    """Even a client that takes gzip gets plain messages, as some clients take nothing else."""

    async def scenario(client: Client, _: Simulator) -> None:
        authenticate: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = client.channel.unary_unary(
            "/proto.rpc.v1.AuthService/Authenticate",
            request_serializer=auth_pb2.AuthenticateRequest.SerializeToString,
        )
        credentials = auth_pb2.Credentials(type="api-key", payload=FREE.api_key)
        call = authenticate(
            auth_pb2.AuthenticateRequest(entity=FREE.api_key_id, credentials=credentials)
        )
        await call
        encoding = dict(await call.initial_metadata()).get("grpc-encoding", "identity")
        assert encoding == "identity"

    simulate(scenario)


def test_the_same_seed_gives_the_same_tokens() -> None:
    """Tokens look random and follow from the generator that was passed in."""
    first, second = (simulate(lambda client, _: client.authenticate(FREE)) for _ in range(2))
    assert first == second
    assert len(first) == 64
