"""A reload that changes how the API is reached leaves no connection behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.api.client import BillingClient
from exporter.config import ApiConfig
from exporter.metrics.telemetry import Telemetry
from exporter.model import ApiKey, Secret
from exporter.process.clock import SystemClock
from integration.test_discovery_in_the_exporter import FLEET, config, exporting, polled
from support.simulated import FIRST, run, simulation

KEY = ApiKey(FIRST.api_key_id, secret=Secret(FIRST.api_key))
CLIENTS = 200
RELOADS = 200


def sockets() -> int:
    """Return how many sockets this process has."""

    def is_socket(descriptor: Path) -> bool:
        try:
            return str(descriptor.readlink()).startswith("socket:")
        except FileNotFoundError:  # that of the listing itself
            return False

    return sum(map(is_socket, Path("/proc/self/fd").iterdir()))


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep garbage, as the exporter does with what has become old."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def a_turn_of_the_loop() -> None:
    """Let all others get on by one step."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn


async def closed(expected: int) -> None:
    """Wait until there are no more sockets than that: gRPC closes them in threads of its own."""
    async with asyncio.timeout(10):
        while await asyncio.to_thread(sockets) > expected:
            pass


def test_a_client_that_is_closed_leaves_no_connection_whatever_is_under_way() -> None:
    """Authenticate or calls, and whether those who wait for them are cancelled or not."""

    async def scenario() -> None:
        async with simulation() as it:
            before = await asyncio.to_thread(sockets)
            for number in range(CLIENTS):
                client = BillingClient(
                    ApiConfig(address=f"127.0.0.1:{it.port}", tls=False, timeout=5.0),
                    user_agent="test",
                    roots=None,
                    telemetry=Telemetry("1", "a"),
                    clock=SystemClock(),
                )
                reads = [asyncio.create_task(client.read(r, FIRST.id, KEY)) for r in ReadRpc]
                for _ in range(number):  # a little further each time
                    await a_turn_of_the_loop()
                for read in reads if number % 2 else ():
                    read.cancel()
                await client.close()
                results: list[object] = [*await asyncio.gather(*reads, return_exceptions=True)]
                expected = (bytes, BillingError, asyncio.CancelledError)
                assert all(isinstance(result, expected) for result in results)
            await closed(before)

    with no_collection():
        run(scenario())


def test_reloads_that_change_the_api_leave_no_connection() -> None:
    """Not one in hundreds: descriptors would run out in the end."""

    async def scenario() -> None:
        async with simulation(accounts=FLEET) as it:
            configurations = [config(it.port)]
            async with exporting(configurations[0], load=lambda: configurations[-1]) as (
                app,
                fetch,
            ):
                await polled(fetch, *FLEET)
                before = await asyncio.to_thread(sockets)
                for number in range(RELOADS):
                    api = replace(configurations[-1].api, timeout=5.0 + number)
                    configurations.append(replace(configurations[-1], api=api))
                    assert await app.reload() is None
                    for _ in range(number):
                        await a_turn_of_the_loop()
                await closed(before)

    with no_collection():
        run(scenario())
