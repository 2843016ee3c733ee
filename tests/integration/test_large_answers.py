"""The largest answers that are taken, from a service that sends nothing else, to a real process."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
import yaml

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.api.client import BillingClient
from exporter.api.wire import MAX_ELEMENTS
from exporter.config import ApiConfig
from exporter.metrics.catalog import COLLECTORS
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Cause, InvoiceDetail, Secret
from exporter.page.publisher import Publisher
from exporter.pb import app_pb2, auth_pb2
from exporter.pb import billing_pb2 as pb
from exporter.polling.intake import Intake
from exporter.polling.schedule import Unit
from exporter.process.clock import SystemClock
from exporter.state.store import Store
from support.process import exporter, get, until
from support.reader import organization

pytestmark = pytest.mark.alone

ORGANIZATIONS = 32
LARGEST = 4 * 1024 * 1024 - 64  # bytes; some are left for gRPC
MAX_MEMORY = 256 * 1024  # KiB
PAUSE = 0.05  # seconds
Answer = Callable[[int], bytes]


def unknown_types(turn: int) -> bytes:
    """Return costs of as many types that nobody knows."""
    answer = pb.GetCurrentMonthUsageResponse()
    source = answer.resource_usage_costs_by_source.add(source_type="SOURCE_TYPE_ORG")
    source.resource_usage_costs.total_with_discount = turn
    source.resource_usage_costs.usage_costs.extend(
        pb.UsageCost(resource_type=1000 + n, cost=n + turn)  # type: ignore[arg-type]
        for n in range(MAX_ELEMENTS)
    )
    return answer.SerializeToString()


def tiers(turn: int) -> bytes:
    """Return sources of as many tiers."""
    answer = pb.GetCurrentMonthUsageResponse()
    for n in range(MAX_ELEMENTS):
        source = answer.resource_usage_costs_by_source.add(tier_name=f"{n}" + "é" * 80)
        source.resource_usage_costs.total_with_discount = turn
    return answer.SerializeToString()


def long_text(turn: int) -> bytes:
    """Return one tier with a name of four megabytes."""
    answer = pb.GetCurrentMonthUsageResponse()
    source = answer.resource_usage_costs_by_source.add()
    source.resource_usage_costs.total_with_discount = turn
    source.tier_name = "x" * (LARGEST - answer.ByteSize())
    return answer.SerializeToString()


def unknown_fields(turn: int) -> bytes:
    """Return fields that nobody knows, each once."""
    fields = b"".join(
        # The tag of a number, in four bytes, and 0.
        bytes((n & 0x78 | 0x80, n >> 7 & 0x7F | 0x80, n >> 14 & 0x7F | 0x80, n >> 21, 0))
        for n in range(2**21, 2**21 + 8 * (LARGEST // 5 - 10), 8)
    )
    return pb.GetCurrentMonthUsageResponse(subtotal=turn).SerializeToString() + fields


def invoices(turn: int) -> bytes:
    """Return as many invoices, with all that an invoice has."""
    answer = pb.GetInvoicesSummaryResponse(outstanding_balance=turn)
    for n in range(MAX_ELEMENTS):
        invoice = answer.invoices.add(
            id=f"{n:06d}-" + "x" * 110,
            invoice_amount=n + 0.5,
            status="outstanding",
            last_payment_failure_reason="card_declined",
        )
        invoice.invoice_date.seconds = 1_700_000_000 + n
        invoice.due_date.seconds = 4_000_000_000 + n * 7919 % MAX_ELEMENTS
        invoice.paid_date.seconds = invoice.last_payment_failure_at.seconds = 1_700_000_000
    return answer.SerializeToString()


def empty(_turn: int) -> bytes:
    """Return nothing, which is a good answer."""
    return b""


def empty_sources(turn: int) -> bytes:
    """Return two million sources, which are too many."""
    return b"\x72\x00" * (LARGEST // 2 - turn)


def make_client(address: str) -> BillingClient:
    """Return a client for an address."""
    return BillingClient(
        ApiConfig(address=address, tls=False, timeout=60.0),
        user_agent="viam-billing-exporter/1.2.3",
        roots=None,
        telemetry=Telemetry("1", "1"),
        clock=SystemClock(),
    )


class Service:
    """Answers every call at once with the same few answers, in turn. Runs in a thread."""

    def __init__(self, usage: list[bytes], owed: list[bytes], listed: bytes = b"") -> None:
        self._answers = {
            "GetCurrentMonthUsage": usage,
            "GetInvoicesSummary": owed,
            "ListOrganizations": [listed],
        }
        self.calls = 0
        self.port = 0
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    async def _run(self) -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers([_Handlers(self)])
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._started.set()
        await self._stop.wait()
        await server.stop(None)

    async def answer(self, method: str) -> bytes:
        """Return what a call is answered with."""
        if method == "Authenticate":
            return auth_pb2.AuthenticateResponse(access_token="token").SerializeToString()
        several = self._answers.get(method, [b""])
        self.calls += 1
        return several[self.calls // ORGANIZATIONS % len(several)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve while inside."""
        self._thread.start()
        assert self._started.wait(10)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._loop.close()


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, service: Service) -> None:
        self._service = service

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Answer any method."""
        method = handler_call_details.method.rpartition("/")[2]

        async def answer(_request: bytes, _context: object) -> bytes:
            return await self._service.answer(method)

        return grpc.unary_unary_rpc_method_handler(answer)


def configuration(folder: Path, port: int) -> Path:
    """Write a configuration of many organizations, all of which are polled at once."""
    file = folder / "exporter.yml"
    file.touch(0o600)
    document = {
        "api": {"address": f"127.0.0.1:{port}", "tls": False, "timeout": "60s",
                "max_concurrency": ORGANIZATIONS},
        "poll": {"interval": "2s", "max_age": "10m"},
        "credentials": {"api_key_id": "key", "api_key": "k"},
        "organizations": [{"id": f"org-{n}"} for n in range(ORGANIZATIONS)],
    }  # fmt: skip
    file.write_text(yaml.safe_dump(document))
    return file


SERVED: list[tuple[str, Answer, Answer, str]] = [
    ("unknown types", unknown_types, empty, "1.0"),
    ("tiers", tiers, empty, "1.0"),
    ("a long text", long_text, empty, "1.0"),
    ("unknown fields", unknown_fields, empty, "0.0"),
    ("invoices", empty, invoices, "1.0"),
    ("too many", empty_sources, empty, "0.0"),
]


@pytest.mark.parametrize(
    ("usage", "owed", "up"), [case[1:] for case in SERVED], ids=[case[0] for case in SERVED]
)
def test_the_largest_answers_cost_no_more_memory_than_there_is(
    tmp_path: Path, usage: Answer, owed: Answer, up: str
) -> None:
    """As many at once as there can be polls, and SIGTERM in the middle of it."""
    service = Service([usage(1), usage(2)], [owed(1), owed(2)])
    with (
        service.running(),
        exporter(
            f"--config.file={configuration(tmp_path, service.port)}",
            f"--storage.path={tmp_path / 'state'}",
        ) as it,
    ):
        until(lambda: get(it.port, "/-/ready").status == 200, "polled", timeout=90)
        ups = re.findall(r"^viam_billing_up{.*} (.*)$", it.scrape(), re.MULTILINE)
        assert ups == [up] * ORGANIZATIONS
        assert get(it.port, "/organizations/org-1").status == 200
        calls = service.calls
        until(lambda: service.calls > calls + ORGANIZATIONS, "polled again", timeout=60)
        assert it.process.most_memory < MAX_MEMORY
        it.process.stop()


def organizations(count: int) -> bytes:
    """Return a list of so many organizations."""
    answer = app_pb2.ListOrganizationsResponse()
    for n in range(count):
        answer.organizations.add(id=f"org-{n}", name="x" * 150)
    return answer.SerializeToString()


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (organizations(MAX_ELEMENTS), None),
        (organizations(MAX_ELEMENTS + 1), "has more than 20000 elements of a kind"),
        (b"\x0a\x00" * (LARGEST // 2), "has more than 20000 elements of a kind"),
        (b"\x7a\x80\x80\x80\x02" + b"x" * 2**22, "is larger than 4 MiB"),
    ],
    ids=["the most", "one more", "empty ones", "too large"],
)
def test_a_list_of_organizations_has_the_same_limits(
    listed: bytes, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is read aside, too."""
    service = Service([b""], [b""], listed)
    longest = Longest(monkeypatch)

    async def scenario() -> None:
        client = make_client(f"127.0.0.1:{service.port}")
        try:
            found = client.organizations(ApiKey("key", secret=Secret("k")))
            if reason is None:
                assert len(list(await found)) == MAX_ELEMENTS
                return
            with pytest.raises(BillingError, match=reason) as caught:
                await found
            assert caught.value.cause is Cause.INVALID_ANSWER
        finally:
            await client.close()

    with service.running():
        asyncio.run(scenario())
    assert longest.seconds < PAUSE


