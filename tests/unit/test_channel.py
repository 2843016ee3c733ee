"""When a channel is open, in virtual time, and over real connections."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from random import Random
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from exporter.api.calls import AUTHENTICATE, ReadRpc
from exporter.api.channel import GRACE, WORTH_KEEPING, Channel
from exporter.api.client import BillingClient
from exporter.config import ApiConfig
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Secret
from exporter.process.clock import SystemClock
from exporter.simulator import SimulatedClock, Simulator, demo_fleet
from support.virtual import VirtualClock, run


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait in a thread, so that the loop gets on."""
    while not condition():
        pass


class Wire:
    """What stands in for gRPC's channel: it is the edge of the network."""

    def __init__(self) -> None:
        self.is_open = True

    def unary_unary(self, path: str, *_: object) -> str:
        """Return something that stands for a method of this channel."""
        return f"{path} of {id(self)}"

    async def close(self) -> None:
        """Close it."""
        self.is_open = False


class Rig:
    """A channel, and all that it has opened."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.next_call = math.inf
        self.opened = 0
        self.clock = VirtualClock()
        self.channel = Channel(self._open, self.clock, lambda: self.next_call, self._count)

    def _open(self) -> grpc.aio.Channel:
        self.wires.append(Wire())
        return cast("grpc.aio.Channel", self.wires[-1])

    def _count(self) -> None:
        self.opened += 1

    async def call(self, seconds: float = 0.0) -> Any:
        """Make a call that takes so many seconds."""
        with self.channel:
            method = self.channel.unary(AUTHENTICATE, bytes, bytes)
            await asyncio.sleep(seconds)
            assert self.wires[-1].is_open
            return method

    @property
    def open_wires(self) -> int:
        """How many channels are open."""
        return sum(wire.is_open for wire in self.wires)


def test_it_is_opened_by_a_call_and_closed_when_the_next_one_is_not_soon() -> None:
    """A method is of the channel that is open: one of before would be of no use."""

    async def scenario() -> None:
        rig = Rig()
        assert not rig.channel.is_open
        first = await rig.call()
        assert await rig.call() == first
        assert rig.opened == 1
        await asyncio.sleep(3 * GRACE)
        assert not rig.channel.is_open
        assert rig.open_wires == 0
        assert await rig.call() != first
        assert rig.opened == 2
        await rig.channel.close()
        assert rig.open_wires == 0

    run(scenario())


def test_it_stays_open_while_the_next_call_is_soon_and_not_for_ever() -> None:
    """Opening it again would cost more. A call that was expected may not come, after a reload."""

    async def scenario() -> None:
        rig = Rig()
        loop = asyncio.get_running_loop()
        for _ in range(10):
            rig.next_call = loop.time() + WORTH_KEEPING
            await rig.call()
            await asyncio.sleep(WORTH_KEEPING)
        assert rig.opened == 1
        await asyncio.sleep(3 * GRACE)
        assert rig.channel.is_open  # what was due has not come
        rig.next_call = loop.time() + 300.0
        await asyncio.sleep(WORTH_KEEPING)
        assert rig.open_wires == 0

    run(scenario())


def test_calls_under_way_keep_it_open_however_long_they_take() -> None:
    """One that takes an hour, and many that end before."""

    async def scenario() -> None:
        rig = Rig()
        long = asyncio.create_task(rig.call(3600.0))
        for seconds in range(60):
            await rig.call(seconds)
            await asyncio.sleep(3 * GRACE)
        await long
        assert rig.opened == 1
        await asyncio.sleep(3 * GRACE)
        assert rig.open_wires == 0

    run(scenario())


def test_nothing_waits_once_it_is_closed() -> None:
    """An hour later no timer has fired: the process sleeps."""

    async def scenario() -> None:
        rig = Rig()
        await rig.call()
        await asyncio.sleep(3 * GRACE)
        assert rig.channel._timer is None
        await rig.channel.close()
        with rig.channel, pytest.raises(grpc.aio.UsageError):
            rig.channel.unary(AUTHENTICATE, bytes, bytes)

    run(scenario())


def test_a_token_outlives_the_channel_over_which_it_came() -> None:
    """The key logs in once, though each call opens a channel."""

    async def scenario() -> None:
        account = demo_fleet(1)[0]
        service = Simulator([account], SimulatedClock(SystemClock()), rng=Random(1))
        port = await service.start()
        opened: list[float] = []
        client = BillingClient(
            ApiConfig(address=f"127.0.0.1:{port}", tls=False),
            user_agent="test",
            roots=None,
            telemetry=Telemetry("1", "a"),
            clock=SystemClock(),
            opened=lambda: opened.append(0.0),
        )
        key = ApiKey(account.api_key_id, secret=Secret(account.api_key))
        async with asyncio.timeout(30):
            for _ in range(3):
                assert await client.read(ReadRpc.GET_INVOICES_SUMMARY, account.id, key)
                await asyncio.to_thread(wait_until, lambda: not client.calls.open)
        await client.close()
        await service.stop()
        assert len(opened) == 3
        assert service.calls["Authenticate"] == 1

    asyncio.run(scenario())
