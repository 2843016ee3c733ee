"""The simulated service on loopback, and plain clients of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc
import grpc.aio
import pytest

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.api.client import BillingClient
from exporter.config import ApiConfig
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Secret
from exporter.pb import auth_pb2
from exporter.pb import billing_pb2 as pb
from exporter.process.clock import SystemClock
from exporter.simulator import Account, SimulatedClock, Simulator, demo_fleet
from support.clock import StandingClock

ACCOUNTS = demo_fleet(1)
FIRST, SECOND, THIRD, *_ = ACCOUNTS
ANSWERS: dict[str, type[Any]] = {
    "GetCurrentMonthUsage": pb.GetCurrentMonthUsageResponse,
    "GetOrgBillingInformation": pb.GetOrgBillingInformationResponse,
    "GetInvoicesSummary": pb.GetInvoicesSummaryResponse,
}


class Caller:
    """Makes calls and decides nothing: every status is the test's to see."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    def begin(
        self, method: str, fields: dict[str, Any], token: str | None = None, **options: Any
    ) -> Any:
        """Begin any call, with a token or none; its answer is left in bytes."""
        module, service = (
            (auth_pb2, "proto.rpc.v1.AuthService")
            if method == "Authenticate"
            else (pb, "viam.app.v1.BillingService")
        )
        channel: Any = self.channel
        connect = channel.unary_stream if method == "GetInvoicePdf" else channel.unary_unary
        request = getattr(module, f"{method}Request")(**fields)
        return connect(f"/{service}/{method}")(
            request.SerializeToString(),
            metadata=None if token is None else (("authorization", f"Bearer {token}"),),
            **{"timeout": 10} | options,
        )

    async def authenticate(self, account: Account = FIRST, **options: Any) -> str:
        """Return a token."""
        credentials = auth_pb2.Credentials(type="api-key", payload=account.api_key)
        fields = {"entity": account.api_key_id, "credentials": credentials}
        raw = await self.begin("Authenticate", fields, **options)
        return auth_pb2.AuthenticateResponse.FromString(raw).access_token

    async def call(
        self, method: str, account: Account = FIRST, token: str | None = None, **options: Any
    ) -> bytes:
        """Return the bytes of an answer, authenticating first if there is no token."""
        token = token or await self.authenticate(account)
        raw: bytes = await self.begin(method, {"org_id": account.id}, token, **options)
        return raw

    async def read(self, method: str, account: Account = FIRST, token: str | None = None) -> Any:
        """Return an answer decoded."""
        return ANSWERS[method].FromString(await self.call(method, account, token))

    async def pdf(
        self, account: Account, invoice: str, token: str | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the chunks of an invoice's file."""
        token = token or await self.authenticate(account)
        fields = {"org_id": account.id, "id": invoice}
        async for raw in self.begin("GetInvoicePdf", fields, token):
            yield pb.GetInvoicePdfResponse.FromString(raw).chunk


async def refusal(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    """Return the error that a call fails with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def code(call: Awaitable[object]) -> str:
    """Return the name of the status that a call fails with."""
    return (await refusal(call)).code().name


@dataclass
class Simulation:
    """A simulator that serves, and a caller connected to it."""

    simulator: Simulator
    port: int
    caller: Caller
    clock: Any


@asynccontextmanager
async def simulation(
    *,
    accounts: Iterable[Account] = ACCOUNTS,
    clock: Any = None,
    faults: Iterable[str] = (),
    front: bool = False,
    tls: ssl.SSLContext | None = None,
    **knobs: Any,
) -> AsyncIterator[Simulation]:
    """Run a simulator while inside, at a moment that stands still unless there is a clock."""
    clock = clock or StandingClock()
    simulated = SimulatedClock(clock, knobs.pop("speed", 1.0))
    simulator = Simulator(accounts, simulated, rng=Random(1), **knobs)
    for fault in faults:
        simulator.inject(fault)
    port = await simulator.start(front=front, tls=tls)
    options = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            yield Simulation(simulator, port, Caller(channel), clock)
    finally:
        await simulator.stop()


@asynccontextmanager
async def exporter_client(port: int, **api: Any) -> AsyncIterator[BillingClient]:
    """Run the exporter's own client of a port of this machine."""
    roots = api.pop("roots", None)
    client = BillingClient(
        ApiConfig(address=f"127.0.0.1:{port}", **{"tls": False, "timeout": 2.0} | api),
        user_agent="test",
        roots=roots,
        telemetry=Telemetry("0", "0"),
        clock=SystemClock(),
    )
    try:
        yield client
    finally:
        await client.close()


async def failure(client: BillingClient) -> BillingError:
    """Return the error that the exporter's client makes of a fault."""
    key = ApiKey(FIRST.api_key_id, secret=Secret(FIRST.api_key))
    with pytest.raises(BillingError) as caught:
        await client.read(ReadRpc.GET_CURRENT_MONTH_USAGE, FIRST.id, key)
    return caught.value


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario in real time, though not for long."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(bounded())
