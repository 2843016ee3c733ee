"""How often keys log in, and who waits for it, before the simulated service."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from exporter.api.billing import BillingError
from exporter.api.calls import ReadRpc
from exporter.config import ApiConfig
from exporter.metrics.catalog import COLLECTORS
from exporter.model import ApiKey, Cause, Organization, Secret
from exporter.process.clock import SystemClock
from exporter.simulator import Account, demo_fleet, fleet
from exporter.tool.bills import BillReader
from support.live import Samples, live
from support.simulated import exporter_client, simulation

FIRST, *_ = demo_fleet(1)
USAGE, BILLING = ReadRpc.GET_CURRENT_MONTH_USAGE, ReadRpc.GET_ORG_BILLING_INFORMATION
KEY = ApiKey(FIRST.api_key_id, secret=Secret(FIRST.api_key))


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario on an event loop of its own."""
    asyncio.run(scenario())


def test_a_method_that_refuses_a_shared_key_costs_few_logins() -> None:
    """300 organizations behind one key log in together, after pauses; other calls go on."""

    async def scenario() -> None:
        accounts = [replace(FIRST, id=f"organization-{n}") for n in range(300)]
        loop = asyncio.get_running_loop()
        async with (
            simulation(accounts=accounts, clock=SystemClock()) as it,
            exporter_client(it.port, timeout=20.0) as client,
        ):
            outcomes: Counter[tuple[ReadRpc, Cause | None]] = Counter()

            async def poll(places: asyncio.Semaphore, rpc: ReadRpc, org_id: str) -> None:
                async with places:
                    try:
                        await client.read(rpc, org_id, KEY)
                    except BillingError as error:
                        outcomes[rpc, error.cause] += 1
                    else:
                        outcomes[rpc, None] += 1

            async def poll_all() -> None:
                places = asyncio.Semaphore(32)
                asked = [poll(places, rpc, a.id) for a in accounts for rpc in (USAGE, BILLING)]
                await asyncio.gather(*asked)

            await poll_all()
            assert it.simulator.calls["Authenticate"] == 1
            fault = it.simulator.inject(f"unauthenticated:method={USAGE}")
            outcomes.clear()
            begun = loop.time()
            while loop.time() < begun + 5:
                await poll_all()
            # At once, and after 1, 2 and 4 seconds at the earliest.
            pauses = 1 + int(loop.time() - begun >= 1) + int(loop.time() - begun >= 3)
            pauses += int(loop.time() - begun >= 7)
            assert it.simulator.calls["Authenticate"] - 1 <= pauses
            assert outcomes.keys() == {(USAGE, Cause.CREDENTIALS), (BILLING, None)}
            fault.clear()
            outcomes.clear()
            logins = it.simulator.calls["Authenticate"]
            await poll_all()
            it.simulator.revoke_tokens()
            await poll_all()
            assert outcomes.keys() == {(USAGE, None), (BILLING, None)}
            assert it.simulator.calls["Authenticate"] == logins + 1

    run(scenario)


def test_a_command_is_not_held_up_by_keys_whose_logins_hang() -> None:
    """Here, too, waiting for a login holds no place: the others are read meanwhile."""

    async def scenario() -> None:
        hanging = fleet(20, seed=2)
        async with (
            simulation(accounts=[*hanging, FIRST], clock=SystemClock()) as it,
            exporter_client(it.port, timeout=30.0) as client,
        ):
            for account in hanging:
                it.simulator.inject(f"hang:method=Authenticate,organization={account.id}")
            reader = BillReader(client, ApiConfig(max_concurrency=1))
            collector = next(each for each in COLLECTORS if each.rpc is USAGE)
            reads = [
                asyncio.create_task(reader.answer(collector, organization(account)))
                for account in (*hanging, FIRST)
            ]
            async with asyncio.timeout(20):
                assert await reads[-1]
            assert not any(read.done() for read in reads[:-1])
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)

    run(scenario)


def organization(account: Account) -> Organization:
    """Return an account as it is configured."""
    key = ApiKey(account.api_key_id, secret=Secret(account.api_key))
    return Organization(account.id, account.name, key, interval=60.0, max_age=600.0)


def up(samples: Samples) -> set[str]:
    """Return the ids of the organizations that are up."""
    found = samples.get("viam_billing_up", {}).items()
    return {dict(key)["org_id"] for key, value in found if value == 1.0}


def test_keys_whose_logins_hang_keep_no_place() -> None:
    """With 60 of them and four places, polls with the good key go on as ever."""

    async def scenario() -> None:
        hanging = fleet(60, seed=2)
        async with live([*hanging, FIRST], max_concurrency=4, timeout=30.0) as it:
            for account in hanging:
                it.simulator.inject(f"hang:method=Authenticate,organization={account.id}")
            it.simulator.revoke_tokens()
            await it.until(lambda page: up(page) == {FIRST.id}, "the good one is polled")
            asked = it.simulator.calls[USAGE]
            await it.until(lambda _: it.simulator.calls[USAGE] > asked + 10, "and goes on")

    run(scenario)