class Longest:
    """What the event loop did for longest at once, in seconds of its thread's processor time."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        run = asyncio.Handle._run

        def measured(handle: asyncio.Handle) -> None:
            started = time.thread_time()
            run(handle)
            if threading.current_thread() is threading.main_thread():  # not the service's
                self.seconds = max(self.seconds, time.thread_time() - started)

        patch.setattr(asyncio.Handle, "_run", measured)


@pytest.mark.parametrize(
    ("usage", "owed"), [case[1:3] for case in SERVED], ids=[case[0] for case in SERVED]
)
def test_the_event_loop_never_stands_still(
    usage: Answer, owed: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes: it is read aside, and so is what is read again. Other load does not count."""
    rpcs = {ReadRpc.GET_CURRENT_MONTH_USAGE: usage, ReadRpc.GET_INVOICES_SUMMARY: owed}

    async def scenario() -> None:
        clock, store = SystemClock(), Store()
        intake = Intake(store, Telemetry("1", "1"), clock, InvoiceDetail("all", MAX_ELEMENTS))
        publisher = Publisher(store, Telemetry("1", "1"), clock, max_series=10**6)
        for name in ("Acme", "Other"):
            acme = replace(organization("acme"), name=name)
            await intake.configure({"acme": acme}, ["usage", "invoices"], InvoiceDetail())
            for turn in (1, 1, 2):
                for collector in (each for each in COLLECTORS if each.rpc in rpcs):
                    raw = raws[collector.rpc, turn]
                    with suppress(BillingError):
                        await intake.succeed(Unit("acme", collector.name), raw, 0.1)
                await publisher.publish()

    raws = {(rpc, turn): make(turn) for rpc, make in rpcs.items() for turn in (1, 2)}
    longest = Longest(monkeypatch)
    asyncio.run(scenario())
    assert longest.seconds < PAUSE
